//! WebSocket clients: connecting, handshake, keep-alive, closing, limits, and many clients of one hub.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, TestService, client_token, count_until_end, token};

const WS: &str = "/client/?hub=chat";

fn soon() -> Duration {
    Duration::from_millis(100)
}

/// The status of a failed upgrade.
fn error_status(outcome: Result<Client, (u16, String)>) -> u16 {
    outcome.err().expect("an error").0
}

async fn exists(service: &TestService, id: &str) -> (u16, Option<String>) {
    let path = format!("/api/hubs/chat/connections/{id}?api-version=2022-06-01");
    let response = service.call(Method::HEAD, &path).send().await.unwrap();
    let code = response.headers().get("x-ms-error-code").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code)
}

/// Waits until no client is connected, and returns the error code for the connection.
async fn error_code(service: &TestService, id: &str) -> Option<String> {
    service.wait_until_empty().await;
    let (status, code) = exists(service, id).await;
    assert_eq!(status, 404);
    code
}

#[tokio::test]
async fn case_21_a_negotiated_id_opens_a_socket_and_the_handshake_is_answered_first() {
    let (service, public, mut client) = TestService::with_client_id().await;
    assert_eq!(exists(&service, &public).await.0, 200);
    service.broadcast("hi").await;
    assert_eq!(client.receive_argument().await, "hi");
}

#[tokio::test]
async fn case_22_a_client_may_connect_without_an_id() {
    let service = TestService::start().await;
    for path in [WS, "/client?hub=chat", "/client/?hub=chat&id="] {
        let mut client = service.connect(path, &client_token(json!({}))).await;
        service.broadcast(path).await;
        assert_eq!(client.receive_argument().await, path);
    }
}

#[tokio::test]
async fn case_23_a_browser_may_put_its_token_into_the_query() {
    let service = TestService::start().await;
    let path = format!("{WS}&access_token={}", client_token(json!({})));
    service.open(&path, None).await.unwrap().handshake().await;
    assert_eq!(error_status(service.open(WS, None).await), 401);
    assert_eq!(error_status(service.open(WS, Some("no.such.token")).await), 401);
}

#[tokio::test]
async fn case_24_an_id_opens_one_socket_only() {
    let service = TestService::start().await;
    let token = client_token(json!({}));
    let (public, secret) = service.negotiated_ids(&token).await;
    let with = |id: &str| format!("{WS}&id={id}");
    assert_eq!(error_status(service.open(&with("unknown"), Some(&token)).await), 404);
    assert_eq!(error_status(service.open(&with(&public), Some(&token)).await), 404);
    let mut client = service.connect(&with(&secret), &token).await;
    assert_eq!(error_status(service.open(&with(&secret), Some(&token)).await), 409);
    client.send_text("{\"type\":7}\u{1e}").await;
    client.receive_until_end().await;
    error_code(&service, &public).await;
    assert_eq!(error_status(service.open(&with(&secret), Some(&token)).await), 404);
}

#[tokio::test]
async fn case_24_an_id_works_for_its_user_only() {
    let service = TestService::start().await;
    let (_, secret) = service.negotiated_ids(&client_token(json!({"asrs.s.uid": "alice"}))).await;
    let mallory = client_token(json!({"asrs.s.uid": "mallory"}));
    assert_eq!(error_status(service.open(&format!("{WS}&id={secret}"), Some(&mallory)).await), 404);
}

#[tokio::test]
async fn an_id_that_is_not_used_in_time_expires() {
    let service = TestService::with(Options { connection_token_lifetime: Duration::ZERO, ..Options::default() }).await;
    let token = client_token(json!({}));
    let (_, secret) = service.negotiated_ids(&token).await;
    assert_eq!(error_status(service.open(&format!("{WS}&id={secret}"), Some(&token)).await), 404);
}

#[tokio::test]
async fn case_25_handshake_versions_0_to_2_are_accepted_and_99_is_not() {
    let service = TestService::start().await;
    for version in 0..=2 {
        let mut client = service.open(WS, Some(&client_token(json!({})))).await.unwrap();
        client.send_text(&format!("{{\"version\":{version},\"protocol\":\"json\"}}\u{1e}")).await;
        assert_eq!(client.receive().await, json!({}));
    }
    let mut client = service.open(WS, Some(&client_token(json!({})))).await.unwrap();
    client.send_text("{\"protocol\":\"json\",\"version\":99}\u{1e}").await;
    let error = json!({"error": "The server does not support version 99 of the 'json' protocol."});
    assert_eq!(client.receive_until_end().await, (vec![error], Some(1000)));
}

