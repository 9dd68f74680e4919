//! [`Secret`]: a text that can be used and not shown.

use std::fmt;
use std::sync::Arc;

/// A key, a password or a token. Its `Debug` form is always `Secret(***)`; it has no `Display` and no `Serialize`.
///
/// Clones are cheap. The crate `secrecy` is not used: its secrets do not compare, and what it adds, zeroing on drop, would reach one of
/// several copies (environment, header values, HMAC states).
///
/// ```
/// let key = azure_http::Secret::new("hush");
/// assert_eq!(format!("{key:?} {}", key.expose().len()), "Secret(***) 4");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. It must not be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "Secret(***)");
    }
}
