//! Tests of `chat emulator` and its options.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use test_support::http::{client, free_port, send_many};
use test_support::process::{BadOutput, Process, is_forging, wait_until};
use tokio::time::timeout;

use crate::test_stack::{TestStack, chat_command, start_chat};

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
    let mut service = TestStack::with(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
    assert!(service.printed("connection").unwrap().contains(KEYS[0]));
    for key in KEYS {
        assert_eq!(negotiated(&service, &token(key, NEVER)).await, 200);
    }
    assert_eq!(negotiated(&service, &token("another", NEVER)).await, 401);
    let printed = service.stop();
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
async fn no_refused_request_forges_a_line_of_the_log() {
    let keys = File::new("forging-keys", KEYS[0]);
    let mut service = TestStack::with(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
    let names = [
        "\n2026-01-01T00:00:00.000000Z  INFO forged",
        "\r\nforged",
        "\r2026-01-01T00:00:00.000000Z  INFO forged",
        "\u{1b}[2J\u{1b}]0;forged\u{7}",
        "\0\u{8}\u{7f}",
        "\u{b}\u{c}forged",
        "\u{85}forged",
        "\u{9b}2Jforged",
        "\u{2028}forged",
        "\u{2029}forged",
        "\u{202e}degrof\u{202c}",
        "\u{2066}forged\u{2069}\u{200f}\u{61c}",
    ];
    let any_token = token(KEYS[0], NEVER);
    for name in names {
        let audience = json!({"aud": format!("http://localhost/{name}"), "iss": name, "sub": name, "exp": NEVER});
        let key = EncodingKey::from_secret(KEYS[0].as_bytes());
        let token_of_name = encode(&Header::default(), &audience, &key).unwrap();
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for (path, token) in [
            (format!("/client/negotiate?hub={encoded}"), &any_token),
            ("/client/negotiate?hub=chat".to_owned(), &token_of_name),
            (format!("/api/hubs/{encoded}/:send?api-version=2022-06-01"), &token_of_name),
            (format!("/api/hubs/chat/groups/{encoded}/:send?api-version={encoded}"), &token_of_name),
            (format!("/api/hubs/chat/users/{encoded}/groups/{encoded}?api-version=2022-06-01"), &token_of_name),
            (format!("/{encoded}"), &any_token),
        ] {
            let request = service.client.post(service.service() + &path).bearer_auth(token);
            assert!(request.send().await.unwrap().status().is_client_error(), "{path}");
        }
    }
    let out = service.stop();
    let lines: Vec<_> = out.lines().skip_while(|line| !line.starts_with("ready")).skip(1).collect();
    assert!(lines.len() >= names.len() * 4, "{out}");
    for line in lines {
        assert!(line.starts_with("20") && !line.contains(is_forging), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_waits_for_an_output_that_takes_no_lines() {
    for (output, requests) in [(BadOutput::NeverRead, 10_000), (BadOutput::Closed, 320), (BadOutput::FullDisk, 320)] {
        let port = free_port();
        let address = format!("http://127.0.0.1:{port}/client/negotiate?hub=chat");
        let mut command = chat_command(&["emulator", "--port", &port.to_string()], &[]);
        let (mut emulator, _unread) = Process::spawn_with(&mut command, output);
        wait_until("the emulator to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        assert_eq!(send_many(&client().post(address), requests).await, [(401, requests)].into(), "{output:?}");
        emulator.signal("TERM");
        assert_eq!(emulator.end().code(), Some(0), "{output:?}");
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
    let url = service.service() + "/client/negotiate?hub=chat";
    let negotiated = service.client.post(url).bearer_auth(&token).send().await.unwrap();
    let id = negotiated.json::<Value>().await.unwrap()["connectionId"].as_str().unwrap().to_owned();
    let url = service.service() + "/client/?hub=chat&id=" + &id;
    let events = service.client.get(url).bearer_auth(&token).header("accept", "text/event-stream");
    let _open = events.send().await.unwrap().error_for_status().unwrap();
    assert_eq!(self::negotiated(&service, &token).await, 429);
}

#[tokio::test]
async fn a_changed_key_file_takes_effect_without_a_restart() {
    let keys = File::new("changing-keys", KEYS[0]);
    let mut service = TestStack::with(&["emulator", "--port", "0", "--access-keys", keys.path()], &[]);
    let (old, new) = (token(KEYS[0], NEVER), token(KEYS[1], NEVER));
    assert_eq!((negotiated(&service, &old).await, negotiated(&service, &new).await), (200, 401));
    fs::write(keys.path(), format!("{}\n{}\n", KEYS[1], KEYS[0])).unwrap();
    let taken = async {
        while negotiated(&service, &new).await != 200 {
            assert_eq!(negotiated(&service, &old).await, 200);
        }
    };
    timeout(Duration::from_secs(20), taken).await.expect("the file is read again");
    assert_eq!(negotiated(&service, &old).await, 200);

    // Content that gives no keys changes nothing, and is named once without being shown.
    fs::write(keys.path(), "hush;hush").unwrap();
    service.process.out.line("are invalid");
    assert_eq!(negotiated(&service, &new).await, 200);
    let printed = service.stop();
    assert!(!printed.contains("hush") && !printed.contains(KEYS[1]), "{printed}");
    assert_eq!(printed.matches("are invalid").count(), 1, "{printed}");
}
