//! Verifies `HMAC-SHA256` signatures over method, request target, signed headers and the hash of the body.
//!
//! The target is not normalized: clients escape ids differently, and each signs what it sends. Signatures may repeat: a
//! client may send a request again unchanged.
//!
//! <https://learn.microsoft.com/azure/communication-services/tutorials/hmac-header-tutorial>

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::access_keys::{AccessKeys, KeyGeneration};
use crate::error::AuthError;

/// The scheme of the header `Authorization`.
pub(crate) const SCHEME: &str = "HMAC-SHA256";

const DATE: &str = "x-ms-date";
const CONTENT_HASH: &str = "x-ms-content-sha256";

/// The published message for a body that does not match the signed hash.
const CONTENT_HASH_MISMATCH: &str = "Request 'x-ms-content-sha256' differs from generated content hash.";

/// The maximum length of request text quoted in an error, in characters.
const MAX_QUOTED_CHARS: usize = 100;

/// Verifies a signature with either key and returns the generation of the key that matches.
///
/// `now` is in seconds since 1970, `max_skew` in seconds.
pub(crate) fn verify(
    parameters: &str,
    request: &Request<Vec<u8>>,
    keys: &AccessKeys,
    now: u64,
    max_skew: u64,
) -> Result<KeyGeneration, AuthError> {
    let (names, signature) = parse_parameters(parameters)?;
    let names = signed_headers(names)?;
    let values = names.iter().map(|name| single_header(request.headers(), name));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    check_content_hash(request)?;
    check_date(signed_date(&names, &values), now, max_skew)?;
    let signed = string_to_sign(request, &values);
    let matching = keys.iter().find(|(_, key)| mac(key.bytes(), &signed).verify_slice(&signature).is_ok());
    matching.map(|(generation, _)| generation).ok_or_else(|| AuthError {
        string_to_sign: Some(signed),
        ..AuthError::new("signature", "a signature with one of the two access keys, decoded", "another one")
    })
}

/// Returns the value of a header that must be present exactly once.
pub(crate) fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, AuthError> {
    let mut values = headers.get_all(name).iter();
    let error = |actual| Err(AuthError::new("headers", format!("the header {}, once", quoted(name)), actual));
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().or_else(|_| error("a value that is not ASCII text")),
        (None, _) => error("a request without it"),
        (Some(_), Some(_)) => error("several of them"),
    }
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    format!("{short:?}")
}

/// Splits `SignedHeaders=…&Signature=…`. The value of `Signature` ends in `=`, so the parameters are not form-decoded.
fn parse_parameters(parameters: &str) -> Result<(&str, Vec<u8>), AuthError> {
    let (names, signature) = parameters
        .trim()
        .strip_prefix("SignedHeaders=")
        .and_then(|rest| rest.split_once("&Signature="))
        .ok_or_else(|| AuthError::new("parameters", "`SignedHeaders=…&Signature=…`", "something else"))?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| AuthError::new("signature", "padded base64 in the standard alphabet", "something else"))?;
    Ok((names, signature))
}

/// The names of the signed headers, in their order and in lower case. The required headers must be among them, even if the
/// signature matches without.
fn signed_headers(names: &str) -> Result<Vec<String>, AuthError> {
    let names: Vec<_> = names.split(';').map(str::to_ascii_lowercase).collect();
    let has = |name: &str| names.iter().any(|named| named == name);
    if has(header::HOST.as_str()) && has(CONTENT_HASH) && (has(DATE) || has(header::DATE.as_str())) {
        return Ok(names);
    }
    let expected = format!("`host`, `{CONTENT_HASH}` and one of `{DATE}` and `date` among `SignedHeaders`");
    Err(AuthError::new("signed headers", expected, quoted(&names.join(";"))))
}

fn check_content_hash(request: &Request<Vec<u8>>) -> Result<(), AuthError> {
    let actual = single_header(request.headers(), CONTENT_HASH)?;
    let hash = STANDARD.encode(Sha256::digest(request.body()));
    if actual == hash {
        return Ok(());
    }
    let expected = format!("{hash:?}, the hash of the {} bytes of the body", request.body().len());
    Err(AuthError {
        published_message: Some(CONTENT_HASH_MISMATCH),
        ..AuthError::new("content hash", expected, quoted(actual))
    })
}

