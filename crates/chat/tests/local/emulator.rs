//! Tests of `chat emulator` and its options.

use std::fs;
use std::path::PathBuf;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::test_stack::{TestStack, start_chat};

/// Two access keys.
const KEYS: [&str; 2] = ["first-key-of-the-test", "second-key-of-the-test"];

/// An access token for clients of the hub `chat`.
fn token(key: &str, expires: u64) -> String {
    let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": expires});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

const NEVER: u64 = 4_000_000_000;

/// A temporary file, deleted when dropped.
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

/// Negotiates and returns the status.
async fn negotiated(service: &TestStack, token: &str) -> u16 {
    let url = service.service() + "/client/negotiate?hub=chat";
    service.client.post(url).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn both_keys_of_a_file_are_accepted_and_the_first_is_printed() {
    let keys = File::new("two-keys", &format!("{}\n\n{}\n", KEYS[0], KEYS[1]));
    let service = TestStack::with(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
    assert!(service.printed("connection").unwrap().contains(KEYS[0]));
    for key in KEYS {
        assert_eq!(negotiated(&service, &token(key, NEVER)).await, 200);
    }
    assert_eq!(negotiated(&service, &token("another", NEVER)).await, 401);
    let printed = service.process.out.text() + &service.process.err.text();
    assert!(!printed.contains(KEYS[1]), "{printed}");
}

#[test]
fn an_invalid_key_file_exits_with_64_and_is_not_printed() {
    for text in ["", "one\ntwo\nthree\n", "hush;hush"] {
        let keys = File::new(&format!("no-keys-{}", text.len()), text);
        let mut emulator = start_chat(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
        assert_eq!(emulator.end().code(), Some(64), "{text:?}");
        let printed = emulator.err.text();
        assert!(
            printed.contains("--access-keys") && !printed.contains("hush") && !printed.contains("three"),
            "{printed}"
        );
    }
}

#[tokio::test]
async fn an_expired_token_is_accepted_only_with_lenient() {
    let keys = File::new("lenient-keys", KEYS[0]);
    let arguments = ["emulator", "--port", "0", "--access-keys", keys.path(), "--lenient"];
    for (arguments, status) in [(&arguments[..5], 401), (&arguments[..], 200)] {
        let service = TestStack::with(arguments, &[]);
        assert_eq!(negotiated(&service, &token(KEYS[0], 1)).await, status);
    }
}

#[tokio::test]
async fn the_number_of_connections_can_be_limited() {
    let keys = File::new("quota-keys", KEYS[0]);
    let arguments = ["emulator", "--port", "0", "--access-keys", keys.path(), "--max-connections", "1"];
    let service = TestStack::with(&arguments, &[]);
    let token = token(KEYS[0], NEVER);
    assert_eq!(negotiated(&service, &token).await, 200);
    assert_eq!(negotiated(&service, &token).await, 429);
}
