//! Connection ids, user ids and group names. All three are case-sensitive, unlike hub names; clones share the text.

use std::fmt;
use std::sync::Arc;

/// Maximum length of a group name, in characters.
const MAX_GROUP_NAME_CHARS: usize = 1024;

/// The public id of a connection, as REST callers use it. Not a secret. Ordered, so that listings have a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(Arc<str>);

/// The id of a user; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UserId(Arc<str>);

/// The name of a group: 1 to 1024 characters, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupName(Arc<str>);

/// The service rejects this group name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`group` must be 1 to {} characters, not only white space", MAX_GROUP_NAME_CHARS)]
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
    /// `None` for an empty id, which means anonymous.
    pub(crate) fn new(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self(id.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl GroupName {
    pub(crate) fn new(name: &str) -> Result<Self, InvalidGroupName> {
        let has_text = !name.chars().all(char::is_whitespace);
        let fits = name.chars().nth(MAX_GROUP_NAME_CHARS).is_none();
        if has_text && fits { Ok(Self(name.into())) } else { Err(InvalidGroupName) }
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
    fn group_names_and_user_ids_are_case_sensitive() {
        assert_ne!(GroupName::new("g"), GroupName::new("G"));
        assert_ne!(UserId::new("u"), UserId::new("U"));
    }
}