/// The signed date; `x-ms-date` takes precedence over `date`. A date that is not signed is ignored.
fn signed_date<'a>(names: &[String], values: &[&'a str]) -> Option<&'a str> {
    let signed = |name: &str| names.iter().position(|named| named == name).map(|at| values[at]);
    signed(DATE).or_else(|| signed(header::DATE.as_str()))
}

fn check_date(date: Option<&str>, now: u64, max_skew: u64) -> Result<(), AuthError> {
    let actual = date.unwrap_or_default();
    // `httpdate` accepts obsolete formats and wrong weekdays, so the parsed date is formatted again and compared.
    let parsed = httpdate::parse_http_date(actual).ok().filter(|parsed| httpdate::fmt_http_date(*parsed) == actual);
    let since_1970 = parsed.and_then(|parsed| parsed.duration_since(UNIX_EPOCH).ok());
    let Some(seconds) = since_1970.map(|parsed| parsed.as_secs()) else {
        let expected = "a date like `Wed, 18 Oct 2023 15:34:16 GMT`";
        return Err(AuthError::new("date", expected, quoted(actual)));
    };
    let skew = seconds.abs_diff(now);
    if skew <= max_skew {
        return Ok(());
    }
    let direction = if seconds < now { "behind" } else { "ahead" };
    let now = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
    let expected = format!("a date at most {max_skew} s from now, {now}");
    Err(AuthError::new("date", expected, format!("{actual:?}, {skew} s {direction}")))
}

/// Method, target and the values of the signed headers.
fn string_to_sign(request: &Request<Vec<u8>>, values: &[&str]) -> String {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    [request.method().as_str(), target, &values.join(";")].join("\n")
}