#[tokio::test]
async fn case_26_an_unknown_protocol_is_named_and_the_socket_closed() {
    let service = TestService::start().await;
    let mut client = service.open(WS, Some(&client_token(json!({})))).await.unwrap();
    client.send_text("{\"protocol\":\"blazorpack\",\"version\":1}\u{1e}").await;
    let error = json!({"error": "The protocol 'blazorpack' is not supported."});
    assert_eq!(client.receive_until_end().await, (vec![error], Some(1000)));
}

#[tokio::test]
async fn an_invalid_handshake_gets_an_error() {
    let service = TestService::start().await;
    let mut client = service.open(WS, Some(&client_token(json!({})))).await.unwrap();
    client.send_text("hello\u{1e}").await;
    let error = json!({"error": "An unexpected error occurred during connection handshake."});
    assert_eq!(client.receive_until_end().await, (vec![error], Some(1000)));
}

#[tokio::test]
async fn case_27_a_handshake_may_take_15_seconds() {
    assert_eq!(Options::default().handshake_timeout, Duration::from_secs(15));
    let service = TestService::with(Options { handshake_timeout: soon(), ..Options::default() }).await;
    let mut client = service.open(WS, Some(&client_token(json!({})))).await.unwrap();
    assert_eq!(client.receive_until_end().await, (vec![json!({"error": "Handshake was canceled."})], Some(1000)));
}

#[tokio::test]
async fn case_27_a_token_can_shorten_the_handshake_time_out() {
    let service =
        TestService::with(Options { handshake_timeout: Duration::from_secs(600), ..Options::default() }).await;
    let mut client = service.open(WS, Some(&client_token(json!({"asrs.s.cht": "1"})))).await.unwrap();
    assert_eq!(client.receive_until_end().await.0, [json!({"error": "Handshake was canceled."})]);
}

#[tokio::test]
async fn case_29_messages_may_be_split_and_joined_in_frames() {
    let service = TestService::start().await;
    let mut client = service.open(WS, Some(&client_token(json!({})))).await.unwrap();
    let call = |id: &str| format!("{{\"type\":1,\"target\":\"t\",\"arguments\":[],\"invocationId\":\"{id}\"}}\u{1e}");
    client.send_text("{\"protocol\":\"json\",").await;
    client.send_text(&format!("\"version\":1}}\u{1e}{}{}", call("1"), call("2"))).await;
    assert_eq!(client.receive().await, json!({}));
    let third = call("3");
    let (start, end) = third.split_at(20);
    client.send_text(start).await;
    client.send_frame(Message::binary(end.to_owned())).await;
    for id in ["1", "2", "3"] {
        let answer = client.receive().await;
        assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!(id)));
    }
}

#[tokio::test]
async fn case_30_an_idle_client_gets_ping_messages_and_no_ping_frames() {
    assert_eq!(Options::default().ping_interval, Duration::from_secs(15));
    let service = TestService::with(Options { ping_interval: soon(), ..Options::default() }).await;
    let mut client = service.client().await;
    for _ in 0..3 {
        assert_eq!(client.next_frame().await, Some(Message::text("{\"type\":6}\u{1e}")));
    }
}

#[tokio::test]
async fn case_30_a_ping_frame_of_the_client_is_answered() {
    let (_service, mut client) = TestService::with_client().await;
    client.send_frame(Message::Ping("ping".into())).await;
    assert_eq!(client.next_frame().await, Some(Message::Pong("ping".into())));
}

#[tokio::test]
async fn case_31_a_client_that_pinged_and_went_silent_is_closed() {
    assert_eq!(Options::default().client_timeout, Duration::from_secs(30));
    let service = TestService::with(Options { client_timeout: soon(), ..Options::default() }).await;
    let mut client = service.client().await;
    client.send_text("{\"type\":6}\u{1e}").await;
    let (messages, code) = client.receive_until_end().await;
    assert_eq!((messages, code), (vec![json!({"type": 7, "allowReconnect": true})], Some(1000)));
}

