//! Signatures of requests: HMAC-SHA256 over method, target, date, host and the hash of the body.
//!
//! Each part is signed as it is sent, to the byte: escapes in the target, the port in the host, the body as it was written.
//! <https://learn.microsoft.com/rest/api/communication/authentication>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use sha2::{Digest as _, Sha256};

use crate::connection_string::AccessKey;

/// The parts of a request that are signed, beside the time.
pub(crate) struct SignedParts<'a> {
    /// In upper case.
    pub(crate) method: &'a str,
    /// Path and query as in the request line.
    pub(crate) target: &'a str,
    /// As in the header `Host`.
    pub(crate) host: &'a str,
    pub(crate) body: &'a [u8],
}

/// The values of the headers that sign a request, beside `host`.
pub(crate) struct Signature {
    /// `x-ms-date`
    pub(crate) date: String,
    /// `x-ms-content-sha256`
    pub(crate) content_hash: String,
    /// `authorization`
    pub(crate) authorization: String,
}

impl Signature {
    pub(crate) fn new(key: &AccessKey, request: &SignedParts<'_>, now: Timestamp) -> Self {
        let date = http_date(now);
        let content_hash = STANDARD.encode(Sha256::digest(request.body));
        let signature = STANDARD.encode(key.sign(&string_to_sign(request, &date, &content_hash)));
        let authorization =
            format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
        Self { date, content_hash, authorization }
    }
}

fn string_to_sign(request: &SignedParts<'_>, date: &str, content_hash: &str) -> String {
    let SignedParts { method, target, host, .. } = request;
    format!("{method}\n{target}\n{date};{host};{content_hash}")
}

