//! What connections, users and groups are called.
//!
//! All three are compared letter by letter, unlike names of hubs. Copies share their text.

use std::fmt;
use std::sync::Arc;

/// Characters the name of a group may have.
const LONGEST_GROUP: usize = 1024;

/// The public id of a connection: what REST callers name. It opens nothing. Ordered, so that lists of connections
/// have an order that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(Arc<str>);

/// The id of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UserId(Arc<str>);

/// The name of a group in a hub: 1 to 1024 characters, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupName(Arc<str>);

/// A name the service would not take for a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidGroupName;

impl ConnectionId {
    pub(crate) fn new(id: &str) -> Self {
        Self(id.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// Nobody in particular has an empty id, so that is `None`.
    pub(crate) fn new(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self(id.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl GroupName {
    pub(crate) fn new(name: &str) -> Result<Self, InvalidGroupName> {
        let says_something = !name.chars().all(char::is_whitespace);
        let fits = name.chars().nth(LONGEST_GROUP).is_none();
        if says_something && fits { Ok(Self(name.into())) } else { Err(InvalidGroupName) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidGroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`group` must be 1 to {LONGEST_GROUP} characters, not only white space")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_1_to_1024_characters_that_are_not_all_white_space() {
        for name in ["g", " g ", "a/b", "é", &"é".repeat(1024)] {
            assert_eq!(GroupName::new(name).unwrap().as_str(), name);
        }
        for name in ["", " ", "\t\u{a0}\n", &"é".repeat(1025)] {
            assert_eq!(GroupName::new(name), Err(InvalidGroupName), "{name:?}");
        }
    }

    #[test]
    fn letter_case_tells_groups_and_users_apart() {
        assert_ne!(GroupName::new("g"), GroupName::new("G"));
        assert_ne!(UserId::new("u"), UserId::new("U"));
    }
}
