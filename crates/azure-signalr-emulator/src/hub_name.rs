//! Names of hubs, checked once and lower-cased.
//!
//! An application has no state of its own: it is a prefix of the hub name, and its clients say `hub=app_hub`.

use std::fmt;
use std::sync::Arc;

/// Characters a hub or an application name may have.
const LONGEST: usize = 128;

/// An application name, `_`, and a hub name.
const LONGEST_EFFECTIVE: usize = 2 * LONGEST + 1;

/// The name of a hub as the service compares it: lower case, application included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HubName(Arc<str>);

impl HubName {
    /// The hub a client names in its query, `{application}_{hub}` or `{hub}`.
    pub(crate) fn of_client(name: &str) -> Result<Self, InvalidHubName> {
        check(name, LONGEST_EFFECTIVE, "hub")?;
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// The hub a REST caller names in its path, with the application of its query.
    pub(crate) fn of_caller(application: Option<&str>, hub: &str) -> Result<Self, InvalidHubName> {
        check(hub, LONGEST, "hub")?;
        let Some(application) = application else {
            return Ok(Self(hub.to_ascii_lowercase().into()));
        };
        check(application, LONGEST, "application")?;
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

fn check(name: &str, longest: usize, parameter: &'static str) -> Result<(), InvalidHubName> {
    let mut characters = name.chars();
    let starts_well = characters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on_well = characters.all(|c| c.is_ascii_alphanumeric() || "_`,.[]".contains(c));
    if starts_well && goes_on_well && name.len() <= longest {
        Ok(())
    } else {
        Err(InvalidHubName { parameter, longest })
    }
}

/// A name the service would not take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidHubName {
    pub(crate) parameter: &'static str,
    longest: usize,
}

impl fmt::Display for InvalidHubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameter, longest } = self;
        write!(
            f,
            "`{parameter}` must be 1 to {longest} characters: a letter, then letters, digits and any of _ ` , . [ ]"
        )
    }
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
    fn the_longest_names_of_both_still_meet() {
        let name = "a".repeat(128);
        let effective = [name.as_str(), "_", &name].concat();
        assert_eq!(HubName::of_caller(Some(&name), &name), HubName::of_client(&effective));
    }

    #[test]
    fn bad_names_are_named() {
        let long = "a".repeat(129);
        for name in ["", "1abc", "_a", "a b", "a-b", "a/b", "é", long.as_str()] {
            assert_eq!(HubName::of_caller(None, name).unwrap_err().parameter, "hub", "{name:?}");
            assert_eq!(
                HubName::of_caller(Some(name), "chat").unwrap_err().parameter,
                "application",
                "{name:?}"
            );
        }
        assert!(HubName::of_caller(None, "a.b[0]`,_9").is_ok());
    }
}
