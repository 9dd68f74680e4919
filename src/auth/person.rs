//! The person who is calling, by an id that stays the same when names and e-mail addresses change.
//!
//! Names and addresses are reassigned, and a new owner must not get the identity of the old one. So a person is an object of an Entra
//! tenant, or with other providers the provider's id.

use std::fmt;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use entra_jwt::User;
use sha2::{Digest as _, Sha256};

use super::{AuthConfig, CLAIMS, ClientPrincipal, ID, single_header};
use crate::error::Error;

const PROVIDER: &str = "x-ms-client-principal-idp";

/// Microsoft Entra ID, as Easy Auth calls it.
const ENTRA: &str = "aad";
/// Its claims, as Easy Auth renames them and as they are in the token.
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
    /// The person that trusted headers name; `None` if they name none or are ambiguous.
    fn named_by(headers: &HeaderMap) -> Option<Self> {
        let principal = single_header(headers, CLAIMS).and_then(ClientPrincipal::decode).unwrap_or_default();
        let provider = single_header(headers, PROVIDER).or(principal.provider())?.to_ascii_lowercase();
        let in_tenant = (principal.claim(&TENANT), principal.claim(&OBJECT));
        // Other providers may let users choose the values of these claims.
        if let (ENTRA, (Some(tenant), Some(object))) = (provider.as_str(), in_tenant) {
            return Some(Self { tenant: Some(tenant.to_owned()), subject: object.to_owned(), provider });
        }
        let subject = single_header(headers, ID).or(principal.user_id())?.to_owned();
        Some(Self { provider, tenant: None, subject })
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
        let policy = AuthConfig::from_ref(state);
        if let Some(person) = policy.if_trusted(|| Self::named_by(&parts.headers)) {
            return Ok(person);
        }
        let user = policy.bearer(&parts.headers).await?;
        user.as_ref().map(Self::of).ok_or(Error::Unauthenticated("get an access token"))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use super::*;

    fn person(headers: &[(&'static str, &str)]) -> Option<Person> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Person::named_by(&headers.collect())
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
    fn without_a_provider_or_an_id_or_with_two_of_either_there_is_no_person() {
        let name = "x-ms-client-principal-name";
        for headers in [
            &[][..],
            &[(name, "ann")],
            &[(name, "ann"), (PROVIDER, "aad")],
            &[(name, "ann"), (ID, "7")],
            &[(PROVIDER, "aad"), (ID, "")],
            &[(PROVIDER, "aad"), (ID, "7"), (ID, "8")],
            &[(PROVIDER, "aad"), (PROVIDER, "github"), (ID, "7")],
        ] {
            assert_eq!(person(headers), None);
        }
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