/// `Wed, 18 Oct 2023 15:34:16 GMT`. A time before 1970 counts as 1970; the service refuses either.
fn http_date(now: Timestamp) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now.max(Timestamp::UNIX_EPOCH))
        .expect("years from 1970 to 9999 have four digits")
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const DATE: &str = "Wed, 18 Oct 2023 15:34:16 GMT";
    const HOST: &str = "contoso-test.communication.azure.com";
    const LOCAL: &str = "127.0.0.1:18099";
    const EMPTY_HASH: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    const CREATE: &str = "/identities?api-version=2023-10-01";
    const DELETE: &str = "/identities/8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081?api-version=2023-10-01";
    const REVOKE_UNESCAPED: &str = "/identities/8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081/:revokeAccessTokens?api-version=2023-10-01";
    const ISSUE: &str = "/identities/8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081/:issueAccessToken?api-version=2023-10-01";

    const A: SignedParts<'static> = parts("POST", CREATE, HOST, br#"{"createTokenWithScopes":["chat"]}"#);
    const B: SignedParts<'static> = parts("POST", ISSUE, HOST, br#"{"scopes":["voip"],"expiresInMinutes":60}"#);
    const C: SignedParts<'static> = parts("DELETE", DELETE, HOST, b"");
    const D: SignedParts<'static> = parts("POST", CREATE, LOCAL, b"{}");
    const E: SignedParts<'static> =
        parts("POST", ISSUE, LOCAL, br#"{"scopes": ["chat", "voip"], "expiresInMinutes": null}"#);
    const F: SignedParts<'static> = parts("POST", REVOKE_UNESCAPED, HOST, b"");

    const fn parts<'a>(method: &'a str, target: &'a str, host: &'a str, body: &'a [u8]) -> SignedParts<'a> {
        SignedParts { method, target, host, body }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_697_643_256).unwrap()
    }

    fn sign(request: &SignedParts<'_>) -> Signature {
        Signature::new(&KEY.parse().unwrap(), request, now())
    }

    fn mac(request: &SignedParts<'_>) -> String {
        sign(request).authorization.split_once("&Signature=").unwrap().1.to_owned()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A second signer, for key and string as given.
    fn mac_of(key: &[u8], string: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(string);
        STANDARD.encode(mac.finalize().into_bytes())
    }

    fn expected_string(request: &SignedParts<'_>) -> String {
        string_to_sign(request, DATE, &STANDARD.encode(Sha256::digest(request.body)))
    }

    fn decoded_key() -> Vec<u8> {
        (0..32).collect()
    }

    #[test]
    fn case_1_the_vectors_come_out_byte_for_byte() {
        let create = "WTRvgEjjVd+bvyKw3WgXgDkU81aV8FWq+4/BE+he0+A=";
        let issue = "GNtmihW0aWKrZ0DRV1+wUfLysZuegWcqHu8n9mgUyTE=";
        for (request, content_hash, signature) in [
            (A, create, "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs="),
            (B, issue, "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA="),
            (C, EMPTY_HASH, "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk="),
            (D, "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=", "mVT/OY4kgDxzKGSOg6HvOs/DrKo6Fbndyvk7XpGx2TA="),
            (E, "dz4CK828W1xaGkbyA3voJaEoai+gn/6achs4WDZ1Pqo=", "9V5ueOkZbood4nOUkdDrg+4J0GoWgfsvJDtWii68kfw="),
            (F, EMPTY_HASH, "TFyOU+G7tVHFEA2bvqx/5fVCSKfdtXdzLmVR+3BVBDU="),
        ] {
            let signed = sign(&request);
            assert_eq!((signed.date.as_str(), signed.content_hash.as_str()), (DATE, content_hash));
            assert_eq!(
                signed.authorization,
                format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}")
            );
        }
    }

    #[test]
    fn case_1_the_strings_to_sign_come_out_byte_for_byte() {
        assert_eq!(
            expected_string(&A),
            "POST\n/identities?api-version=2023-10-01\nWed, 18 Oct 2023 15:34:16 GMT;contoso-test.communication.azure.com;WTRvgEjjVd+bvyKw3WgXgDkU81aV8FWq+4/BE+he0+A="
        );
        assert_eq!(
            expected_string(&B),
            "POST\n/identities/8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081/:issueAccessToken?api-version=2023-10-01\nWed, 18 Oct 2023 15:34:16 GMT;contoso-test.communication.azure.com;GNtmihW0aWKrZ0DRV1+wUfLysZuegWcqHu8n9mgUyTE="
        );
    }

    #[test]
    fn case_2_the_key_is_not_its_base64() {
        let wrong = mac_of(KEY.as_bytes(), &expected_string(&A));
        assert_eq!(wrong, "uyPdv9kY76QcDcU5GnQI3ZZEFv+sS3W5cvATZtnAvlU=");
        assert_ne!(mac(&A), wrong);
    }

    #[test]
    fn case_2_the_hash_of_the_body_is_not_in_hex() {
        let wrong = mac_of(&decoded_key(), &string_to_sign(&A, DATE, &hex(&Sha256::digest(A.body))));
        assert_eq!(wrong, "lgZhcZKcGET01AFuSP9d74w25vzMvJJ+d7DL6ivKelc=");
        assert_ne!(mac(&A), wrong);
    }

    #[test]
    fn case_2_the_string_does_not_end_in_a_line_feed() {
        let wrong = mac_of(&decoded_key(), &(expected_string(&A) + "\n"));
        assert_eq!(wrong, "CJb/6qm3InCbPcQCiU/E8Ii9nQO1WxiCLDVwqQL85y8=");
        assert_ne!(mac(&A), wrong);
    }

    #[test]
    fn case_2_its_lines_do_not_end_in_carriage_returns() {
        let wrong = mac_of(&decoded_key(), &expected_string(&A).replace('\n', "\r\n"));
        assert_eq!(wrong, "K0FArahh+e9ag5Ex9uWu/4LbhXQtfzyFF1TKDOXTbuU=");
        assert_ne!(mac(&A), wrong);
    }

    #[test]
    fn case_2_the_target_is_not_unescaped() {
        let target = B.target.replace("%3A", ":");
        let wrong = mac(&SignedParts { target: &target, ..B });
        assert_eq!(wrong, "N0vgUavZrrZXlanWCagf6e35rCkA8wWtNYh9n1jlyq0=");
        assert_ne!(mac(&B), wrong);
    }

    #[test]
    fn the_other_signer_agrees_where_it_makes_no_mistake() {
        for request in [A, B, C, D, E, F] {
            assert_eq!(mac_of(&decoded_key(), &expected_string(&request)), mac(&request));
        }
    }

    #[test]
    fn a_day_has_two_digits_and_every_clock_has_a_date() {
        let date = |second| http_date(Timestamp::from_second(second).unwrap());
        assert_eq!(date(1_696_143_600), "Sun, 01 Oct 2023 07:00:00 GMT");
        assert_eq!(date(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(Timestamp::MIN), date(0));
        assert!(http_date(Timestamp::MAX).contains(" 9999 "));
    }
}
