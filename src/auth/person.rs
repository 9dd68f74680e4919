//! The person who is calling, by an id that stays the same when names and e-mail addresses change.
//!
//! Names and addresses are reassigned, and a new owner must not get the identity of the old one. So a person is an object of an Entra
//! tenant, or with other providers the provider's id.

use std::fmt;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use entra_jwt::User;
use sha2::{Digest as _, Sha256};

use super::principal::{Principal, checked_id};
use super::{AuthConfig, ENTRA};
use crate::error::Error;

/// The claims of Microsoft Entra ID, as Easy Auth renames them and as they are in the token.
const TENANT: [&str; 2] = ["http://schemas.microsoft.com/identity/claims/tenantid", "tid"];
const OBJECT: [&str; 2] = ["http://schemas.microsoft.com/identity/claims/objectidentifier", "oid"];

/// A person who has signed in. As an extractor it rejects other callers.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    provider: String,
    tenant: Option<String>,
    subject: String,
}

/// A hash of 32 bytes that identifies a person without their name or id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonKey([u8; 32]);

impl Person {
    /// The person that trusted headers name. A value that is there and cannot be read is an error: the person would become another one.
    fn named_by(principal: &Principal<'_>) -> Result<Self, Error> {
        let claims = principal.claims()?.unwrap_or_default();
        let provider = principal.provider()?.ok_or(Error::UnreadablePrincipal("the provider"))?.to_ascii_lowercase();
        // Other providers may let users choose the values of these claims.
        if provider == ENTRA
            && let (Some(tenant), Some(object)) = (claims.claim(&TENANT)?, claims.claim(&OBJECT)?)
        {
            return Ok(Self { tenant: Some(tenant.to_owned()), subject: object.to_owned(), provider });
        }
        let id = match principal.id()? {
            Some(id) => id,
            None => claims.user_id()?.ok_or(Error::UnreadablePrincipal("the id"))?,
        };
        Ok(Self { provider, tenant: None, subject: checked_id(id)?.to_owned() })
    }

    /// The person of a bearer token, the same as if Easy Auth had authenticated them.
    fn of(user: &User) -> Self {
        let (tenant, subject) = (user.tenant_id().to_owned(), user.object_id().to_owned());
        Self { provider: ENTRA.to_owned(), tenant: Some(tenant), subject }
    }

    /// The key of this person in the identity store and in the tables of this process.
    pub fn key(&self) -> PersonKey {
        let mut hash = Sha256::new();
        let tenant = self.tenant.as_deref().unwrap_or_default();
        // The length before each part keeps tenant `a`, subject `bc` apart from tenant `ab`, subject `c`.
        for part in [&self.provider, tenant, &self.subject] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        PersonKey(hash.finalize().into())
    }
}

/// Shows nothing of the person.
impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(***)")
    }
}

impl PersonKey {
    /// The bytes of the hash.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The number of this key's group, from 0 to `groups`; groups are of about the same size.
    pub(crate) fn group(&self, groups: usize) -> usize {
        usize::from(self.0[0]) % groups
    }

    /// A different key for each number.
    #[cfg(test)]
    pub(crate) fn of_number(number: usize) -> Self {
        let subject = number.to_string();
        Person { provider: "github".to_owned(), tenant: None, subject }.key()
    }
}

/// Not shown: it identifies a person.
impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonKey(***)")
    }
}

