//! The principal headers of Easy Auth, `x-ms-client-principal*`, of a request for which they can be trusted.
//!
//! A header or claim is absent, says something, or is there and cannot be read. What cannot be read never counts as absent: its sender
//! would become a guest, or get another user id. An empty value says nothing and counts as absent.
//!
//! Contract: <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>.

use axum::http::HeaderMap;
use azure_signalr::UserId;

use super::claim_set::{ClaimSet, MAPPED_NAME};
use super::user_id::parse_user_id;
use crate::error::Error;

const NAME: &str = "x-ms-client-principal-name";
const CLAIMS: &str = "x-ms-client-principal";
const ID: &str = "x-ms-client-principal-id";
const PROVIDER: &str = "x-ms-client-principal-idp";

/// The claim types that hold what a person is called.
const DISPLAY_NAME_TYPES: [&str; 2] = ["name", MAPPED_NAME];

/// The id of a session, in place of the id of a person.
const SESSION_PREFIX: &str = "sid:";

/// The principal headers of a request that has at least one. They are read when asked for: most requests need only one of them.
pub(crate) struct Principal<'a>(&'a HeaderMap);

impl<'a> Principal<'a> {
    /// `None` if the request has none of the headers: its caller has not signed in with Easy Auth.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        [NAME, CLAIMS, ID, PROVIDER].iter().any(|name| headers.contains_key(*name)).then_some(Self(headers))
    }

    /// The user's name: the name header, else the name claim. The provider's id counts only if both are absent.
    pub(crate) fn name(&self) -> Result<UserId, Error> {
        let unreadable = match self.header(NAME, "the name header").and_then(|name| parse(name, "the name header")) {
            Ok(Some(name)) => return Ok(name),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let claims = self.claims()?;
        let claim = claims.as_ref().map(ClaimSet::name).transpose()?.flatten();
        match (parse(claim, "the name claim")?, unreadable) {
            (Some(name), _) => Ok(name),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let id = self.id()?.map(checked_id).transpose()?;
                parse(id, "the id header")?.ok_or(Error::UnreadablePrincipal("a name or an id"))
            }
        }
    }

    /// What the person is called: the claim `name`, if there is one that can be read.
    pub(crate) fn display_name(&self) -> Option<String> {
        let claims = self.claims().ok()??;
        let mut names = DISPLAY_NAME_TYPES.iter().filter_map(|typ| claims.claim(&[typ]).ok().flatten());
        names.next().map(str::to_owned)
    }

    /// The provider that the person has signed in with, as Easy Auth calls it; `None` if no header or claim says it.
    pub(crate) fn provider(&self) -> Result<Option<String>, Error> {
        if let Some(provider) = self.header(PROVIDER, "the provider header")? {
            return Ok(Some(provider.to_owned()));
        }
        Ok(self.claims()?.as_ref().map(ClaimSet::provider).transpose()?.flatten().map(str::to_owned))
    }

    /// The person's id at the provider.
    pub(super) fn id(&self) -> Result<Option<&'a str>, Error> {
        self.header(ID, "the id header")
    }

    /// The decoded `x-ms-client-principal`.
    pub(super) fn claims(&self) -> Result<Option<ClaimSet>, Error> {
        let Some(encoded) = self.header(CLAIMS, "the principal")? else { return Ok(None) };
        ClaimSet::decode(encoded).map(Some).ok_or(Error::UnreadablePrincipal("the principal"))
    }

    /// The value of a header. The platform sets one value; of two, one may be forged.
    fn header(&self, name: &str, what: &'static str) -> Result<Option<&'a str>, Error> {
        let mut values = self.0.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let text = std::str::from_utf8(value.as_bytes()).ok().filter(|_| values.next().is_none());
        text.map(|text| Some(text).filter(|text| !text.is_empty())).ok_or(Error::UnreadablePrincipal(what))
    }
}

fn parse(text: Option<&str>, what: &'static str) -> Result<Option<UserId>, Error> {
    text.map(|name| parse_user_id(name).ok_or(Error::UnreadablePrincipal(what))).transpose()
}

