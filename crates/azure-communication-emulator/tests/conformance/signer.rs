//! Signs requests, as the text about the scheme tells it and with no help from the emulator.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// What the published clients sign, in their order.
pub(crate) const USUAL: [&str; 3] = ["x-ms-date", "host", "x-ms-content-sha256"];

/// The key of the published vectors: bytes 0 to 31.
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Another key.
pub(crate) const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// The value of `x-ms-content-sha256`.
pub(crate) fn content_hash(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// The value of `Authorization`, over headers given as name and value.
pub(crate) fn authorization(key: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let (names, values): (Vec<_>, Vec<_>) = headers.iter().copied().unzip();
    let signed = format!("{method}\n{target}\n{}", values.join(";"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(key).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    format!("HMAC-SHA256 SignedHeaders={}&Signature={signature}", names.join(";"))
}

#[test]
fn case_1_the_vectors_of_the_published_clients_are_met_byte_for_byte() {
    const HOST: &str = "contoso-test.communication.azure.com";
    const LOCAL: &str = "127.0.0.1:18099";
    const CREATE: &str = "/identities?api-version=2023-10-01";
    let escaped =
        "/identities/8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";
    let issue = format!("{escaped}/:issueAccessToken?api-version=2023-10-01");
    let delete = format!("{escaped}?api-version=2023-10-01");
    let revoke = format!("{escaped}/:revokeAccessTokens?api-version=2023-10-01").replace("%3A", ":");
    let with_spaces = r#"{"scopes": ["chat", "voip"], "expiresInMinutes": null}"#;
    let minutes = r#"{"scopes":["voip"],"expiresInMinutes":60}"#;
    for (vector, method, target, host, body, signature) in [
        (
            'A',
            "POST",
            CREATE,
            HOST,
            r#"{"createTokenWithScopes":["chat"]}"#,
            "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs=",
        ),
        ('B', "POST", &issue, HOST, minutes, "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA="),
        ('C', "DELETE", &delete, HOST, "", "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk="),
        ('D', "POST", CREATE, LOCAL, "{}", "mVT/OY4kgDxzKGSOg6HvOs/DrKo6Fbndyvk7XpGx2TA="),
        ('E', "POST", &issue, LOCAL, with_spaces, "9V5ueOkZbood4nOUkdDrg+4J0GoWgfsvJDtWii68kfw="),
        ('F', "POST", &revoke, HOST, "", "TFyOU+G7tVHFEA2bvqx/5fVCSKfdtXdzLmVR+3BVBDU="),
    ] {
        let values = ["Wed, 18 Oct 2023 15:34:16 GMT", host, &content_hash(body.as_bytes())];
        let headers = std::array::from_fn::<_, 3, _>(|at| (USUAL[at], values[at]));
        let expected =
            format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
        assert_eq!(authorization(KEY, method, target, &headers), expected, "vector {vector}");
    }
}
