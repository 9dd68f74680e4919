//! The names of identity providers, and the one whose people have their names as user ids.

use std::fmt;
use std::str::FromStr;

use super::{ConfigError, Env, IDENTITY_PROVIDER};

/// The name of an identity provider, as Easy Auth calls it in `/.auth/login/{name}`: `aad`, `github`, or a custom one. In lower case.
///
/// It has no `:`, which separates it from the name of a person. `twitter`, the older name of `x`, is `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderName(String);

/// The text is not the name of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of one identity provider as in /.auth/login/NAME, such as aad or github: up to 64 of A-Z, a-z, 0-9, ., _ and -"
)]
pub struct ProviderNameError;

impl FromStr for ProviderName {
    type Err = ProviderNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(is_plain) {
            return Err(ProviderNameError);
        }
        let name = text.to_ascii_lowercase();
        Ok(Self(if name == "twitter" { "x".to_owned() } else { name }))
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn identity_provider(env: &Env) -> Result<Option<ProviderName>, ConfigError> {
    let name = env.get(IDENTITY_PROVIDER).map(str::parse::<ProviderName>).transpose();
    name.map_err(|error| ConfigError::new(IDENTITY_PROVIDER, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{problems, read};

    #[test]
    fn a_provider_is_named_as_easy_auth_names_it() {
        assert_eq!(read(&[]).unwrap().identity_provider, None);
        for (value, expected) in [
            ("aad", "aad"),
            ("AAD", "aad"),
            ("github", "github"),
            ("apple", "apple"),
            ("x", "x"),
            ("Twitter", "x"),
            ("my-provider_2.test", "my-provider_2.test"),
        ] {
            let provider = read(&[(IDENTITY_PROVIDER, value)]).unwrap().identity_provider.unwrap();
            assert_eq!(provider.to_string(), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_name_of_one_provider_is_a_problem() {
        let long = "hush".repeat(17);
        for value in ["aad:hush", "aad,hush", "aad github", "/.auth/login/hush", "https://hush.example", "höst", &long]
        {
            assert_eq!(problems(&[(IDENTITY_PROVIDER, value)]), [IDENTITY_PROVIDER], "{value}");
        }
    }
}
