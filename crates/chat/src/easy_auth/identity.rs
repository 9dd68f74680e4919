//! The signed-in user, and the principal headers by which Easy Auth passes it to the app.
//!
//! A name that is not ASCII is only among the claims of `X-MS-CLIENT-PRINCIPAL`: `X-MS-CLIENT-PRINCIPAL-NAME` is left out.
//!
//! A sign-in under a name that begins with `sid:` shows what the app gets when the token store has lost the name: the id only.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

const MAX_NAME_CHARS: usize = 256;

/// The beginning of the id of a session, as in the user id of a sign-in response.
pub(super) const SID_PREFIX: &str = "sid:";

const PRINCIPAL: HeaderName = HeaderName::from_static("x-ms-client-principal");
const PRINCIPAL_ID: HeaderName = HeaderName::from_static("x-ms-client-principal-id");
const PRINCIPAL_NAME: HeaderName = HeaderName::from_static("x-ms-client-principal-name");
const PRINCIPAL_IDP: HeaderName = HeaderName::from_static("x-ms-client-principal-idp");

const ID_CLAIM: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
const NAME_CLAIM: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const ROLE_CLAIM: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

/// An identity provider. Locally it is never called: it is part of the identity only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    /// The name in `/.auth/login/{alias}` and in the principal.
    pub(super) alias: &'static str,
    /// The display name.
    pub(super) label: &'static str,
}

const PROVIDERS: [Provider; 8] = [
    Provider { alias: "aad", label: "Microsoft Entra ID" },
    Provider { alias: "apple", label: "Apple" },
    Provider { alias: "facebook", label: "Facebook" },
    Provider { alias: "github", label: "GitHub" },
    Provider { alias: "google", label: "Google" },
    Provider { alias: "microsoftaccount", label: "Microsoft account" },
    Provider { alias: "twitter", label: "X" },
    Provider { alias: "x", label: "X" },
];

impl Provider {
    /// Finds a provider by its alias, in any letter case.
    pub(super) fn find(alias: &str) -> Option<Self> {
        PROVIDERS.into_iter().find(|provider| provider.alias.eq_ignore_ascii_case(alias))
    }

    /// All aliases, for error messages.
    pub(super) fn aliases() -> String {
        PROVIDERS.map(|provider| provider.alias).join(", ")
    }
}

/// A valid user name: 1 to 256 characters, none of them a control character, no space at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

/// Why a text is not a valid name. `Display` says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error("Type a name first.")]
    Empty,
    #[error("The name is too long: use at most {MAX_NAME_CHARS} characters.")]
    TooLong,
    #[error("Use a name without line breaks and other control characters.")]
    ControlCharacter,
    #[error(
        "This looks like an access token or another secret, and a name is public: use a name such as alice@contoso.com, \
         or a JWT with the claim name, preferred_username or sub."
    )]
    Secret,
    #[error(
        "This token has no name: its claim name, preferred_username or sub must be a text of at most \
         {MAX_NAME_CHARS} characters. A name such as alice@contoso.com works too."
    )]
    NoNameInToken,
}

impl NameError {
    /// Whether the text was, or may have been, a token, which must not be shown.
    pub(super) fn is_about_token(self) -> bool {
        matches!(self, Self::Secret | Self::NoNameInToken)
    }
}

impl Name {
    /// Parses `text` without the space around it.
    pub(super) fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(NameError::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        Ok(Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user, as signed in with a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) provider: Provider,
    pub(super) name: Name,
}

impl Identity {
    /// The user's id at the provider: a hash of provider and name, so it is stable.
    fn id(&self) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(self.provider.alias);
        hash.update([0]);
        hash.update(self.name.as_str());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        Builder::from_custom_bytes(first).into_uuid()
    }

    /// The user id in sign-in responses: `sid:` and the id.
    pub(super) fn sid(&self) -> String {
        format!("{SID_PREFIX}{}", self.id().simple())
    }

    /// Whether the token store has lost the name: the sign-in was under a name that begins with `sid:`.
    fn is_nameless(&self) -> bool {
        self.name.as_str().starts_with(SID_PREFIX)
    }

    /// The user id in `/.auth/me`: the name if there is one.
    pub(super) fn user_id(&self) -> String {
        if self.is_nameless() { self.sid() } else { self.name.as_str().to_owned() }
    }

