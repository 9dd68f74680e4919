//! Stateful reconnect: after a new socket no message is missing or repeated.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, TestService, client_token};

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