#[tokio::test]
async fn case_31_a_client_that_never_pings_stays_connected() {
    let (client_timeout, ping_interval) = (soon(), soon());
    let service = TestService::with(Options { client_timeout, ping_interval, ..Options::default() }).await;
    let mut client = service.client().await;
    for _ in 0..5 {
        assert_eq!(client.receive().await, json!({"type": 6}));
    }
    service.broadcast("still there").await;
    assert_eq!(client.receive_argument().await, "still there");
}

#[tokio::test]
async fn case_32_a_client_that_closes_is_unknown_afterwards() {
    let (service, public, mut client) = TestService::with_client_id().await;
    client.send_text("{\"type\":7}\u{1e}").await;
    assert_eq!(client.receive_until_end().await, (vec![], Some(1000)));
    assert_eq!(error_code(&service, &public).await.unwrap(), "Warning.Connection.NotExisted");
}

#[tokio::test]
async fn a_client_whose_socket_ends_is_unknown_afterwards() {
    let (service, public, client) = TestService::with_client_id().await;
    drop(client);
    assert_eq!(error_code(&service, &public).await.unwrap(), "Warning.Connection.NotExisted");
}

#[tokio::test]
async fn case_33_a_host_header_without_a_port_is_accepted() {
    let service = TestService::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", service.port)).await.unwrap();
    let request = format!(
        "GET {WS} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {}\r\n\r\n",
        client_token(json!({}))
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
}

#[tokio::test]
async fn case_34_unknown_messages_are_ignored() {
    let (service, mut client) = TestService::with_client().await;
    for message in [
        r#"{"type":99}"#,
        r#"{"type":2,"invocationId":"0","item":1}"#,
        r#"{"type":3,"invocationId":"0","result":1}"#,
        r#"{"type":5,"invocationId":"0"}"#,
        r#"{"type":8,"sequenceId":1}"#,
        r#"{"type":1,"target":"send","arguments":["x"],"headers":{"Authorization":"Bearer x"},"more":1}"#,
    ] {
        client.send_text(&format!("{message}\u{1e}")).await;
    }
    service.broadcast("still there").await;
    assert_eq!(client.receive().await["arguments"], json!(["still there"]));
}

#[tokio::test]
async fn invocations_and_streams_without_an_upstream_get_an_error() {
    let (_service, mut client) = TestService::with_client().await;
    client.send_text("{\"type\":1,\"target\":\"Foo\",\"arguments\":[],\"invocationId\":\"i\"}\u{1e}").await;
    client.send_text("{\"type\":4,\"target\":\"Bar\",\"arguments\":[],\"invocationId\":\"s\"}\u{1e}").await;
    for (id, target) in [("i", "'Foo'"), ("s", "'Bar'")] {
        let answer = client.receive().await;
        assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!(id)));
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(target) && error.contains("upstream"), "{error}");
    }
}

#[tokio::test]
async fn an_invalid_message_closes_its_own_connection_only() {
    let (service, mut other) = TestService::with_client().await;
    for invalid in [
        Message::text("invalid\u{1e}"),
        Message::text("[]\u{1e}"),
        Message::text("{\"type\":\"x\"}\u{1e}"),
        Message::binary(vec![0xFF, 0x00, 0x1E]),
        Message::text("\u{1e}"),
    ] {
        let mut client = service.client().await;
        client.send_frame(invalid).await;
        let (messages, code) = client.receive_until_end().await;
        assert_eq!((&messages[0]["type"], code), (&json!(7), Some(1011)), "{messages:?}");
        assert!(messages[0]["error"].as_str().unwrap().contains("not a message"), "{messages:?}");
    }
    service.broadcast("still there").await;
    assert_eq!(other.receive_argument().await, "still there");
}

