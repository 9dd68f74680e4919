//! `HMAC-SHA256`: a signature over method, request target, headers and the hash of the body, all exactly as they came.
//!
//! The target is not normalised, since clients differ: some escape the colons of an identity, some do not, and each
//! signs what it sends. Nor are signatures remembered: a client may repeat a request as it is when it tries again.
//!
//! <https://learn.microsoft.com/azure/communication-services/tutorials/hmac-header-tutorial>

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Denied, header_once, quoted};
use crate::keys::{Generation, Keys};

/// The scheme, as it stands in `Authorization`.
pub(super) const SCHEME: &str = "HMAC-SHA256";

const DATE: &str = "x-ms-date";
const CONTENT_HASH: &str = "x-ms-content-sha256";

/// What the service says of a body that is not the one that was signed.
const OTHER_BODY: &str = "Request 'x-ms-content-sha256' differs from generated content hash.";

/// Checks a signature with either key, and says of which generation the one is that fits. `skew` is in seconds.
pub(super) fn verify(
    parameters: &str,
    request: &Request<Vec<u8>>,
    keys: &Keys,
    now: u64,
    skew: u64,
) -> Result<Generation, Denied> {
    let (names, signature) = read(parameters)?;
    let names = signed_headers(names)?;
    let values = names.iter().map(|name| header_once(request.headers(), name));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    check_body(request)?;
    check_date(date(&names, &values), now, skew)?;
    let signed = string_to_sign(request, &values);
    let fitting = keys.iter().find(|(_, key)| mac(key.bytes(), &signed).verify_slice(&signature).is_ok());
    fitting.map(|(generation, _)| generation).ok_or_else(|| Denied {
        signed: Some(signed),
        ..Denied::new("signature", "a signature with one of the two access keys, decoded", "another one")
    })
}

/// The two parameters. `=` belongs to the signature as well, so nothing is decoded and the first mark parts them.
fn read(parameters: &str) -> Result<(&str, Vec<u8>), Denied> {
    let expected = "`SignedHeaders=…&Signature=…`";
    let (names, signature) = parameters
        .trim()
        .strip_prefix("SignedHeaders=")
        .and_then(|rest| rest.split_once("&Signature="))
        .ok_or_else(|| Denied::new("parameters", expected, "something else"))?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| Denied::new("signature", "padded base64 in the standard alphabet", "something else"))?;
    Ok((names, signature))
}

/// The names of the headers that are signed, in their order, in lower case. Those a signature is worthless without must be
/// among them, even if the signature fits.
fn signed_headers(names: &str) -> Result<Vec<String>, Denied> {
    let names: Vec<_> = names.split(';').map(str::to_ascii_lowercase).collect();
    let has = |name: &str| names.iter().any(|named| named == name);
    if has(header::HOST.as_str()) && has(CONTENT_HASH) && (has(DATE) || has(header::DATE.as_str())) {
        return Ok(names);
    }
    let expected = format!("`host`, `{CONTENT_HASH}` and one of `{DATE}` and `date` among `SignedHeaders`");
    Err(Denied::new("signed headers", expected, quoted(&names.join(";"))))
}

fn check_body(request: &Request<Vec<u8>>) -> Result<(), Denied> {
    let came = header_once(request.headers(), CONTENT_HASH)?;
    let hash = STANDARD.encode(Sha256::digest(request.body()));
    if came == hash {
        return Ok(());
    }
    let expected = format!("{hash:?}, the hash of the {} bytes that came", request.body().len());
    Err(Denied { published: Some(OTHER_BODY), ..Denied::new("content hash", expected, quoted(came)) })
}

/// The date that is signed; where both are, `x-ms-date` counts. One that is not signed counts for nothing.
fn date<'a>(names: &[String], values: &[&'a str]) -> Option<&'a str> {
    let signed = |name: &str| names.iter().position(|named| named == name).map(|at| values[at]);
    signed(DATE).or_else(|| signed(header::DATE.as_str()))
}

