//! User ids: the names of people, and what keeps the people of several identity providers apart.
//!
//! Two providers can give the same name to two people. So where `ChatIdentityProvider` names a provider, only its people have their name as
//! user id; others have `provider:name`.

use azure_signalr::{NameError, UserId};

use crate::config::ProviderName;
use crate::text::{is_inline, is_visible};

/// The user id that is a person's name, without white space around it; `None` if it is too long, nothing of it is visible, or it changes
/// the lines or the order of text: it would look like another one.
pub(crate) fn parse_user_id(name: &str) -> Option<UserId> {
    let name = name.trim();
    name.parse().ok().filter(|_| is_visible(name) && is_inline(name))
}

/// The user id of the person whom `provider` calls `name`, where the names of `home` are user ids.
///
/// No two people get the same id: a name of `home` that contains a `:` gets the prefix too, so an id without one is a name of `home`, and
/// all others begin with the provider, which contains none.
///
/// # Errors
///
/// When the id is too long.
pub(super) fn user_id(name: UserId, provider: &ProviderName, home: &ProviderName) -> Result<UserId, NameError> {
    if provider == home && !name.as_str().contains(':') {
        return Ok(name);
    }
    format!("{provider}:{}", name.as_str()).parse()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(provider: &str, name: &str, home: &str) -> String {
        let id = user_id(name.parse().unwrap(), &provider.parse().unwrap(), &home.parse().unwrap());
        id.unwrap().as_str().to_owned()
    }

    #[test]
    fn a_name_that_is_invisible_or_turns_text_around_is_no_user_id_and_spaces_around_one_do_not_count() {
        for (name, expected) in
            [("ann", "ann"), (" ann ", "ann"), ("\u{3000}Ann B\u{a0}", "Ann B"), ("a\u{200b}", "a\u{200b}")]
        {
            assert_eq!(parse_user_id(name).unwrap().as_str(), expected, "{name:?}");
        }
        for name in [
            "", " ", "\u{200b}", "\u{2060}\u{feff}", "\u{3164}", "\u{2800}", "\u{301}", "\u{e0041}", "\u{ad}", "..",
            "\u{202e}moc@bob", "a\u{2066}b", "a\u{2028}b",
        ] {
            assert_eq!(parse_user_id(name), None, "{name:?}");
        }
    }

    #[test]
    fn only_names_of_the_named_provider_are_user_ids_as_they_are() {
        for (provider, name, home, expected) in [
            ("aad", "ann@contoso.com", "aad", "ann@contoso.com"),
            ("AAD", "Ann@Contoso.com", "aad", "Ann@Contoso.com"),
            ("github", "ann", "aad", "github:ann"),
            ("GitHub", "Ann", "aad", "github:Ann"),
            ("google", "ann@contoso.com", "aad", "google:ann@contoso.com"),
            ("aad", "ann@contoso.com", "github", "aad:ann@contoso.com"),
            ("github", "ann", "github", "ann"),
            ("twitter", "ann", "x", "ann"),
            ("twitter", "ann", "aad", "x:ann"),
            ("x", "ann", "aad", "x:ann"),
            ("my-provider", "ann", "aad", "my-provider:ann"),
            ("my-provider", "a:b", "aad", "my-provider:a:b"),
            // Names that look like the ids of others.
            ("aad", "github:ann", "aad", "aad:github:ann"),
            ("aad", "aad:ann", "aad", "aad:aad:ann"),
            ("aad", ":ann", "aad", "aad::ann"),
            ("github", "aad:ann", "aad", "github:aad:ann"),
        ] {
            assert_eq!(id(provider, name, home), expected);
        }
    }

    #[test]
    fn an_id_that_is_too_long_with_its_provider_is_an_error() {
        let name: UserId = "a".repeat(UserId::MAX_BYTES).parse().unwrap();
        let [aad, github] = ["aad", "github"].map(|provider| provider.parse::<ProviderName>().unwrap());
        assert!(user_id(name.clone(), &aad, &aad).is_ok());
        assert_eq!(user_id(name, &github, &aad), Err(NameError::User));
    }

    proptest! {
        #[test]
        fn two_people_never_have_the_same_id(
            first in ("aad|github|x", "[ab:]{1,4}|aad:[ab]|github:[ab]"),
            second in ("aad|github|x", "[ab:]{1,4}|aad:[ab]|github:[ab]"),
        ) {
            let [one, other] = [&first, &second].map(|(provider, name)| id(provider, name, "aad"));
            prop_assert_eq!(one == other, first == second);
        }
    }
}
