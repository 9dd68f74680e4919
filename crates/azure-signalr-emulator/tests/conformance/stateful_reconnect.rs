//! Stateful reconnect: after a new socket no message is missing or repeated.

use std::time::Duration;

use azure_signalr_emulator::Options;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::{Client, TestService, client_token, greet};

const MESSAGE: &str = r#"{"type":1,"target":"t","arguments":[],"invocationId":"#;

/// Negotiates with stateful reconnect: the response, and the path to connect to.
async fn negotiated(service: &TestService) -> (Value, String) {
    let query = "&negotiateVersion=1&useStatefulReconnect=true";
    let answer: Value = service.negotiate(query, &client_token(json!({}))).await.json().await.unwrap();
    let path = format!("/client/?hub=chat&id={}", answer["connectionToken"].as_str().unwrap());
    (answer, path)
}

async fn open(service: &TestService, path: &str) -> Client {
    service.open(path, Some(&client_token(json!({})))).await.unwrap()
}

/// A client that may reconnect, after its handshake.
async fn client(service: &TestService) -> (String, Client) {
    let (_, path) = negotiated(service).await;
    let mut client = open(service, &path).await;
    client.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(client.receive().await, json!({}));
    (path, client)
}

async fn say(client: &mut Client, message: &Value) {
    client.send_text(&format!("{message}\u{1e}")).await;
}

#[tokio::test]
async fn case_17_stateful_reconnect_is_offered_on_request_if_enabled() {
    let service = TestService::start().await;
    assert_eq!(negotiated(&service).await.0["useStatefulReconnect"], true);
    let unasked: Value = service.negotiate("&negotiateVersion=1", &client_token(json!({}))).await.json().await.unwrap();
    assert_eq!(unasked.get("useStatefulReconnect"), None);
    let service = TestService::with(Options { stateful_reconnect: false, ..Options::default() }).await;
    assert_eq!(negotiated(&service).await.0.get("useStatefulReconnect"), None);
}

#[tokio::test]
async fn case_84_unacknowledged_messages_are_sent_again_on_the_next_socket() {
    let service = TestService::start().await;
    let (path, mut first) = client(&service).await;
    for text in ["one", "two", "three"] {
        service.broadcast(text).await;
        assert_eq!(first.receive_argument().await, text);
    }
    say(&mut first, &json!({"type": 8, "sequenceId": 1})).await;
    // A response shows that the acknowledgement was read.
    first.send_text(&format!("{MESSAGE}\"i\"}}\u{1e}")).await;
    assert_eq!(first.receive().await["invocationId"], "i");
    drop(first);
    service.broadcast("four").await;

    let mut second = open(&service, &path).await;
    assert_eq!(second.receive().await, json!({"type": 9, "sequenceId": 2}));
    for text in ["two", "three"] {
        assert_eq!(second.receive_argument().await, text);
    }
    assert_eq!(second.receive().await["invocationId"], "i");
    assert_eq!(second.receive_argument().await, "four");
}

#[tokio::test]
async fn messages_that_a_client_repeats_are_handled_once() {
    let service = TestService::start().await;
    let (path, mut first) = client(&service).await;
    first.send_text(&format!("{MESSAGE}\"1\"}}\u{1e}")).await;
    assert_eq!(first.receive().await["invocationId"], "1");
    drop(first);

    let mut second = open(&service, &path).await;
    assert_eq!(second.receive().await, json!({"type": 9, "sequenceId": 1}));
    assert_eq!(second.receive().await["invocationId"], "1");
    second.send_text(&format!("{MESSAGE}\"too early\"}}\u{1e}")).await;
    say(&mut second, &json!({"type": 9, "sequenceId": 1})).await;
    second.send_text(&format!("{MESSAGE}\"1\"}}\u{1e}{MESSAGE}\"2\"}}\u{1e}")).await;
    assert_eq!(second.receive().await["invocationId"], "2");
}