/// How far off a date may be is not published for this service; both edges still pass.
fn check_date(date: Option<&str>, now: u64, skew: u64) -> Result<(), Denied> {
    let came = date.unwrap_or_default();
    // The library forgives older forms of dates, so what it read is written again and compared.
    let read = httpdate::parse_http_date(came).ok().filter(|read| httpdate::fmt_http_date(*read) == came);
    let since_1970 = read.and_then(|read| read.duration_since(UNIX_EPOCH).ok());
    let Some(seconds) = since_1970.map(|read| read.as_secs()) else {
        let expected = "a date like `Wed, 18 Oct 2023 15:34:16 GMT`";
        return Err(Denied::new("date", expected, quoted(came)));
    };
    if seconds.abs_diff(now) <= skew {
        return Ok(());
    }
    let off = seconds.abs_diff(now);
    let side = if seconds < now { "behind" } else { "ahead" };
    let now = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
    let expected = format!("a date at most {skew} s from now, {now}");
    Err(Denied::new("date", expected, format!("{came:?}, {off} s {side}")))
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
    use crate::AccessKey;
    use crate::refusal::Refusal;

    const NOW: u64 = 1_697_643_256;
    const TODAY: &str = "Wed, 18 Oct 2023 15:34:16 GMT";
    const HOST: &str = "contoso-test.communication.azure.com";
    const LOCAL: &str = "127.0.0.1:18099";
    const IDENTITY: &str =
        "8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";
    const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const WITH_CHAT: &str = r#"{"createTokenWithScopes":["chat"]}"#;

    fn keys() -> Keys {
        let vectors = STANDARD.encode((0..32).collect::<Vec<u8>>());
        Keys::new([AccessKey::generate(), AccessKey::new(vectors).unwrap()])
    }

    /// A request as it was signed by the published clients, with a clock that stands.
    struct Signed {
        method: &'static str,
        target: String,
        host: &'static str,
        body: &'static str,
        hash: &'static str,
        signature: &'static str,
    }

    impl Signed {
        fn verify(&self) -> Result<Generation, Denied> {
            self.verify_with("x-ms-date;host;x-ms-content-sha256", TODAY, NOW)
        }

        fn verify_with(&self, names: &str, date: &str, now: u64) -> Result<Generation, Denied> {
            let request = Request::builder()
                .method(self.method)
                .uri(&self.target)
                .header("host", self.host)
                .header(DATE, date)
                .header(CONTENT_HASH, self.hash)
                .body(self.body.as_bytes().to_vec())
                .unwrap();
            let parameters = format!("SignedHeaders={names}&Signature={}", self.signature);
            verify(&parameters, &request, &keys(), now, 900)
        }
    }

    fn create() -> Signed {
        Signed {
            method: "POST",
            target: "/identities?api-version=2023-10-01".to_owned(),
            host: HOST,
            body: WITH_CHAT,
            hash: "WTRvgEjjVd+bvyKw3WgXgDkU81aV8FWq+4/BE+he0+A=",
            signature: "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs=",
        }
    }

    fn of_identity(method: &'static str, identity: &str, verb: &str) -> Signed {
        let target = ["/identities/", identity, verb, "?api-version=2023-10-01"].concat();
        Signed { method, target, body: "", hash: EMPTY, ..create() }
    }

    fn issue() -> Signed {
        Signed {
            body: r#"{"scopes":["voip"],"expiresInMinutes":60}"#,
            hash: "GNtmihW0aWKrZ0DRV1+wUfLysZuegWcqHu8n9mgUyTE=",
            signature: "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA=",
            ..of_identity("POST", IDENTITY, "/:issueAccessToken")
        }
    }

    #[test]
    fn requests_signed_by_the_published_clients_pass() {
        let delete = Signed {
            signature: "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk=",
            ..of_identity("DELETE", IDENTITY, "")
        };
        let create_locally = Signed {
            host: LOCAL,
            body: "{}",
            hash: "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=",
            signature: "mVT/OY4kgDxzKGSOg6HvOs/DrKo6Fbndyvk7XpGx2TA=",
            ..create()
        };
        let issue_with_spaces = Signed {
            host: LOCAL,
            body: r#"{"scopes": ["chat", "voip"], "expiresInMinutes": null}"#,
            hash: "dz4CK828W1xaGkbyA3voJaEoai+gn/6achs4WDZ1Pqo=",
            signature: "9V5ueOkZbood4nOUkdDrg+4J0GoWgfsvJDtWii68kfw=",
            ..issue()
        };
        let revoke_unescaped = Signed {
            signature: "TFyOU+G7tVHFEA2bvqx/5fVCSKfdtXdzLmVR+3BVBDU=",
            ..of_identity("POST", &IDENTITY.replace("%3A", ":"), "/:revokeAccessTokens")
        };
        for signed in [create(), issue(), delete, create_locally, issue_with_spaces, revoke_unescaped] {
            assert!(signed.verify().is_ok(), "{} {}", signed.method, signed.target);
        }
    }

    #[test]
    fn what_signers_get_wrong_most_often_does_not_pass() {
        for (mistake, signature) in [
            ("the text of the key as key", "uyPdv9kY76QcDcU5GnQI3ZZEFv+sS3W5cvATZtnAvlU="),
            ("the hash in hex", "lgZhcZKcGET01AFuSP9d74w25vzMvJJ+d7DL6ivKelc="),
            ("a line feed at the end", "CJb/6qm3InCbPcQCiU/E8Ii9nQO1WxiCLDVwqQL85y8="),
            ("carriage returns", "K0FArahh+e9ag5Ex9uWu/4LbhXQtfzyFF1TKDOXTbuU="),
        ] {
            let denied = Signed { signature, ..create() }.verify().unwrap_err();
            assert_eq!(denied.rule, "signature", "{mistake}");
        }
        let unescaped = "N0vgUavZrrZXlanWCagf6e35rCkA8wWtNYh9n1jlyq0=";
        assert_eq!(Signed { signature: unescaped, ..issue() }.verify().unwrap_err().rule, "signature");
    }

    #[test]
    fn a_refused_signature_comes_with_what_must_be_signed() {
        let denied = Signed { signature: EMPTY, ..create() }.verify().unwrap_err();
        let hash = create().hash;
        let expected = format!("POST\n/identities?api-version=2023-10-01\n{TODAY};{HOST};{hash}");
        assert_eq!(denied.signed, Some(expected));
    }

    #[test]
    fn nobodys_id_reaches_the_log() {
        let denied = Signed { signature: EMPTY, ..issue() }.verify().unwrap_err();
        assert!(denied.signed.as_ref().unwrap().contains(IDENTITY));
        let why = Refusal::from(denied).why().to_owned();
        assert!(why.contains("rule `signature`") && !why.contains(IDENTITY), "{why}");
    }

    #[test]
    fn a_date_passes_up_to_both_edges() {
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
    fn parameters_that_cannot_be_read_are_refused() {
        for parameters in
            ["", "Signature=", "Credential=x&SignedHeaders=host&Signature=YQ==", "SignedHeaders=a"]
        {
            assert_eq!(read(parameters).unwrap_err().rule, "parameters", "{parameters}");
        }
        assert_eq!(read("SignedHeaders=a&Signature=%2B").unwrap_err().rule, "signature");
        assert_eq!(read("SignedHeaders=a&Signature=+/8=").unwrap(), ("a", vec![251, 255]));
    }
}