#[tokio::test]
async fn a_message_over_the_limit_of_any_size_and_in_any_frames_gets_the_same_close() {
    const LIMIT: usize = 1_000;
    let service = TestService::with(Options { max_client_message_bytes: LIMIT, ..Options::default() }).await;
    let text = |length: usize| Message::text(format!("{{\"type\":6,\"x\":\"{}\"}}\u{1e}", "x".repeat(length - 18)));
    let separated = |length: usize| text(length).into_text().unwrap().to_string();
    let mut client = service.client().await;
    client.send_frame(text(LIMIT + 1)).await;
    client.send_text("{\"type\":1,\"target\":\"t\",\"arguments\":[],\"invocationId\":\"i\"}\u{1e}").await;
    assert_eq!(client.receive().await["invocationId"], "i", "the separator does not count");

    let pieces = |length: usize, size: usize| -> Vec<Message> {
        separated(length).as_bytes().chunks(size).map(|piece| Message::text(str::from_utf8(piece).unwrap())).collect()
    };
    let cases: [(&str, Vec<Message>); 10] = [
        ("one byte more", vec![text(LIMIT + 2)]),
        ("one byte more, without its separator", vec![Message::text("x".repeat(LIMIT + 1))]),
        ("after a message that fits", vec![Message::text([separated(LIMIT), separated(LIMIT + 2)].concat())]),
        ("twice the limit", vec![text(2 * LIMIT)]),
        ("a little more than the largest frame", vec![text(2 * LIMIT + 100)]),
        ("much more than the largest frame", vec![text(100_000)]),
        ("more than the socket buffers", vec![text(8 << 20)]),
        ("in two frames", pieces(LIMIT + 200, 600)),
        ("in many frames", pieces(LIMIT + 200, 10)),
        ("binary", vec![Message::binary(vec![b'x'; 5_000])]),
    ];
    for (name, frames) in cases {
        let mut client = service.client().await;
        for frame in frames {
            // The service may have closed the connection before it has received everything.
            if client.try_send(frame).await.is_err() {
                break;
            }
        }
        let close = json!({"type": 7, "error": "a message is longer than 1000 bytes"});
        assert_eq!(client.receive_until_end().await, (vec![close], Some(1009)), "{name}");
    }
}

#[tokio::test]
async fn a_silent_socket_is_dropped_after_the_close_time_out() {
    let service =
        TestService::with(Options { handshake_timeout: soon(), close_timeout: soon(), ..Options::default() }).await;
    let stream = service.slow_socket(WS).await;
    service.wait_until_empty().await;
    drop(stream);
}

#[tokio::test]
async fn close_all_closes_every_client_and_rejects_new_ones() {
    let service = TestService::start().await;
    let token = client_token(json!({}));
    let (_, unused) = service.negotiated_ids(&token).await;
    let mut clients = [service.client().await, service.user("alice").await];
    let mut silent = service.open(WS, Some(&token)).await.unwrap();
    service.broadcast("last").await;
    service.emulator.close_all();
    for client in &mut clients {
        let (messages, code) = client.receive_until_end().await;
        let close = json!({"type": 7, "allowReconnect": true});
        assert_eq!(messages, [json!({"type": 1, "target": "t", "arguments": ["last"]}), close]);
        assert_eq!(code, Some(1000));
    }
    assert_eq!(silent.receive_until_end().await, (vec![], Some(1000)));
    service.wait_until_empty().await;
    assert_eq!(service.negotiate("", &token).await.status(), 503);
    assert_eq!(error_status(service.open(WS, Some(&token)).await), 503);
    assert_eq!(error_status(service.open(&format!("{WS}&id={unused}"), Some(&token)).await), 503);
}

#[tokio::test]
async fn requests_without_an_upgrade_get_the_responses_of_azure() {
    let service = TestService::start().await;
    let bearer = client_token(json!({}));
    let (_, waiting) = service.negotiated_ids(&bearer).await;
    let (_, open) = service.negotiated_ids(&bearer).await;
    let _client = service.connect(&format!("{WS}&id={open}"), &bearer).await;
    for (method, id, accept, status, expected) in [
        (Method::GET, "", "*/*", 400, "Connection ID required"),
        (Method::POST, "", "*/*", 400, "Connection ID required"),
        (Method::GET, "unknown", "*/*", 404, "No Connection with that ID"),
        (Method::POST, &*waiting, "*/*", 400, "connect before sending"),
        (Method::DELETE, &*waiting, "*/*", 400, "Cannot terminate"),
        (Method::POST, &*open, "*/*", 405, "POST requests are not allowed for WebSocket connections."),
        (Method::DELETE, &*open, "*/*", 400, "Cannot terminate"),
        (Method::GET, &*open, "*/*", 400, "Cannot change transports"),
        (Method::PUT, &*open, "*/*", 405, ""),
    ] {
        let path = if id.is_empty() { WS.to_owned() } else { format!("{WS}&id={id}") };
        let request = service.request(method.clone(), &path).header("accept", accept).bearer_auth(&bearer);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {id} {accept}");
        let body = response.text().await.unwrap();
        assert!(body.contains(expected), "{body}");
    }
    let unsigned = service.request(Method::GET, WS).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
}

