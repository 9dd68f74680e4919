//! The filter of `:execute`: which connections a command is for.
//!
//! The grammar is the subset of OData that Azure documents for Web PubSub
//! (<https://learn.microsoft.com/azure/azure-web-pubsub/reference-odata-filter>). `not` binds tighter than a comparison, so
//! `not userId eq 'a'` is an error. Conditions on the user of an anonymous connection are null, so
//! `not startswith(userId, 'a')` does not match it.

mod expression;
mod parser;
mod tokenizer;

#[cfg(test)]
mod tests;

use std::fmt;

use expression::Condition;

pub(crate) use expression::Subject;
pub(crate) use tokenizer::InvalidFilter;

/// Longest filter, in bytes. Azure documents its limit as "about 100 clauses", which fit.
const MAX_FILTER_BYTES: usize = 8 << 10;

/// A valid filter. Its `Display` is a filter with the same meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Condition);

impl Filter {
    /// Parses a filter, decoded from the query.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidFilter> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(InvalidFilter::TooLong { limit: MAX_FILTER_BYTES });
        }
        parser::parse(text).map(Self)
    }

    /// Whether the filter is true for the connection. Null is not true.
    pub(crate) fn matches(&self, subject: Subject<'_>) -> bool {
        self.0.evaluate(subject) == Some(true)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