impl<S> FromRequestParts<S> for Person
where
    S: Send + Sync,
    AuthConfig: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let config = AuthConfig::from_ref(state);
        if let Some(principal) = config.principal(&parts.headers) {
            return Self::named_by(&principal);
        }
        let user = config.bearer(&parts.headers).await?;
        user.as_ref().map(Self::of).ok_or(Error::Unauthenticated("get an access token"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "x-ms-client-principal-id";
    const CLAIMS: &str = "x-ms-client-principal";
    const PROVIDER: &str = "x-ms-client-principal-idp";

    type Headers<'a> = &'a [(&'static str, &'a [u8])];

    fn outcome(headers: Headers<'_>) -> Result<Person, Error> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap()))
            .collect();
        Person::named_by(&Principal::of(&headers).unwrap())
    }

    fn person(headers: &[(&'static str, &str)]) -> Option<Person> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        outcome(&headers).ok()
    }

    fn with_claims(provider: &str, claims: &[(&str, &str)]) -> Option<Person> {
        let claims: Vec<Value> = claims.iter().map(|(typ, val)| json!({"typ": typ, "val": val})).collect();
        let principal = STANDARD.encode(json!({"auth_typ": provider, "claims": claims}).to_string());
        person(&[(PROVIDER, provider), (ID, "id"), (CLAIMS, &principal)])
    }

    fn key(person: Option<Person>) -> PersonKey {
        person.unwrap().key()
    }

    #[test]
    fn with_entra_a_person_is_an_object_of_a_tenant() {
        let ann = with_claims("aad", &[(TENANT[0], "t"), (OBJECT[0], "o")]);
        assert_eq!(ann, with_claims("AAD", &[("tid", "t"), ("oid", "o"), ("name", "Ann")]));
        for other in [
            with_claims("aad", &[("tid", "u"), ("oid", "o")]),
            with_claims("aad", &[("tid", "t"), ("oid", "p")]),
            with_claims("aad", &[("oid", "o")]),
            with_claims("aad", &[("tid", "t")]),
        ] {
            assert_ne!(key(ann.clone()), key(other));
        }
    }

    #[test]
    fn with_other_providers_a_person_is_the_providers_id_and_claims_do_not_count() {
        let ann = person(&[(PROVIDER, "github"), (ID, "id")]);
        assert_eq!(ann, with_claims("github", &[("tid", "t"), ("oid", "o"), ("sub", "s")]));
        assert_ne!(key(ann), key(person(&[(PROVIDER, "google"), (ID, "id")])));
    }

    #[test]
    fn static_web_apps_says_it_in_the_principal_alone() {
        let principal = STANDARD.encode(r#"{"identityProvider":"github","userId":"7","userDetails":"ann"}"#);
        assert_eq!(person(&[(CLAIMS, &principal)]), person(&[(PROVIDER, "github"), (ID, "7")]));
    }

    #[test]
    fn headers_from_which_no_person_can_be_read_are_rejected_and_never_name_another_person() {
        let name = "x-ms-client-principal-name";
        let encoded = |json: &Value| STANDARD.encode(json.to_string()).into_bytes();
        let claims = |claims: &Value| encoded(&json!({"auth_typ": "aad", "claims": claims}));
        let numbers = claims(&json!([{"typ": "tid", "val": 1}, {"typ": "oid", "val": "o"}]));
        let null = claims(&json!([{"typ": "tid", "val": "t"}, {"typ": "oid", "val": null}]));
        let (no_list, list) = (claims(&json!(7)), encoded(&json!([])));
        let provider = encoded(&json!({"auth_typ": 7, "userId": "7"}));
        let user_id = encoded(&json!({"identityProvider": "github", "userId": 7}));
        let session = encoded(&json!({"identityProvider": "github", "userId": "sid:7"}));
        let unreadable = ["the provider", "the id", "the principal", "a claim", "the user id"];
        let cases: &[(Headers<'_>, &str)] = &[
            (&[(name, b"ann")], unreadable[0]),
            (&[(name, b"ann"), (PROVIDER, b"aad")], unreadable[1]),
            (&[(name, b"ann"), (ID, b"7")], unreadable[0]),
            (&[(PROVIDER, b"aad"), (ID, b"")], unreadable[1]),
            (&[(PROVIDER, b"aad"), (ID, b"7"), (ID, b"8")], unreadable[1]),
            (&[(PROVIDER, b"aad"), (ID, b"\xff")], unreadable[1]),
            (&[(PROVIDER, b"aad"), (PROVIDER, b"github"), (ID, b"7")], unreadable[0]),
            (&[(PROVIDER, b"\xff"), (ID, b"7")], unreadable[0]),
            (&[(CLAIMS, &provider), (ID, b"7")], unreadable[0]),
            (&[(PROVIDER, b"aad"), (ID, b"7"), (CLAIMS, b"%%%")], unreadable[2]),
            (&[(PROVIDER, b"github"), (ID, b"7"), (CLAIMS, b"%%%")], unreadable[2]),
            (&[(PROVIDER, b"aad"), (ID, b"7"), (CLAIMS, &list)], unreadable[2]),
            (&[(PROVIDER, b"aad"), (ID, b"7"), (CLAIMS, &no_list)], unreadable[2]),
            (&[(PROVIDER, b"aad"), (ID, b"7"), (CLAIMS, &numbers)], unreadable[3]),
            (&[(PROVIDER, b"aad"), (ID, b"7"), (CLAIMS, &null)], unreadable[3]),
            (&[(CLAIMS, &user_id)], unreadable[4]),
            (&[(CLAIMS, &session)], "the token store"),
            (&[(PROVIDER, b"aad"), (ID, b"sid:7")], "the token store"),
            (&[(PROVIDER, b"github"), (ID, b"sid:7")], "the token store"),
        ];
        for (headers, expected) in cases {
            let error = outcome(headers).unwrap_err().to_string();
            assert!(error.contains(expected), "{headers:?}: {error}");
        }
    }

    #[test]
    fn claims_that_are_not_needed_may_have_any_form() {
        let claims = json!([7, null, {"typ": "exp", "val": 7}, {"typ": "tid", "val": "t"}, {"typ": "x", "val": null},
            {"typ": "oid", "val": "o"}]);
        let principal = STANDARD.encode(json!({"auth_typ": "aad", "claims": claims}).to_string());
        let ann = with_claims("aad", &[("tid", "t"), ("oid", "o")]);
        assert_eq!(person(&[(PROVIDER, "aad"), (ID, "id"), (CLAIMS, &principal)]), ann);
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        let at = |tenant, object| key(with_claims("aad", &[("tid", tenant), ("oid", object)]));
        assert_ne!(at("ab", "c"), at("a", "bc"));
    }

    #[test]
    fn a_person_does_not_print() {
        let ann = person(&[(PROVIDER, "github"), (ID, "hush")]).unwrap();
        assert!(!format!("{ann:?} {:?}", ann.key()).contains("hush"));
    }
}
