//! Hub names, connection ids, user ids and group names. Only hub names ignore letter case; clones share the text.

use std::fmt;
use std::sync::Arc;

/// Longest name of a hub or an application, in characters.
const MAX_NAME_CHARS: usize = 128;

/// Longest name of both with `_` between them, in characters.
const MAX_EFFECTIVE_NAME_CHARS: usize = 2 * MAX_NAME_CHARS + 1;

/// The name of a hub, application included, in lower case. An application is a prefix of it: `{application}_{hub}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HubName(Arc<str>);

impl HubName {
    /// The hub that a client names in its query, `{application}_{hub}` or `{hub}`.
    pub(crate) fn of_client(name: &str) -> Result<Self, InvalidHubName> {
        check(name, MAX_EFFECTIVE_NAME_CHARS, "hub")?;
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// The hub that a REST caller names in its path, with the application of its query.
    pub(crate) fn of_caller(application: Option<&str>, hub: &str) -> Result<Self, InvalidHubName> {
        check(hub, MAX_NAME_CHARS, "hub")?;
        let Some(application) = application else {
            return Ok(Self(hub.to_ascii_lowercase().into()));
        };
        check(application, MAX_NAME_CHARS, "application")?;
        let effective = [application, "_", hub].concat();
        Ok(Self(effective.to_ascii_lowercase().into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(name: &str, max: usize, parameter: &'static str) -> Result<(), InvalidHubName> {
    let mut characters = name.chars();
    let has_good_start = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let has_good_rest = characters.all(|c| c.is_ascii_alphanumeric() || "_`,.[]".contains(c));
    if has_good_start && has_good_rest && name.len() <= max { Ok(()) } else { Err(InvalidHubName { parameter, max }) }
}

/// A name of a hub or an application is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}` must be 1 to {max} characters: a letter, then letters, digits and any of _ ` , . [ ]")]
pub(crate) struct InvalidHubName {
    pub(crate) parameter: &'static str,
    max: usize,
}

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

    #[test]
    fn letter_case_does_not_matter() {
        assert_eq!(HubName::of_client("Chat"), HubName::of_caller(None, "cHAT"));
    }

    #[test]
    fn an_application_is_a_prefix() {
        assert_eq!(HubName::of_caller(Some("App"), "Chat"), HubName::of_client("app_chat"));
    }

    #[test]
    fn the_longest_names_of_both_make_a_valid_hub() {
        let name = "a".repeat(128);
        let effective = [name.as_str(), "_", &name].concat();
        assert_eq!(HubName::of_caller(Some(&name), &name), HubName::of_client(&effective));
    }

    #[test]
    fn errors_name_the_parameter() {
        let long = "a".repeat(129);
        for name in ["", "1abc", "_a", "a b", "a-b", "a/b", "é", long.as_str()] {
            assert_eq!(HubName::of_caller(None, name).unwrap_err().parameter, "hub", "{name:?}");
            assert_eq!(HubName::of_caller(Some(name), "chat").unwrap_err().parameter, "application", "{name:?}");
        }
        assert!(HubName::of_caller(None, "a.b[0]`,_9").is_ok());
    }
}
