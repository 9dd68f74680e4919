//! Clients over Server-Sent Events.

use std::time::Duration;

use azure_signalr_emulator::Options;
use futures_util::StreamExt as _;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{DEADLINE, TestService, client_token};

/// A client and its event stream.
struct Events {
    public: String,
    path: String,
    stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

async fn get(service: &TestService, path: &str) -> Response {
    let token = client_token(json!({}));
    let path = format!("{path}&access_token={token}");
    service.request(Method::GET, &path).header("accept", "text/event-stream").send().await.unwrap()
}

/// A client before its handshake.
async fn open(service: &TestService) -> Events {
    let (public, secret) = service.negotiated_ids(&client_token(json!({}))).await;
    let path = format!("/client/?hub=chat&id={secret}");
    let response = get(service, &path).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(response.headers()["cache-control"].to_str().unwrap().contains("no-cache"));
    let stream = Box::pin(response.bytes_stream());
    Events { public, path, stream, text: String::new() }
}

impl Events {
    /// The text up to and with `end`.
    async fn up_to(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.text.find(end) {
                let rest = self.text.split_off(at + end.len());
                return Some(std::mem::replace(&mut self.text, rest));
            }
            let chunk = timeout(DEADLINE, self.stream.next()).await.expect("an event or the end")?;
            self.text += std::str::from_utf8(&chunk.unwrap()).unwrap();
        }
    }

    async fn event(&mut self) -> Option<Value> {
        let event = self.up_to("\r\n\r\n").await?;
        let record = event.strip_prefix("data: ").unwrap().strip_suffix("\u{1e}\r\n\r\n").unwrap();
        Some(serde_json::from_str(record).unwrap())
    }

    async fn post(&self, service: &TestService, text: &str) -> u16 {
        post(service, &self.path, text).await
    }

    async fn handshake(&mut self, service: &TestService) {
        assert_eq!(self.up_to(":\r\n").await.unwrap(), ":\r\n");
        assert_eq!(self.post(service, "{\"protocol\":\"json\",\"version\":1}\u{1e}").await, 200);
        assert_eq!(self.event().await.unwrap(), json!({}));
    }
}

async fn post(service: &TestService, path: &str, text: &str) -> u16 {
    let request = service.request(Method::POST, path).bearer_auth(client_token(json!({})));
    request.body(text.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn case_35_a_stream_opens_at_once_and_carries_messages() {
    let service = TestService::start().await;
    let mut client = open(&service).await;
    client.handshake(&service).await;
    service.broadcast("one\ntwo").await;
    let message = client.event().await.unwrap();
    assert_eq!(message, json!({"type": 1, "target": "t", "arguments": ["one\ntwo"]}));
}

#[tokio::test]
async fn case_36_server_sent_events_reject_binary_protocols() {
    let service = TestService::start().await;
    let mut client = open(&service).await;
    client.up_to(":\r\n").await;
    assert_eq!(client.post(&service, "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await, 200);
    let error = client.event().await.unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("'messagepack'") && error.contains("'Binary' transfer format"), "{error}");
    assert_eq!(client.up_to("\n").await, None, "the stream ends");
}

#[tokio::test]
async fn the_handshake_response_comes_first_even_if_the_connection_ends_at_once() {
    let service = TestService::start().await;
    let mut client = open(&service).await;
    client.up_to(":\r\n").await;
    assert_eq!(client.post(&service, "{\"protocol\":\"json\",\"version\":1}\u{1e}[]\u{1e}").await, 200);
    assert_eq!(client.event().await, Some(json!({})));
    assert_eq!(client.event().await.unwrap()["type"], 7);
}

#[tokio::test]
async fn case_37_server_sent_events_need_a_known_id() {
    let service = TestService::start().await;
    let rejected = get(&service, "/client/?hub=chat").await;
    assert_eq!(rejected.status(), 400);
    assert!(rejected.text().await.unwrap().contains("Connection ID required"));
    assert_eq!(get(&service, "/client/?hub=chat&id=unknown").await.status(), 404);
}

#[tokio::test]
async fn case_43_an_id_has_one_stream_which_ends_when_the_client_disconnects() {
    let service = TestService::start().await;
    let mut client = open(&service).await;
    client.handshake(&service).await;
    assert_eq!(get(&service, &client.path).await.status(), 409);
    let deleted = service.request(Method::DELETE, &client.path).bearer_auth(client_token(json!({})));
    assert_eq!(deleted.send().await.unwrap().status(), 400);
    let (path, public) = (client.path.clone(), client.public.clone());
    drop(client);
    service.wait_until_empty().await;
    assert_eq!(post(&service, &path, "x").await, 404);
    let exists = service.call(Method::HEAD, &format!("/api/hubs/chat/connections/{public}?api-version=2022-06-01"));
    assert_eq!(exists.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_idle_stream_gets_pings_and_ends_with_a_close_message() {
    let options = Options { ping_interval: Duration::from_millis(50), ..Options::default() };
    let service = TestService::with(options).await;
    let mut client = open(&service).await;
    client.handshake(&service).await;
    assert_eq!(client.event().await.unwrap(), json!({"type": 6}));
    service.emulator.close_all();
    while let Some(message) = client.event().await {
        if message["type"] == 7 {
            assert_eq!(client.up_to("\n").await, None);
            return;
        }
    }
    panic!("no close message");
}

#[tokio::test]
async fn an_oversized_message_is_rejected() {
    let service = TestService::with(Options { max_client_message_bytes: 1000, ..Options::default() }).await;
    let mut client = open(&service).await;
    client.handshake(&service).await;
    assert_eq!(client.post(&service, &"x".repeat(10_000)).await, 413);
    service.broadcast("still there").await;
    assert_eq!(client.event().await.unwrap()["arguments"], json!(["still there"]));
}
