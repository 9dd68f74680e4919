//! Tests of clients over long polling.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{TestService, client_token};

struct Polls<'a> {
    service: &'a TestService,
    public: String,
    path: String,
}

impl<'a> Polls<'a> {
    async fn negotiated(service: &'a TestService, claims: Value) -> Self {
        let token = client_token(claims);
        let (public, secret) = service.negotiated_ids(&token).await;
        Self { service, public, path: format!("/client/?hub=chat&id={secret}") }
    }

    /// A client after its first poll.
    async fn open(service: &'a TestService) -> Self {
        let client = Self::negotiated(service, json!({})).await;
        let first = client.poll().await;
        assert_eq!(first.headers()["content-type"], "application/octet-stream");
        assert_eq!((first.status().as_u16(), first.text().await.unwrap()), (200, String::new()));
        client
    }

    async fn greeted(service: &'a TestService) -> Self {
        let client = Self::open(service).await;
        let (held, posted) = tokio::join!(client.poll(), client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}"));
        assert_eq!(posted, 200);
        assert_eq!(held.headers()["content-length"], "3");
        assert_eq!(held.text().await.unwrap(), "{}\u{1e}");
        client
    }

    async fn ask(&self, method: Method) -> Response {
        self.service.request(method, &self.path).bearer_auth(client_token(json!({}))).send().await.unwrap()
    }

    async fn poll(&self) -> Response {
        self.ask(Method::GET).await
    }

    async fn post(&self, text: &str) -> u16 {
        let request = self.service.request(Method::POST, &self.path).bearer_auth(client_token(json!({})));
        request.body(text.to_owned()).send().await.unwrap().status().as_u16()
    }

    async fn exists(&self) -> bool {
        let path = format!("/api/hubs/chat/connections/{}?api-version=2022-06-01", self.public);
        self.service.call(Method::HEAD, &path).send().await.unwrap().status() == 200
    }
}

#[tokio::test]
async fn case_38_the_first_poll_is_answered_at_once_and_the_second_with_what_comes() {
    let service = TestService::start().await;
    let client = Polls::greeted(&service).await;
    service.broadcast("one").await;
    service.broadcast("two").await;
    let answer = client.poll().await;
    assert_eq!(answer.headers()["cache-control"], "no-cache, no-store");
    let message = |text: &str| format!("{{\"type\":1,\"target\":\"t\",\"arguments\":[\"{text}\"]}}\u{1e}");
    assert_eq!(answer.text().await.unwrap(), message("one") + &message("two"));
}

#[tokio::test]
async fn case_39_a_poll_has_its_token_in_the_header() {
    let service = TestService::start().await;
    let client = Polls::open(&service).await;
    let path = format!("{}&access_token={}", client.path, client_token(json!({})));
    assert_eq!(service.request(Method::GET, &path).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn case_40_a_poll_without_messages_is_empty_and_the_next_one_works() {
    assert_eq!(Options::default().poll_timeout, Duration::from_secs(90));
    let service = TestService::with(Options { poll_timeout: Duration::from_millis(50), ..Options::default() }).await;
    let client = Polls::greeted(&service).await;
    for _ in 0..2 {
        let answer = client.poll().await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, String::new()));
    }
    service.broadcast("news").await;
    assert!(client.poll().await.text().await.unwrap().contains("news"));
}

#[tokio::test]
async fn case_40_a_token_can_shorten_a_poll() {
    let service = TestService::start().await;
    let token = client_token(json!({"asrs.s.ttl": "1"}));
    let (_, secret) = service.negotiated_ids(&token).await;
    let poll = || {
        let request = service.request(Method::GET, &format!("/client/?hub=chat&id={secret}"));
        request.bearer_auth(&token).send()
    };
    poll().await.unwrap();
    let answer = poll().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, String::new()));
}

#[tokio::test]
async fn case_41_a_second_poll_ends_the_first() {
    let service = TestService::start().await;
    let client = Polls::greeted(&service).await;
    let (one, other) = {
        let mut polls = [Box::pin(client.poll()), Box::pin(client.poll())];
        let [one, other] = &mut polls;
        // The second to arrive ends the first.
        tokio::select! {
            ended = &mut *one => {
                service.broadcast("x").await;
                (ended, other.await)
            }
            ended = &mut *other => {
                service.broadcast("x").await;
                (ended, one.await)
            }
        }
    };
    assert_eq!((one.status().as_u16(), other.status().as_u16()), (204, 200));
    assert!(other.text().await.unwrap().contains('x'));
}

#[tokio::test]
async fn case_42_delete_ends_the_connection_and_its_poll() {
    let service = TestService::start().await;
    let client = Polls::greeted(&service).await;
    let (held, deleted) = tokio::join!(client.poll(), client.ask(Method::DELETE));
    assert_eq!(deleted.status(), 202);
    // The poll may arrive before or after the DELETE.
    assert!([204, 404].contains(&held.status().as_u16()), "{}", held.status());
    assert_eq!(client.poll().await.status(), 404);
    service.wait_until_empty().await;
    assert!(!client.exists().await);
}

#[tokio::test]
async fn case_43_transports_do_not_change() {
    let service = TestService::start().await;
    let client = Polls::greeted(&service).await;
    let token = client_token(json!({}));
    assert_eq!(service.open(&client.path, Some(&token)).await.err().unwrap().0, 400);
    let events = service.request(Method::GET, &client.path).header("accept", "text/event-stream");
    assert_eq!(events.bearer_auth(&token).send().await.unwrap().status(), 400);
    assert!(client.exists().await);
}

#[tokio::test]
async fn case_44_a_client_that_stops_polling_is_disconnected() {
    assert_eq!(Options::default().disconnect_timeout, Duration::from_secs(15));
    let service =
        TestService::with(Options { disconnect_timeout: Duration::from_millis(200), ..Options::default() }).await;
    let client = Polls::greeted(&service).await;
    service.wait_until_empty().await;
    assert!(!client.exists().await);
    assert_eq!(client.poll().await.status(), 404);
}

#[tokio::test]
async fn a_closed_client_gets_a_close_message_and_then_204() {
    let service = TestService::start().await;
    let client = Polls::greeted(&service).await;
    service.emulator.close_all();
    assert_eq!(client.poll().await.text().await.unwrap(), "{\"type\":7,\"allowReconnect\":true}\u{1e}");
    assert_eq!(client.poll().await.status(), 204);
    service.wait_until_empty().await;
    assert_eq!(client.poll().await.status(), 404);
}

#[tokio::test]
async fn a_client_can_poll_for_its_last_messages_after_the_shutdown_began() {
    let service = TestService::start().await;
    let client = Polls::greeted(&service).await;
    service.broadcast("last").await;
    service.shutdown.notify_one();
    while service.negotiate("", &client_token(json!({}))).await.status() != 503 {}
    let last = client.poll().await.text().await.unwrap();
    assert_eq!(last, "{\"type\":1,\"target\":\"t\",\"arguments\":[\"last\"]}\u{1e}");
    assert_eq!(client.poll().await.text().await.unwrap(), "{\"type\":7,\"allowReconnect\":true}\u{1e}");
    assert_eq!(client.poll().await.status(), 204);
}

#[tokio::test]
async fn messages_before_the_first_poll_are_rejected() {
    let service = TestService::start().await;
    let client = Polls::negotiated(&service, json!({})).await;
    assert_eq!(client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}").await, 400);
}
