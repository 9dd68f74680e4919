//! `chat emulator`: the service alone, and what can be set of it on the command line.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::test_stack::{Stack, start_chat};

/// Two keys nobody else has.
const KEYS: [&str; 2] = ["first-key-of-the-test", "second-key-of-the-test"];

/// A token for clients of the hub `chat`.
fn token(key: &str, expires: u64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": expires});
    let signed = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

const NEVER: u64 = 4_000_000_000;

/// A file of this test alone, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The status of a negotiation.
async fn negotiated(service: &Stack, token: &str) -> u16 {
    let url = service.service() + "/client/negotiate?hub=chat";
    service.client.post(url).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn either_key_of_a_file_opens_the_service_and_the_first_is_given_out() {
    let keys = File::new("two-keys", &format!("{}\n\n{}\n", KEYS[0], KEYS[1]));
    let service = Stack::with(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
    assert!(service.told("connection").unwrap().contains(KEYS[0]));
    for key in KEYS {
        assert_eq!(negotiated(&service, &token(key, NEVER)).await, 200);
    }
    assert_eq!(negotiated(&service, &token("another", NEVER)).await, 401);
    let said = service.process.out.text() + &service.process.err.text();
    assert!(!said.contains(KEYS[1]), "{said}");
}

#[test]
fn a_file_that_holds_no_keys_ends_it_with_64_and_is_not_repeated() {
    for text in ["", "one\ntwo\nthree\n", "hush;hush"] {
        let keys = File::new(&format!("no-keys-{}", text.len()), text);
        let mut emulator = start_chat(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
        assert_eq!(emulator.end().code(), Some(64), "{text:?}");
        let said = emulator.err.text();
        assert!(
            said.contains("--access-keys") && !said.contains("hush") && !said.contains("three"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn it_is_strict_about_tokens_unless_it_is_told_to_be_lenient() {
    let keys = File::new("lenient-keys", KEYS[0]);
    let arguments = ["emulator", "--port", "0", "--access-keys", keys.path(), "--lenient"];
    for (arguments, status) in [(&arguments[..5], 401), (&arguments[..], 200)] {
        let service = Stack::with(arguments, &[]);
        assert_eq!(negotiated(&service, &token(KEYS[0], 1)).await, status);
    }
}

#[tokio::test]
async fn a_quota_of_connections_can_be_set() {
    let keys = File::new("quota-keys", KEYS[0]);
    let arguments = ["emulator", "--port", "0", "--access-keys", keys.path(), "--max-connections", "1"];
    let service = Stack::with(&arguments, &[]);
    let token = token(KEYS[0], NEVER);
    assert_eq!(negotiated(&service, &token).await, 200);
    assert_eq!(negotiated(&service, &token).await, 429);
}
