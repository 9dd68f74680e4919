//! Clients over Server-Sent Events: one answer that never ends, and requests for what the client says.

use std::time::Duration;

use azure_signalr_emulator::Options;
use futures_util::StreamExt as _;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{DEADLINE, House, client_token};

/// A client and its stream.
struct Events {
    public: String,
    path: String,
    stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

async fn get(house: &House, path: &str) -> Response {
    let token = client_token(json!({}));
    let path = format!("{path}&access_token={token}");
    house.request(Method::GET, &path).header("accept", "text/event-stream").send().await.unwrap()
}

/// A stream with the hand not shaken yet.
async fn open(house: &House) -> Events {
    let (public, secret) = house.ids(&client_token(json!({}))).await;
    let path = format!("/client/?hub=chat&id={secret}");
    let response = get(house, &path).await;
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
            let piece = timeout(DEADLINE, self.stream.next()).await.expect("an event or the end")?;
            self.text += std::str::from_utf8(&piece.unwrap()).unwrap();
        }
    }

    async fn event(&mut self) -> Option<Value> {
        let event = self.up_to("\r\n\r\n").await?;
        let record = event.strip_prefix("data: ").unwrap().strip_suffix("\u{1e}\r\n\r\n").unwrap();
        Some(serde_json::from_str(record).unwrap())
    }

    async fn post(&self, house: &House, text: &str) -> u16 {
        post(house, &self.path, text).await
    }

    async fn shake_hands(&mut self, house: &House) {
        assert_eq!(self.up_to(":\r\n").await.unwrap(), ":\r\n");
        assert_eq!(self.post(house, "{\"protocol\":\"json\",\"version\":1}\u{1e}").await, 200);
        assert_eq!(self.event().await.unwrap(), json!({}));
    }
}

async fn post(house: &House, path: &str, text: &str) -> u16 {
    let request = house.request(Method::POST, path).bearer_auth(client_token(json!({})));
    request.body(text.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn case_35_a_stream_opens_at_once_and_carries_messages() {
    let house = House::start().await;
    let mut client = open(&house).await;
    client.shake_hands(&house).await;
    house.broadcast("one\ntwo").await;
    let message = client.event().await.unwrap();
    assert_eq!(message, json!({"type": 1, "target": "t", "arguments": ["one\ntwo"]}));
}

#[tokio::test]
async fn case_36_a_stream_carries_text_only_and_says_so() {
    let house = House::start().await;
    let mut client = open(&house).await;
    client.up_to(":\r\n").await;
    assert_eq!(client.post(&house, "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await, 200);
    let error = client.event().await.unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("'messagepack'") && error.contains("'Binary' transfer format"), "{error}");
    assert_eq!(client.up_to("\n").await, None, "the stream ends");
}

#[tokio::test]
async fn case_37_a_stream_needs_an_id_that_is_known() {
    let house = House::start().await;
    let refused = get(&house, "/client/?hub=chat").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("Connection ID required"));
    assert_eq!(get(&house, "/client/?hub=chat&id=unknown").await.status(), 404);
}

#[tokio::test]
async fn case_43_a_stream_is_one_for_each_id_and_ends_when_the_client_hangs_up() {
    let house = House::start().await;
    let mut client = open(&house).await;
    client.shake_hands(&house).await;
    assert_eq!(get(&house, &client.path).await.status(), 409);
    let deleted = house.request(Method::DELETE, &client.path).bearer_auth(client_token(json!({})));
    assert_eq!(deleted.send().await.unwrap().status(), 400);
    let (path, public) = (client.path.clone(), client.public.clone());
    drop(client);
    house.emptied().await;
    assert_eq!(post(&house, &path, "x").await, 404);
    let exists =
        house.call(Method::HEAD, &format!("/api/hubs/chat/connections/{public}?api-version=2022-06-01"));
    assert_eq!(exists.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_idle_stream_is_pinged_and_ends_with_a_close() {
    let options = Options { ping_interval: Duration::from_millis(50), ..Options::default() };
    let house = House::with(options).await;
    let mut client = open(&house).await;
    client.shake_hands(&house).await;
    assert_eq!(client.event().await.unwrap(), json!({"type": 6}));
    house.emulator.close_all();
    while let Some(message) = client.event().await {
        if message["type"] == 7 {
            assert_eq!(client.up_to("\n").await, None);
            return;
        }
    }
    panic!("no Close");
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_taken() {
    let house = House::with(Options { max_client_message_bytes: 1000, ..Options::default() }).await;
    let mut client = open(&house).await;
    client.shake_hands(&house).await;
    assert_eq!(client.post(&house, &"x".repeat(10_000)).await, 413);
    house.broadcast("still there").await;
    assert_eq!(client.event().await.unwrap()["arguments"], json!(["still there"]));
}
