//! The filter of `:execute`: which connections a command is for. Pure, and the only filter the service has.
//!
//! The grammar is the subset of OData that the sibling service documents
//! (<https://learn.microsoft.com/azure/azure-web-pubsub/reference-odata-filter>). Two things surprise: `not` binds tighter
//! than a comparison, so `not userId eq 'a'` is an error; and what is asked of a user who is not there is neither true
//! nor false, so `not startswith(userId, 'a')` leaves anonymous connections out.

mod evaluate;
mod expression;
mod invalid;
mod parse;
mod term;
mod token;

use std::fmt;

use expression::Condition;
pub(crate) use invalid::InvalidFilter;

/// Longest filter, in bytes. The service's own limit is not published beyond "about 100 clauses", which fit.
const LONGEST: usize = 8 << 10;

/// How deep parentheses, `not` and calls may nest.
const DEEPEST: usize = 64;

/// A connection as a filter sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) connection: &'a str,
    /// `None` for someone anonymous.
    pub(crate) user: Option<&'a str>,
    /// Every group the connection is in, however it came there.
    pub(crate) groups: &'a [&'a str],
}

/// A filter that is right in itself. Printed, it is a filter that means the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Condition);

impl Filter {
    /// Reads a filter, decoded from its query.
    ///
    /// # Errors
    ///
    /// When it is too long or too deep, or is no filter: the error tells at which character, and what was expected there.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidFilter> {
        if text.len() > LONGEST {
            return Err(InvalidFilter::TooLong { limit: LONGEST });
        }
        parse::filter(text).map(Self)
    }

    /// Whether the filter is true of the connection. What is neither true nor false is not.
    pub(crate) fn matches(&self, subject: Subject<'_>) -> bool {
        self.0.of(subject) == Some(true)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