/// `id`, unless it is that of a session: the next session of the same person has another one.
pub(super) fn checked_id(id: &str) -> Result<&str, Error> {
    if id.starts_with(SESSION_PREFIX) { Err(Error::SessionWithoutName) } else { Ok(id) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;

    type Headers<'a> = &'a [(&'static str, &'a [u8])];

    fn header_map(headers: Headers<'_>) -> HeaderMap {
        let value = |value: &[u8]| HeaderValue::from_bytes(value).unwrap();
        headers.iter().map(|(name, bytes)| (name.parse().unwrap(), value(bytes))).collect()
    }

    /// The user id, `guest` without any header, else what the log says.
    fn outcome(headers: Headers<'_>) -> String {
        let headers = header_map(headers);
        match Principal::of(&headers).map(|principal| principal.name()) {
            None => "guest".to_owned(),
            Some(Ok(name)) => name.as_str().to_owned(),
            Some(Err(error)) => error.to_string(),
        }
    }

    fn encoded(json: &str) -> Vec<u8> {
        STANDARD.encode(json).into_bytes()
    }

    /// The outcome for a principal alone, and beside an id.
    fn of_principal(json: &str) -> [String; 2] {
        let principal = encoded(json);
        [outcome(&[(CLAIMS, &principal)]), outcome(&[(CLAIMS, &principal), (ID, b"7"), (PROVIDER, b"aad")])]
    }

    const ANN: &str = r#"{"auth_typ":"aad","name_typ":"n","claims":[{"typ":"x","val":"1"},{"typ":"n","val":"Änn"},{"typ":"n","val":"Bob"}]}"#;

    /// In the middle of the claims of a user with the name `ann`.
    #[test]
    fn a_principal_is_read_for_the_name_claim_and_other_claims_may_have_any_form() {
        for other in [
            r#"{"typ":"exp","val":1800000000}"#,
            r#"{"typ":"exp","val":1.5e300}"#,
            r#"{"typ":"x","val":null}"#,
            r#"{"typ":"x","val":true}"#,
            r#"{"typ":"groups","val":["a","b"]}"#,
            r#"{"typ":"address","val":{"country":"NL"}}"#,
            r#"{"typ":"x"}"#,
            r#"{"val":"x"}"#,
            r#"{"typ":7,"val":"x"}"#,
            r#"{"typ":null,"val":"x"}"#,
            r#"{"typ":["name"],"val":"x"}"#,
            r#"{"typ":"x","val":"1","extra":{"a":[1]}}"#,
            r#"{"typ":"","val":""}"#,
            "{}",
            "null",
            "7",
            "true",
            r#""name""#,
            r#"["name","bob"]"#,
        ] {
            for name in [MAPPED_NAME, "preferred_username", "name"] {
                for name_typ in [format!(r#","name_typ":"{name}""#), r#","name_typ":null"#.to_owned(), String::new()] {
                    let json = format!(
                        r#"{{"auth_typ":"aad","claims":[{other},{{"typ":"{name}","val":"ann"}},{other}]{name_typ},"role_typ":7}}"#
                    );
                    assert_eq!(of_principal(&json), ["ann", "ann"], "{json}");
                }
            }
        }
    }

    #[test]
    fn other_members_of_a_principal_may_have_any_form() {
        for members in [
            r#""auth_typ":7"#, r#""auth_typ":null"#, r#""role_typ":[]"#, r#""identityProvider":7"#, r#""userId":7"#,
            r#""userDetails":null"#, r#""userRoles":"authenticated""#, r#""later":{"a":[1,null]}"#,
        ] {
            let json = format!(r#"{{{members},"name_typ":"n","claims":[{{"typ":"n","val":"ann"}}]}}"#);
            assert_eq!(of_principal(&json), ["ann", "ann"], "{json}");
        }
    }

    #[test]
    fn a_principal_from_which_no_name_can_be_read_is_never_a_guest_and_never_an_id() {
        let long = format!(r#"{{"userDetails":"{}"}}"#, "a".repeat(1_100));
        for json in [
            "",
            " ",
            "null",
            "7",
            "\"ann\"",
            "[]",
            r#"[{"typ":"name","val":"ann"}]"#,
            "{}",
            r#"{"name":"ann"}"#,
            r#"{"claims":1}"#,
            r#"{"claims":"name"}"#,
            r#"{"claims":{"name":"ann"}}"#,
            r#"{"claims":[{"typ":"name","val":"ann"}]"#,
            r#"{"claims":[{"typ":"name","val":7}]}"#,
            r#"{"claims":[{"typ":"name","val":null}]}"#,
            r#"{"claims":[{"typ":"name","val":true}]}"#,
            r#"{"claims":[{"typ":"name","val":["ann"]}]}"#,
            r#"{"claims":[{"typ":"name"}]}"#,
            r#"{"claims":[{"typ":"name","val":".."}]}"#,
            r#"{"claims":[{"typ":"name","val":"a\nb"}]}"#,
            r#"{"claims":[{"typ":"name","val":"  "}]}"#,
            r#"{"claims":[{"typ":"name","val":"\u200b\u2060"}]}"#,
            r#"{"claims":[{"typ":"name","val":"\u3164"}]}"#,
            r#"{"name_typ":7,"claims":[{"typ":"name","val":"ann"}]}"#,
            r#"{"identityProvider":"github","userDetails":7}"#,
            r#"{"identityProvider":"github","userDetails":["ann"]}"#,
            &long,
        ] {
            // An empty header value says nothing, so only then the id counts.
            let expected =
                if json.is_empty() { ["a name or an id", "7"] } else { ["cannot be read", "cannot be read"] };
            for (outcome, expected) in of_principal(json).into_iter().zip(expected) {
                assert!(outcome.contains(expected) && outcome != "guest", "{json}: {outcome}");
            }
        }
        for broken in ["%%%", "ann", "e30", "bm90IGpzb24=", "eyJ1c2VyRGV0YWlscyI6ImFubiJ9*", "W10="] {
            for headers in [&[(CLAIMS, broken.as_bytes())][..], &[(CLAIMS, broken.as_bytes()), (ID, b"7")]] {
                assert!(outcome(headers).contains("the principal cannot be read"), "{broken}: {}", outcome(headers));
            }
        }
    }

    #[test]
    fn each_combination_of_headers_names_one_user_or_none() {
        let (ann, nameless) = (encoded(ANN), encoded(r#"{"auth_typ":"aad","claims":[{"typ":"x","val":"1"}]}"#));
        let (empty, broken) = (encoded("{}"), b"%%%");
        let long = "a".repeat(1_100).into_bytes();
        let unreadable =
            |what| format!("unauthenticated: there are principal headers, and {what} cannot be read from them");
        let session = "session_without_name: the token store of Easy Auth has no name for this session; it must be on, \
                       and the same for all instances";
        let cases: &[(Headers<'_>, &str)] = &[
            // Not signed in.
            (&[], "guest"),
            (&[("x-ms-client-ip", b"1.2.3.4")], "guest"),
            (&[("x-ms-token-aad-id-token", b"t")], "guest"),
            // The name, then the claim, then the id.
            (&[(NAME, b"ann"), (CLAIMS, &nameless), (ID, b"7"), (PROVIDER, b"aad")], "ann"),
            (&[(NAME, b"ann"), (CLAIMS, &ann), (ID, b"7")], "ann"),
            (&[(NAME, b"ann"), (CLAIMS, broken), (ID, b"7")], "ann"),
            (&[(NAME, b"ann"), (ID, b"sid:7")], "ann"),
            (&[(NAME, "Zoë 😀".as_bytes()), (ID, b"7")], "Zoë 😀"),
            (&[(CLAIMS, &ann), (ID, b"7")], "Änn"),
            (&[(CLAIMS, &ann), (ID, b"sid:7")], "Änn"),
            (&[(CLAIMS, &nameless), (ID, b"7")], "7"),
            (&[(ID, b"7")], "7"),
            (&[(ID, b"7"), (PROVIDER, b"github")], "7"),
            // An empty value says nothing.
            (&[(NAME, b""), (CLAIMS, &ann)], "Änn"),
            (&[(NAME, b""), (CLAIMS, b""), (ID, b"7")], "7"),
            (&[(NAME, b"")], &unreadable("a name or an id")),
            // A name that cannot be read: the claim, and never the id.
            (&[(NAME, b"Zo\xeb"), (CLAIMS, &ann), (ID, b"7")], "Änn"),
            (&[(NAME, b"Zo\xeb"), (CLAIMS, &nameless), (ID, b"7")], &unreadable("the name header")),
            (&[(NAME, b"Zo\xeb"), (CLAIMS, broken), (ID, b"7")], &unreadable("the principal")),
            (&[(NAME, b"Zo\xeb"), (ID, b"7")], &unreadable("the name header")),
            (&[(NAME, b"Zo\xeb")], &unreadable("the name header")),
            (&[(NAME, &long), (CLAIMS, &ann), (ID, b"7")], "Änn"),
            (&[(NAME, &long), (ID, b"7")], &unreadable("the name header")),
            (&[(NAME, b"ann"), (NAME, b"root"), (CLAIMS, &ann)], "Änn"),
            (&[(NAME, b"ann"), (NAME, b"root"), (ID, b"7")], &unreadable("the name header")),
            (&[(NAME, b"ann"), (NAME, b"ann")], &unreadable("the name header")),
            (&[(NAME, b".."), (ID, b"7")], &unreadable("the name header")),
            // A principal that cannot be read.
            (&[(CLAIMS, broken), (ID, b"7")], &unreadable("the principal")),
            (&[(CLAIMS, &empty), (ID, b"7")], &unreadable("the principal")),
            (&[(CLAIMS, &ann), (CLAIMS, &ann), (ID, b"7")], &unreadable("the principal")),
            (&[(CLAIMS, b"\xff"), (ID, b"7")], &unreadable("the principal")),
            // Nothing that names a user.
            (&[(CLAIMS, &nameless)], &unreadable("a name or an id")),
            (&[(PROVIDER, b"aad")], &unreadable("a name or an id")),
            (&[(ID, b"7"), (ID, b"8")], &unreadable("the id header")),
            (&[(ID, b"\xff")], &unreadable("the id header")),
            (&[(ID, &long)], &unreadable("the id header")),
            // Sessions whose name is not in the token store.
            (&[(ID, b"sid:7")], session),
            (&[(ID, b"sid:7"), (PROVIDER, b"aad")], session),
            (&[(CLAIMS, &nameless), (ID, b"sid:7")], session),
            (&[(NAME, b"Zo\xeb"), (ID, b"sid:7")], &unreadable("the name header")),
        ];
        for (headers, expected) in cases {
            assert_eq!(outcome(headers), *expected, "{headers:?}");
        }
    }

    #[test]
    fn case_56_missing_padding_is_forgiven_and_the_first_of_repeated_claims_counts() {
        assert_eq!(outcome(&[(CLAIMS, STANDARD_NO_PAD.encode(ANN).as_bytes())]), "Änn");
    }

    #[test]
    fn case_58_the_principal_of_static_web_apps_is_recognised() {
        for (json, alone, with_id) in [
            (
                r#"{"identityProvider":"github","userId":"7","userDetails":"ann","userRoles":["authenticated"]}"#,
                "ann",
                "ann",
            ),
            (
                r#"{"identityProvider":"aad","userDetails":"ann","claims":[{"typ":"name","val":"Ann Lee"}]}"#,
                "ann",
                "ann",
            ),
            (
                r#"{"identityProvider":"aad","userId":"7","userDetails":"","claims":[{"typ":"name","val":"Ann"}]}"#,
                "Ann",
                "Ann",
            ),
            (r#"{"identityProvider":7,"userId":null,"userDetails":"ann","userRoles":7}"#, "ann", "ann"),
            (r#"{"identityProvider":"aad","userId":"8","userDetails":null}"#, "or an id cannot be read", "7"),
        ] {
            let [found_alone, found_with_id] = of_principal(json);
            assert!(found_alone.contains(alone), "{json}: {found_alone}");
            assert_eq!(found_with_id, with_id, "{json}");
        }
    }

    #[test]
    fn of_several_name_claims_the_one_that_the_principal_points_to_counts_and_what_a_person_is_called_is_the_last() {
        for (members, expected) in [
            (r#""name_typ":"upn""#, "u"),
            (r#""name_typ":"missing""#, "m"),
            (r#""name_typ":"empty""#, "m"),
            (r#""name_typ":"""#, "m"),
            (r#""auth_typ":"aad""#, "m"),
        ] {
            let claims = [("name", "n"), ("preferred_username", "p"), (MAPPED_NAME, "m"), ("upn", "u"), ("empty", "")];
            let claims = claims.map(|(typ, val)| format!(r#"{{"typ":"{typ}","val":"{val}"}}"#)).join(",");
            assert_eq!(
                of_principal(&format!(r#"{{{members},"claims":[{claims}]}}"#)),
                [expected, expected],
                "{members}"
            );
        }
        let two = r#"{"claims":[{"typ":"name","val":"Ann Lee"},{"typ":"preferred_username","val":"ann"}]}"#;
        assert_eq!(of_principal(two), ["ann", "ann"]);
    }

    #[test]
    fn a_provider_is_read_from_its_header_else_from_either_form_of_the_principal() {
        fn provider(headers: Headers<'_>) -> Result<Option<String>, String> {
            Principal(&header_map(headers)).provider().map_err(|error| error.to_string())
        }
        let (app_service, static_web_apps) = (encoded(ANN), encoded(r#"{"identityProvider":"github"}"#));
        let (unreadable, unknown) = (encoded(r#"{"auth_typ":7}"#), encoded(r#"{"claims":[]}"#));
        for (headers, expected) in [
            (&[(PROVIDER, &b"aad"[..]), (CLAIMS, &static_web_apps)][..], Some("aad")),
            (&[(PROVIDER, b"AAD"), (CLAIMS, b"%%%")], Some("AAD")),
            (&[(CLAIMS, &app_service)], Some("aad")),
            (&[(CLAIMS, &static_web_apps)], Some("github")),
            (&[(PROVIDER, b""), (CLAIMS, &app_service)], Some("aad")),
            (&[(CLAIMS, &unknown)], None),
            (&[(NAME, b"ann")], None),
        ] {
            assert_eq!(provider(headers).unwrap().as_deref(), expected, "{headers:?}");
        }
        for headers in [
            &[(PROVIDER, &b"aad"[..]), (PROVIDER, b"github")][..],
            &[(PROVIDER, b"\xff"), (CLAIMS, &app_service)],
            &[(CLAIMS, &unreadable)],
            &[(CLAIMS, b"%%%")],
        ] {
            assert!(provider(headers).unwrap_err().contains("cannot be read"), "{headers:?}");
        }
    }

    #[test]
    fn a_person_is_called_by_the_claim_name_in_either_form() {
        let called = |claims: &str| {
            let principal = encoded(&format!(r#"{{"claims":[{claims}]}}"#));
            Principal(&header_map(&[(CLAIMS, &principal)])).display_name()
        };
        let mapped = format!(r#"{{"typ":"{MAPPED_NAME}","val":"Ann B. Lee"}}"#);
        for (claims, expected) in [
            (r#"{"typ":"name","val":"Ann Lee"}"#.to_owned(), Some("Ann Lee")),
            (mapped.clone(), Some("Ann B. Lee")),
            (format!(r#"{mapped},{{"typ":"name","val":"Ann Lee"}}"#), Some("Ann Lee")),
            (format!(r#"{mapped},{{"typ":"name","val":7}}"#), Some("Ann B. Lee")),
            (r#"{"typ":"preferred_username","val":"ann"}"#.to_owned(), None),
        ] {
            assert_eq!(called(&claims).as_deref(), expected, "{claims}");
        }
        for headers in [&[(NAME, &b"ann"[..])][..], &[(CLAIMS, b"%%%")]] {
            assert_eq!(Principal(&header_map(headers)).display_name(), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_request_with_any_principal_header_is_never_a_guest(
            name in "[a-z\\x80-\\xff]{0,3}", json in r#"[\[\]{}":,a-z0-9]{0,20}"#, which in 1..8_u8,
        ) {
            let principal = encoded(&json);
            let values: [(&'static str, &[u8]); 3] = [(NAME, name.as_bytes()), (CLAIMS, &principal), (ID, b"7")];
            let chosen: Vec<_> = (0..3).filter(|bit| which & (1 << bit) != 0).map(|bit| values[bit]).collect();
            proptest::prop_assert_ne!(outcome(&chosen), "guest");
        }
    }
}