#[tokio::test]
async fn an_incomplete_upgrade_counts_as_no_connection() {
    let service = TestService::start().await;
    let (public, secret) = service.negotiated_ids(&client_token(json!({}))).await;
    let request = service.request(Method::GET, &format!("{WS}&id={secret}")).header("upgrade", "websocket");
    let response = request.bearer_auth(client_token(json!({}))).send().await.unwrap();
    assert!(response.status().is_client_error());
    assert_eq!(exists(&service, &public).await.0, 404);
    service.wait_until_empty().await;
}

#[tokio::test]
async fn the_user_of_a_connection_comes_from_its_token() {
    let service = TestService::start().await;
    for (claims, user) in
        [(json!({"asrs.s.uid": "a", "sub": "x"}), "a"), (json!({"nameid": "b"}), "b"), (json!({"sub": "c"}), "c")]
    {
        let mut client = service.connect(WS, &client_token(claims)).await;
        let path = format!("/api/hubs/chat/users/{user}/:send?api-version=2022-06-01");
        assert_eq!(service.send(&path, &json!({"target": "t", "arguments": [user]})).await, 202);
        assert_eq!(client.receive_argument().await, user);
    }
}

#[tokio::test]
async fn unsupported_and_unknown_paths_have_their_statuses() {
    let service = TestService::start().await;
    let server = service.request(Method::GET, "/server/?hub=chat").send().await.unwrap();
    assert_eq!(server.status(), 501);
    assert!(server.text().await.unwrap().contains("Persistent mode"));
    let nothing = service.request(Method::GET, "/").bearer_auth(token(json!({}))).send().await.unwrap();
    assert_eq!(nothing.status(), 404);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_others_miss_nothing() {
    let options = Options { max_queued_messages: 64, max_queued_bytes: 4 << 20, ..Options::default() };
    let service = TestService::with(options).await;
    let slow = service.slow_client().await;
    let mut reader = service.client().await;
    let text = "x".repeat(500_000);
    let count = 60;
    for number in 0..count {
        let message = json!({"target": "t", "arguments": [number, text]});
        assert_eq!(service.send("/api/hubs/chat/:send?api-version=2022-06-01", &message).await, 202);
        assert_eq!(reader.receive_argument().await, json!(number));
    }
    let received = count_until_end(slow).await;
    assert!(received < count, "a slow reader cannot have received everything");
    service.broadcast("after").await;
    assert_eq!(reader.receive_argument().await, Value::from("after"));
}

#[tokio::test]
async fn a_blocked_write_times_out_with_an_empty_queue() {
    let service = TestService::with(Options { client_timeout: soon(), ..Options::default() }).await;
    let slow = service.slow_client().await;
    let text = "x".repeat(1_000_000);
    for _ in 0..6 {
        service.broadcast(&text).await;
    }
    service.wait_until_empty().await;
    let received = count_until_end(slow).await;
    assert!(received < 6);
}

const CLIENTS: usize = 1_000;
const MESSAGES: u64 = 10;

#[tokio::test]
async fn case_91_a_thousand_clients_get_each_message_once_and_in_order() {
    let service = TestService::start().await;
    let token = client_token(json!({}));
    let mut readers = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = service.connect("/client/?hub=chat", &token).await;
        readers.spawn(async move {
            let mut received = Vec::new();
            while received.last() != Some(&Value::from("end")) {
                received.push(client.receive_argument().await);
            }
            received
        });
    }
    for number in 0..MESSAGES {
        let message = json!({"target": "t", "arguments": [number]});
        assert_eq!(service.send("/api/hubs/chat/:send?api-version=2022-06-01", &message).await, 202);
    }
    service.broadcast("end").await;
    let expected: Vec<Value> = (0..MESSAGES).map(Value::from).chain([Value::from("end")]).collect();
    let received = readers.join_all().await;
    assert_eq!(received.len(), CLIENTS);
    assert!(received.iter().all(|messages| *messages == expected));
}