#[tokio::test]
async fn received_messages_are_acknowledged_after_a_second() {
    let service = TestService::start().await;
    let (_, mut client) = client(&service).await;
    client.send_text(&format!("{MESSAGE}\"1\"}}\u{1e}{MESSAGE}\"2\"}}\u{1e}")).await;
    for id in ["1", "2"] {
        assert_eq!(client.receive().await["invocationId"], id);
    }
    assert_eq!(client.receive().await, json!({"type": 8, "sequenceId": 2}));
}

#[tokio::test]
async fn a_client_with_a_wrong_sequence_id_is_closed() {
    let service = TestService::start().await;
    let (path, first) = client(&service).await;
    drop(first);
    let mut second = open(&service, &path).await;
    assert_eq!(second.receive().await["type"], 9);
    say(&mut second, &json!({"type": 9, "sequenceId": 7})).await;
    let (messages, _) = second.receive_until_end().await;
    let error = "Sequence ID greater than amount of messages we've received.";
    assert_eq!(messages, [json!({"type": 7, "error": error})]);
}

#[tokio::test]
async fn a_new_socket_replaces_one_that_is_still_open() {
    let service = TestService::start().await;
    let (path, mut first) = client(&service).await;
    let mut second = open(&service, &path).await;
    assert_eq!(first.receive_until_end().await.0, [] as [Value; 0]);
    assert_eq!(second.receive().await, json!({"type": 9, "sequenceId": 1}));
    say(&mut second, &json!({"type": 9, "sequenceId": 1})).await;
    service.broadcast("here").await;
    assert_eq!(second.receive_argument().await, "here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_new_sockets_the_last_one_stays() {
    let service = TestService::start().await;
    for _ in 0..20 {
        let (path, _first) = client(&service).await;
        let others = join_all((0..20).map(|_| open(&service, &path))).await;
        let mut last = open(&service, &path).await;
        assert_eq!(last.receive().await, json!({"type": 9, "sequenceId": 1}));
        say(&mut last, &json!({"type": 9, "sequenceId": 1})).await;
        drop(others);
        service.broadcast("here").await;
        assert_eq!(last.receive_argument().await, "here");
    }
}

/// A client that may reconnect, with a small receive buffer, after its handshake.
async fn slow_client(service: &TestService) -> (String, WebSocketStream<TcpStream>) {
    let (_, path) = negotiated(service).await;
    let mut client = service.slow_socket(&path).await;
    greet(&mut client, 2).await;
    (path, client)
}

/// More than the socket buffers hold.
async fn broadcast_until_blocked(service: &TestService) -> Vec<Value> {
    let texts: Vec<_> = (0..6).map(|number| format!("{number}{}", "x".repeat(1_000_000))).collect();
    for text in &texts {
        service.broadcast(text).await;
    }
    texts.into_iter().map(Value::from).collect()
}

#[tokio::test]
async fn a_new_socket_is_taken_over_at_once_while_a_write_to_the_old_one_is_blocked() {
    // No time-out may help.
    let hour = Duration::from_secs(3_600);
    let service = TestService::with(Options { client_timeout: hour, resume_timeout: hour, ..Options::default() }).await;
    let (path, blocked) = slow_client(&service).await;
    let texts = broadcast_until_blocked(&service).await;
    let mut second = open(&service, &path).await;
    assert_eq!(second.receive().await, json!({"type": 9, "sequenceId": 1}));
    for text in texts {
        assert_eq!(second.receive_argument().await, text);
    }
    drop(blocked);
}

#[tokio::test]
async fn a_second_loss_during_the_replay_is_survived() {
    let service = TestService::start().await;
    let (path, first) = slow_client(&service).await;
    let texts = broadcast_until_blocked(&service).await;
    drop(first);
    for _ in 0..3 {
        let mut lost = service.slow_socket(&path).await;
        let sequence = lost.next().await.unwrap().unwrap().into_text().unwrap();
        assert_eq!(sequence.as_str(), "{\"type\":9,\"sequenceId\":1}\u{1e}");
        drop(lost);
    }
    let mut last = open(&service, &path).await;
    assert_eq!(last.receive().await, json!({"type": 9, "sequenceId": 1}));
    for text in texts {
        assert_eq!(last.receive_argument().await, text);
    }
}

#[tokio::test]
async fn the_replay_buffer_is_bounded_whatever_fills_it() {
    const BYTES: usize = 20_000;
    let refused = |id: usize| json!({"type": 4, "target": "t", "invocationId": id.to_string(), "arguments": []});
    let unserved = |id: usize| json!({"type": 1, "target": "t", "invocationId": id.to_string(), "arguments": []});
    for request in [refused, unserved] as [fn(usize) -> Value; 2] {
        let service = TestService::with(Options { max_queued_bytes: BYTES, ..Options::default() }).await;
        let (_, mut client) = client(&service).await;
        let mut received = 0;
        let mut answered = 0;
        for id in 0..1_000 {
            if client.try_send(Message::text(format!("{}\u{1e}", request(id)))).await.is_err() {
                break;
            }
            // Reads everything, and acknowledges nothing.
            while answered <= id && received < BYTES {
                let answer = client.receive().await;
                if answer["type"] == 3 {
                    answered += 1;
                    received += answer.to_string().len() + 1;
                }
            }
        }
        client.receive_until_end().await;
        assert!(received < BYTES + 1_000, "{received} bytes without an acknowledgement");
        service.wait_until_empty().await;
    }
}

#[tokio::test]
async fn a_violation_ends_a_connection_for_good() {
    // No time-out may help.
    let resume_timeout = Duration::from_secs(3_600);
    let service = TestService::with(Options { max_client_message_bytes: 1_000, resume_timeout, ..Options::default() });
    let service = service.await;
    let cases = [
        ("oversized", Message::text("x".repeat(5_000))),
        ("malformed", Message::text("{]\u{1e}")),
        ("closed", Message::Close(None)),
    ];
    for (name, frame) in cases {
        let (path, mut client) = client(&service).await;
        client.send_frame(frame).await;
        client.receive_until_end().await;
        service.wait_until_empty().await;
        assert_eq!(service.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 404, "{name}");
    }
}

#[tokio::test]
async fn a_new_socket_is_refused_while_the_connection_closes() {
    // No time-out may help.
    let hour = Duration::from_secs(3_600);
    let service = TestService::with(Options { close_timeout: hour, ..Options::default() }).await;
    let (path, mut first) = client(&service).await;
    say(&mut first, &json!({"type": 7})).await;
    // The client reads no further, so it does not answer the close frame.
    assert_eq!(
        first.next_frame().await,
        Some(Message::Close(Some(CloseFrame { code: 1000.into(), reason: "".into() })))
    );
    assert_eq!(service.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 404);
}

#[tokio::test]
async fn a_client_that_does_not_reconnect_in_time_is_disconnected() {
    assert_eq!(Options::default().resume_timeout, Duration::from_secs(15));
    let service = TestService::with(Options { resume_timeout: Duration::ZERO, ..Options::default() }).await;
    let (path, first) = client(&service).await;
    drop(first);
    service.wait_until_empty().await;
    assert_eq!(service.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 404);
}

#[tokio::test]
async fn a_client_that_sends_close_is_disconnected_at_once() {
    let service = TestService::start().await;
    let (path, mut client) = client(&service).await;
    say(&mut client, &json!({"type": 7})).await;
    client.receive_until_end().await;
    service.wait_until_empty().await;
    assert_eq!(service.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 404);
}

#[tokio::test]
async fn case_85_version_1_clients_get_no_messages_of_version_2() {
    let service = TestService::start().await;
    let (answer, path) = negotiated(&service).await;
    let mut client = open(&service, &path).await;
    client.handshake().await;
    client.send_text(&format!("{MESSAGE}\"1\"}}\u{1e}")).await;
    assert_eq!(client.receive().await["invocationId"], "1");
    assert_eq!(service.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 409);
    drop(client);
    service.wait_until_empty().await;
    let public = answer["connectionId"].as_str().unwrap();
    let exists = format!("/api/hubs/chat/connections/{public}?api-version=2022-06-01");
    assert_eq!(service.call(Method::HEAD, &exists).send().await.unwrap().status(), 404);
}