fn mac(key: &[u8], signed: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_keys::AccessKey;
    use crate::error::ApiError;

    const NOW: u64 = 1_697_643_256;
    const TODAY: &str = "Wed, 18 Oct 2023 15:34:16 GMT";
    const HOST: &str = "contoso-test.communication.azure.com";
    const LOCAL: &str = "127.0.0.1:18099";
    const IDENTITY: &str = "8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";
    const WITH_CHAT: &str = r#"{"createTokenWithScopes":["chat"]}"#;

    fn keys() -> AccessKeys {
        let vectors = STANDARD.encode((0..32).collect::<Vec<u8>>());
        AccessKeys::new([AccessKey::generate(), AccessKey::new(vectors).unwrap()])
    }

    /// A request that a published client has signed at `TODAY`.
    struct Signed {
        method: &'static str,
        target: String,
        host: &'static str,
        body: &'static str,
        signature: &'static str,
    }

    impl Signed {
        fn verify(&self) -> Result<KeyGeneration, AuthError> {
            self.verify_with("x-ms-date;host;x-ms-content-sha256", TODAY, NOW)
        }

        fn verify_with(&self, names: &str, date: &str, now: u64) -> Result<KeyGeneration, AuthError> {
            let request = Request::builder()
                .method(self.method)
                .uri(&self.target)
                .header("host", self.host)
                .header(DATE, date)
                .header(CONTENT_HASH, STANDARD.encode(Sha256::digest(self.body)))
                .body(self.body.as_bytes().to_vec())
                .unwrap();
            let parameters = format!("SignedHeaders={names}&Signature={}", self.signature);
            verify(&parameters, &request, &keys(), now, 900)
        }
    }

    fn create() -> Signed {
        let signature = "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs=";
        let target = "/identities?api-version=2023-10-01".to_owned();
        Signed { method: "POST", target, host: HOST, body: WITH_CHAT, signature }
    }

    fn of_identity(method: &'static str, verb: &str, body: &'static str, signature: &'static str) -> Signed {
        let target = ["/identities/", IDENTITY, verb, "?api-version=2023-10-01"].concat();
        Signed { method, target, host: HOST, body, signature }
    }

    fn issue() -> Signed {
        let signature = "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA=";
        let body = r#"{"scopes":["voip"],"expiresInMinutes":60}"#;
        of_identity("POST", "/:issueAccessToken", body, signature)
    }

    #[test]
    fn requests_signed_by_published_clients_are_accepted() {
        let delete = of_identity("DELETE", "", "", "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk=");
        let signature = "mVT/OY4kgDxzKGSOg6HvOs/DrKo6Fbndyvk7XpGx2TA=";
        let create_locally = Signed { host: LOCAL, body: "{}", signature, ..create() };
        let signature = "9V5ueOkZbood4nOUkdDrg+4J0GoWgfsvJDtWii68kfw=";
        let body = r#"{"scopes": ["chat", "voip"], "expiresInMinutes": null}"#;
        let issue_with_spaces = Signed { host: LOCAL, body, signature, ..issue() };
        let signature = "TFyOU+G7tVHFEA2bvqx/5fVCSKfdtXdzLmVR+3BVBDU=";
        let revoke = of_identity("POST", "/:revokeAccessTokens", "", signature);
        let revoke_unescaped = Signed { target: revoke.target.replace("%3A", ":"), ..revoke };
        for signed in [create(), issue(), delete, create_locally, issue_with_spaces, revoke_unescaped] {
            assert!(signed.verify().is_ok(), "{} {}", signed.method, signed.target);
        }
    }

    #[test]
    fn common_mistakes_of_signers_are_rejected() {
        for (mistake, signature) in [
            ("the text of the key as key", "uyPdv9kY76QcDcU5GnQI3ZZEFv+sS3W5cvATZtnAvlU="),
            ("the hash in hex", "lgZhcZKcGET01AFuSP9d74w25vzMvJJ+d7DL6ivKelc="),
            ("a line feed at the end", "CJb/6qm3InCbPcQCiU/E8Ii9nQO1WxiCLDVwqQL85y8="),
            ("carriage returns", "K0FArahh+e9ag5Ex9uWu/4LbhXQtfzyFF1TKDOXTbuU="),
        ] {
            let error = Signed { signature, ..create() }.verify().unwrap_err();
            assert_eq!(error.rule, "signature", "{mistake}");
        }
        let unescaped = "N0vgUavZrrZXlanWCagf6e35rCkA8wWtNYh9n1jlyq0=";
        assert_eq!(Signed { signature: unescaped, ..issue() }.verify().unwrap_err().rule, "signature");
    }

    #[test]
    fn a_wrong_signature_returns_the_string_to_sign() {
        let error = Signed { signature: "YQ==", ..create() }.verify().unwrap_err();
        let hash = "WTRvgEjjVd+bvyKw3WgXgDkU81aV8FWq+4/BE+he0+A=";
        let expected = format!("POST\n/identities?api-version=2023-10-01\n{TODAY};{HOST};{hash}");
        assert_eq!(error.string_to_sign, Some(expected));
    }

    #[test]
    fn the_log_message_contains_no_identity_id() {
        let error = Signed { signature: "YQ==", ..issue() }.verify().unwrap_err();
        assert!(error.string_to_sign.as_ref().unwrap().contains(IDENTITY));
        let why = ApiError::from(error).log_message().to_owned();
        assert!(why.contains("rule `signature`") && !why.contains(IDENTITY), "{why}");
    }

    #[test]
    fn a_date_is_accepted_up_to_both_limits() {
        let names = "X-MS-Date;Host;x-ms-content-sha256";
        for now in [NOW - 900, NOW + 900] {
            assert!(create().verify_with(names, TODAY, now).is_ok());
        }
        for now in [0, NOW - 901, NOW + 901] {
            assert_eq!(create().verify_with(names, TODAY, now).unwrap_err().rule, "date", "{now}");
        }
        for date in ["", "now", "Wednesday, 18-Oct-23 15:34:16 GMT", "Thu, 18 Oct 2023 15:34:16 GMT"] {
            assert_eq!(create().verify_with(names, date, NOW).unwrap_err().rule, "date", "{date}");
        }
    }

    #[test]
    fn malformed_parameters_are_rejected() {
        for parameters in ["", "Signature=", "Credential=x&SignedHeaders=host&Signature=YQ==", "SignedHeaders=a"] {
            assert_eq!(parse_parameters(parameters).unwrap_err().rule, "parameters", "{parameters}");
        }
        assert_eq!(parse_parameters("SignedHeaders=a&Signature=%2B").unwrap_err().rule, "signature");
        assert_eq!(parse_parameters("SignedHeaders=a&Signature=+/8=").unwrap(), ("a", vec![251, 255]));
    }
}