    /// The claims as Easy Auth writes them, `[{"typ":…,"val":…}]`.
    pub(super) fn claims(&self) -> Value {
        if self.is_nameless() {
            return json!([{ "typ": ID_CLAIM, "val": self.sid() }]);
        }
        json!([
            { "typ": ID_CLAIM, "val": self.id().to_string() },
            { "typ": NAME_CLAIM, "val": self.name.as_str() },
            { "typ": "preferred_username", "val": self.name.as_str() },
        ])
    }

    /// Adds the principal to `headers`, from which the caller's own principal headers must have been removed.
    pub(super) fn inject(&self, headers: &mut HeaderMap) {
        headers.insert(PRINCIPAL_IDP, HeaderValue::from_static(self.provider.alias));
        if self.is_nameless() {
            headers.insert(PRINCIPAL_ID, ascii(&self.sid()));
            return;
        }
        headers.insert(PRINCIPAL, ascii(&self.encoded()));
        headers.insert(PRINCIPAL_ID, ascii(&self.id().to_string()));
        if self.name.as_str().is_ascii() {
            headers.insert(PRINCIPAL_NAME, ascii(self.name.as_str()));
        }
    }

    fn encoded(&self) -> String {
        let principal = json!({
            "auth_typ": self.provider.alias,
            "claims": self.claims(),
            "name_typ": NAME_CLAIM,
            "role_typ": ROLE_CLAIM,
        });
        STANDARD.encode(principal.to_string())
    }
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("base64, UUIDs and ASCII without control characters can be in a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(alias: &str, name: &str) -> Identity {
        Identity { provider: Provider::find(alias).unwrap(), name: Name::parse(name).unwrap() }
    }

    fn injected(name: &str) -> (HeaderMap, Value) {
        let mut headers = HeaderMap::new();
        identity("aad", name).inject(&mut headers);
        let principal = serde_json::from_slice(&STANDARD.decode(&headers[PRINCIPAL]).unwrap()).unwrap();
        (headers, principal)
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(Name::parse(" Ann Lee ").unwrap().as_str(), "Ann Lee");
        assert_eq!(Name::parse(&"ä".repeat(256)).unwrap().as_str().chars().count(), 256);
        assert_eq!(Name::parse(" \t\n"), Err(NameError::Empty));
        assert_eq!(Name::parse(&"ä".repeat(257)), Err(NameError::TooLong));
        for text in ["a\nb", "a\r\nX-MS-CLIENT-PRINCIPAL-ID: b", "a\0b", "a\u{85}b", "a\u{7f}b"] {
            assert_eq!(Name::parse(text), Err(NameError::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn a_principal_names_the_caller_in_headers_and_claims() {
        let (headers, principal) = injected("alice@contoso.com");
        assert_eq!(headers[PRINCIPAL_NAME], "alice@contoso.com");
        assert_eq!(headers[PRINCIPAL_IDP], "aad");
        assert_eq!(principal["auth_typ"], "aad");
        let claims = principal["claims"].as_array().unwrap();
        let value = |typ: &Value| claims.iter().find(|claim| &claim["typ"] == typ).unwrap()["val"].clone();
        assert_eq!(value(&principal["name_typ"]), "alice@contoso.com");
        assert_eq!(value(&Value::from(ID_CLAIM)), headers[PRINCIPAL_ID].to_str().unwrap());
    }

    #[test]
    fn case_57_a_name_that_is_not_ascii_is_only_in_the_claims() {
        let (headers, principal) = injected("Łucja 🦊");
        assert!(!headers.contains_key(PRINCIPAL_NAME));
        assert!(headers.contains_key(PRINCIPAL_ID));
        assert_eq!(principal["claims"][1]["val"], "Łucja 🦊");
    }

    #[test]
    fn without_a_name_the_principal_is_the_id_of_the_session_alone() {
        let lost = identity("aad", "sid:alice");
        let mut headers = HeaderMap::new();
        lost.inject(&mut headers);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers[PRINCIPAL_ID].to_str().unwrap(), lost.sid());
        assert_eq!(headers[PRINCIPAL_IDP], "aad");
        assert!(lost.sid().starts_with("sid:") && lost.user_id() == lost.sid());
        assert_eq!(lost.claims().as_array().unwrap().len(), 1);
        assert_eq!(identity("aad", "SID:alice").user_id(), "SID:alice");
    }

    #[test]
    fn ids_are_stable_and_differ_by_name_and_provider() {
        let alice = identity("aad", "alice");
        assert_eq!(alice.sid(), identity("aad", "alice").sid());
        assert_ne!(alice.sid(), identity("github", "alice").sid());
        assert_ne!(alice.sid(), identity("aad", "bob").sid());
        assert!(alice.sid().starts_with("sid:"));
    }
}
