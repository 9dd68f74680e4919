//! How connections end: what the client gets, and what the upstream is told.

use std::time::Duration;

use azure_signalr_emulator::Options;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::{Client, DEADLINE, TestService, client_token, greet, now};
use crate::upstream::TestUpstream;

/// A close frame with this code; without one, an empty close frame.
fn close(code: Option<u16>) -> Message {
    Message::Close(code.map(|code| CloseFrame { code: code.into(), reason: "bye".into() }))
}

async fn ended_with(client: &mut Client, frame: Message) {
    client.send_frame(frame).await;
    client.receive_until_end().await;
}

#[tokio::test]
async fn a_close_frame_is_answered_with_a_close_frame() {
    let service = TestService::start().await;
    // JavaScript clients close without a code.
    for (sent, answered) in
        [(Some(1000), 1000), (Some(1001), 1001), (None, 1000), (Some(1011), 1011), (Some(4000), 4000)]
    {
        let mut client = service.client().await;
        client.send_frame(close(sent)).await;
        assert_eq!(client.receive_until_end().await, (vec![], Some(answered)), "{sent:?}");
    }
    service.wait_until_empty().await;
}

#[tokio::test]
async fn a_violation_of_the_websocket_protocol_is_answered_with_its_code() {
    let service = TestService::start().await;
    let cases: [(&str, &[u8], u16); 7] = [
        ("a frame without a mask", &[0x81, 2, b'{', b'}'], 1002),
        ("an unknown opcode", &[0x83, 0x80, 0, 0, 0, 0], 1002),
        ("a reserved bit", &[0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("a control frame in parts", &[0x09, 0x80, 0, 0, 0, 0], 1002),
        ("a continuation of nothing", &[0x80, 0x80, 0, 0, 0, 0], 1002),
        ("a close code that must not be sent", &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], 1002),
        ("a text that is not UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
    ];
    for (name, frame, code) in cases {
        let mut stream = service.slow_socket("/client/?hub=chat").await.into_inner();
        stream.write_all(frame).await.unwrap();
        let mut received = Vec::new();
        // Closes its side when the service has closed its own.
        timeout(DEADLINE, stream.read_to_end(&mut received)).await.unwrap().unwrap();
        assert_eq!(received, [&[0x88, 2][..], &code.to_be_bytes()].concat(), "{name}");
    }
    service.wait_until_empty().await;
}

/// How a client ends its connection.
enum End {
    Frame(Message),
    /// The TCP connection ends without a close frame.
    Cut,
    Bytes(&'static [u8]),
    Nothing,
}

#[tokio::test]
async fn only_breaks_time_outs_and_violations_are_errors_for_the_upstream() {
    let hub_close = |error: Value| End::Frame(Message::text(format!("{}\u{1e}", json!({"type": 7, "error": error}))));
    let cases = [
        ("close frame 1000", End::Frame(close(Some(1000))), None),
        ("close frame 1001", End::Frame(close(Some(1001))), None),
        ("close frame without a code", End::Frame(close(None)), None),
        ("close frame 1011", End::Frame(close(Some(1011))), Some("1011")),
        ("Close message", hub_close(Value::Null), None),
        ("Close message with an error", hub_close(json!("lost patience")), Some("lost patience")),
        ("cut", End::Cut, Some("the transport")),
        ("malformed message", End::Frame(Message::text("{]\u{1e}")), Some("not a message")),
        ("message over the limit", End::Frame(Message::text("x".repeat(2_000))), Some("longer than 1000 bytes")),
        ("frame without a mask", End::Bytes(&[0x81, 2, b'{', b'}']), Some("WebSocket protocol")),
        ("silent after a ping", End::Nothing, Some("timed out")),
    ];
    for (name, end, error) in cases {
        let client_timeout = if matches!(end, End::Nothing) { Duration::from_millis(50) } else { DEADLINE };
        let options = Options { client_timeout, max_client_message_bytes: 1_000, ..Options::default() };
        let mut upstream = TestUpstream::with(options).await;
        match end {
            End::Frame(frame) => ended_with(&mut upstream.service.client().await, frame).await,
            End::Cut => drop(upstream.service.client().await),
            End::Bytes(bytes) => {
                let mut stream = upstream.service.slow_socket("/client/?hub=chat").await.into_inner();
                stream.write_all(b"\x81\xa0\0\0\0\0{\"protocol\":\"json\",\"version\":1}\x1e").await.unwrap();
                stream.write_all(bytes).await.unwrap();
                let mut received = Vec::new();
                timeout(DEADLINE, stream.read_to_end(&mut received)).await.unwrap().unwrap();
            }
            End::Nothing => {
                let mut client = upstream.service.client().await;
                client.send_text("{\"type\":6}\u{1e}").await;
                client.receive_until_end().await;
            }
        }
        assert_eq!(upstream.received().await.event, "connected", "{name}");
        let disconnected = upstream.received().await;
        assert_eq!(disconnected.event, "disconnected", "{name}");
        let told = disconnected.json()["error"].as_str().map(str::to_owned);
        match error {
            None => assert_eq!(told, None, "{name}"),
            Some(part) => assert!(told.as_ref().is_some_and(|told| told.contains(part)), "{name}: {told:?}"),
        }
    }
}

#[tokio::test]
async fn the_end_of_an_event_stream_is_a_normal_close() {
    let mut upstream = TestUpstream::start().await;
    let token = client_token(json!({}));
    let (_, secret) = upstream.service.negotiated_ids(&token).await;
    let path = format!("/client/?hub=chat&id={secret}&access_token={token}");
    let stream = upstream.service.request(reqwest::Method::GET, &path).header("accept", "text/event-stream");
    let stream = stream.send().await.unwrap();
    let post = upstream.service.request(reqwest::Method::POST, &format!("/client/?hub=chat&id={secret}"));
    let handshake = post.bearer_auth(&token).body("{\"protocol\":\"json\",\"version\":1}\u{1e}").send().await.unwrap();
    assert_eq!(handshake.status(), 200);
    assert_eq!(upstream.received().await.event, "connected");
    drop(stream);
    assert_eq!(upstream.received().await.json(), json!({"type": 11}));
}

#[tokio::test]
async fn a_delete_of_long_polling_is_a_normal_close_and_a_client_that_polls_no_more_is_not() {
    let options = Options { disconnect_timeout: Duration::from_millis(50), ..Options::default() };
    for (options, method, error) in [(Options::default(), Some(reqwest::Method::DELETE), false), (options, None, true)]
    {
        let mut upstream = TestUpstream::with(options).await;
        let token = client_token(json!({}));
        let (_, secret) = upstream.service.negotiated_ids(&token).await;
        let path = format!("/client/?hub=chat&id={secret}");
        let call = |method| upstream.service.request(method, &path).bearer_auth(&token);
        call(reqwest::Method::GET).send().await.unwrap();
        let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
        let (poll, post) =
            tokio::join!(call(reqwest::Method::GET).send(), call(reqwest::Method::POST).body(handshake).send());
        assert_eq!(
            (poll.unwrap().status(), post.unwrap().status()),
            (200.try_into().unwrap(), 200.try_into().unwrap())
        );
        if let Some(method) = method {
            assert_eq!(call(method).send().await.unwrap().status(), 202);
        }
        assert_eq!(upstream.received().await.event, "connected");
        assert_eq!(upstream.received().await.json()["error"].is_string(), error);
    }
}

/// A client that reads slower than messages arrive, for longer than the client timeout.
#[tokio::test]
async fn a_slow_reader_that_makes_progress_stays_connected() {
    // More than the buffers of the system hold.
    const MESSAGES: usize = 160;
    let client_timeout = Duration::from_secs(1);
    let options = Options { client_timeout, max_queued_bytes: 64 << 20, ..Options::default() };
    let service = TestService::with(options).await;
    let mut client = service.plain_socket(TcpSocket::new_v4().unwrap(), "/client/?hub=chat").await;
    greet(&mut client, 1).await;
    let mut stream = client.into_inner();
    let text = "x".repeat(250_000);
    let sending = async {
        for _ in 0..MESSAGES {
            service.broadcast(&text).await;
        }
    };
    let start = Instant::now();
    let reading = async {
        let (mut received, mut buffer) = (0, vec![0; 256 << 10]);
        let mut pace = interval(Duration::from_millis(20));
        while received < MESSAGES * text.len() {
            pace.tick().await;
            match timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap().unwrap() {
                0 => panic!("dropped after {received} bytes"),
                bytes => received += bytes,
            }
        }
    };
    tokio::join!(sending, reading);
    assert!(start.elapsed() > 2 * client_timeout, "the test reads too fast to show anything");
}

#[tokio::test]
async fn a_slow_reader_gets_what_was_sent_before_its_token_expired_and_no_more() {
    let options = Options { max_queued_bytes: usize::MAX, max_client_message_bytes: 2 << 20, ..Options::default() };
    let service = TestService::with(options).await;
    let expiry = now() + 3;
    let token = client_token(json!({"asrs.s.aeo": expiry.to_string(), "asrs.s.coae": "true"}));
    let mut client = service.connect("/client/?hub=chat", &token).await;
    // More than the buffers of its socket hold.
    let (text, mut sent, mut sent_before) = ("x".repeat(1_000_000), 0, 0);
    while sent < 40 || now() <= expiry {
        service.broadcast(&text).await;
        sent += 1;
        sent_before += usize::from(now() < expiry);
    }
    service.broadcast("late").await;
    let (messages, _) = client.receive_until_end().await;
    let (close, messages) = messages.split_last().unwrap();
    assert_eq!(*close, json!({"type": 7, "error": "The access token has expired.", "allowReconnect": true}));
    assert!(messages.iter().all(|message| message["arguments"] != json!(["late"])));
    assert!(messages.len() >= sent_before, "messages are lost");
}

#[tokio::test]
async fn the_handshake_response_comes_first_even_if_the_connection_ends_at_once() {
    let service = TestService::start().await;
    for (text, types) in [("{\"type\":7}", &[None][..]), ("[]", &[None, Some(7)])] {
        let mut client = service.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
        client.send_text(&format!("{{\"protocol\":\"json\",\"version\":1}}\u{1e}{text}\u{1e}")).await;
        let (messages, _) = client.receive_until_end().await;
        assert_eq!(messages[0], json!({}), "{text}");
        assert_eq!(Vec::from_iter(messages.iter().map(|message| message["type"].as_u64())), types, "{text}");
    }
}
