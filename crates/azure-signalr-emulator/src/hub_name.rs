//! [`HubName`]: a valid hub name. An application is a prefix of it: `{application}_{hub}`.

use std::fmt;
use std::sync::Arc;

/// Longest name of a hub or an application, in characters.
const MAX_NAME_CHARS: usize = 128;

/// Longest name of both with `_` between them, in characters.
const MAX_EFFECTIVE_NAME_CHARS: usize = 2 * MAX_NAME_CHARS + 1;

/// The name of a hub, application included, in lower case: hub names ignore letter case.
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

#[cfg(test)]
mod tests {
    use super::*;

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
