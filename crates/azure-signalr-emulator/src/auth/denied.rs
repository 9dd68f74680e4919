//! A refusal, in the words of the rule that refused.
//!
//! It is shown to whoever was refused and written into the log, so it never holds a token or a key.

use std::fmt;

/// The rule that the signature must be right.
pub(super) const SIGNATURE: &str = "signature";
/// The rule that an identity must have a role.
const ROLE: &str = "role";

/// A token that was refused: by which rule, what that rule expected, and what came. Carries neither token nor key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(super) rule: &'static str,
    expected: String,
    came: String,
}

impl Denied {
    pub(crate) fn new(rule: &'static str, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self { rule, expected: expected.into(), came: came.into() }
    }

    /// The token is right, and its bearer may not do this.
    pub(crate) fn forbidden(expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self::new(ROLE, expected, came)
    }

    pub(crate) fn is_forbidden(&self) -> bool {
        self.rule == ROLE
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, expected, came } = self;
        write!(f, "access token refused, rule `{rule}`: expected {expected}; came {came}")
    }
}
