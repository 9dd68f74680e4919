//! Clients over long polling: they ask again and again, and the order of the answers is all they have.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{House, client_token};

struct Polls<'a> {
    house: &'a House,
    public: String,
    path: String,
}

impl<'a> Polls<'a> {
    async fn negotiated(house: &'a House, claims: Value) -> Self {
        let token = client_token(claims);
        let (public, secret) = house.ids(&token).await;
        Self { house, public, path: format!("/client/?hub=chat&id={secret}") }
    }

    /// A client whose first poll was answered.
    async fn open(house: &'a House) -> Self {
        let client = Self::negotiated(house, json!({})).await;
        let first = client.poll().await;
        assert_eq!((first.status().as_u16(), first.text().await.unwrap()), (200, String::new()));
        client
    }

    async fn greeted(house: &'a House) -> Self {
        let client = Self::open(house).await;
        let (held, posted) =
            tokio::join!(client.poll(), client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}"));
        assert_eq!(posted, 200);
        assert_eq!(held.headers()["content-length"], "3");
        assert_eq!(held.text().await.unwrap(), "{}\u{1e}");
        client
    }

    async fn ask(&self, method: Method) -> Response {
        self.house.request(method, &self.path).bearer_auth(client_token(json!({}))).send().await.unwrap()
    }

    async fn poll(&self) -> Response {
        self.ask(Method::GET).await
    }

    async fn post(&self, text: &str) -> u16 {
        let request = self.house.request(Method::POST, &self.path).bearer_auth(client_token(json!({})));
        request.body(text.to_owned()).send().await.unwrap().status().as_u16()
    }

    async fn exists(&self) -> bool {
        let path = format!("/api/hubs/chat/connections/{}?api-version=2022-06-01", self.public);
        self.house.call(Method::HEAD, &path).send().await.unwrap().status() == 200
    }
}

#[tokio::test]
async fn case_38_the_first_poll_is_answered_at_once_and_the_second_with_what_comes() {
    let house = House::start().await;
    let client = Polls::greeted(&house).await;
    house.broadcast("one").await;
    house.broadcast("two").await;
    let answer = client.poll().await;
    assert_eq!(answer.headers()["cache-control"], "no-cache, no-store");
    let message = |text: &str| format!("{{\"type\":1,\"target\":\"t\",\"arguments\":[\"{text}\"]}}\u{1e}");
    assert_eq!(answer.text().await.unwrap(), message("one") + &message("two"));
}

#[tokio::test]
async fn case_39_a_poll_has_its_token_in_the_header() {
    let house = House::start().await;
    let client = Polls::open(&house).await;
    let path = format!("{}&access_token={}", client.path, client_token(json!({})));
    assert_eq!(house.request(Method::GET, &path).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn case_40_a_poll_without_news_is_answered_with_nothing_and_the_next_one_works() {
    assert_eq!(Options::default().poll_timeout, Duration::from_secs(90));
    let house = House::with(Options { poll_timeout: Duration::from_millis(50), ..Options::default() }).await;
    let client = Polls::greeted(&house).await;
    for _ in 0..2 {
        let answer = client.poll().await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, String::new()));
    }
    house.broadcast("news").await;
    assert!(client.poll().await.text().await.unwrap().contains("news"));
}

#[tokio::test]
async fn case_40_a_token_can_shorten_a_poll() {
    let house = House::start().await;
    let token = client_token(json!({"asrs.s.ttl": "1"}));
    let (_, secret) = house.ids(&token).await;
    let poll = || {
        let request = house.request(Method::GET, &format!("/client/?hub=chat&id={secret}"));
        request.bearer_auth(&token).send()
    };
    poll().await.unwrap();
    let answer = poll().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, String::new()));
}

#[tokio::test]
async fn case_41_a_second_poll_ends_the_first() {
    let house = House::start().await;
    let client = Polls::greeted(&house).await;
    let (one, other) = {
        let mut polls = [Box::pin(client.poll()), Box::pin(client.poll())];
        let [one, other] = &mut polls;
        // Whichever comes second ends the other.
        tokio::select! {
            ended = &mut *one => {
                house.broadcast("x").await;
                (ended, other.await)
            }
            ended = &mut *other => {
                house.broadcast("x").await;
                (ended, one.await)
            }
        }
    };
    assert_eq!((one.status().as_u16(), other.status().as_u16()), (204, 200));
    assert!(other.text().await.unwrap().contains('x'));
}

#[tokio::test]
async fn case_42_delete_ends_the_connection_and_its_poll() {
    let house = House::start().await;
    let client = Polls::greeted(&house).await;
    let (held, deleted) = tokio::join!(client.poll(), client.ask(Method::DELETE));
    assert_eq!(deleted.status(), 202);
    // The poll was there first, or it found nothing any more.
    assert!([204, 404].contains(&held.status().as_u16()), "{}", held.status());
    assert_eq!(client.poll().await.status(), 404);
    house.emptied().await;
    assert!(!client.exists().await);
}

#[tokio::test]
async fn case_43_transports_do_not_change() {
    let house = House::start().await;
    let client = Polls::greeted(&house).await;
    let token = client_token(json!({}));
    assert_eq!(house.open(&client.path, Some(&token)).await.err().unwrap().0, 400);
    let events = house.request(Method::GET, &client.path).header("accept", "text/event-stream");
    assert_eq!(events.bearer_auth(&token).send().await.unwrap().status(), 400);
    assert!(client.exists().await);
}

#[tokio::test]
async fn case_44_a_client_that_does_not_ask_again_is_gone() {
    assert_eq!(Options::default().poll_absence, Duration::from_secs(15));
    let house = House::with(Options { poll_absence: Duration::from_millis(200), ..Options::default() }).await;
    let client = Polls::greeted(&house).await;
    house.emptied().await;
    assert!(!client.exists().await);
    assert_eq!(client.poll().await.status(), 404);
}

#[tokio::test]
async fn a_client_that_is_closed_is_told_and_then_told_that_it_is_over() {
    let house = House::start().await;
    let client = Polls::greeted(&house).await;
    house.emulator.close_all();
    assert_eq!(client.poll().await.text().await.unwrap(), "{\"type\":7,\"allowReconnect\":true}\u{1e}");
    assert_eq!(client.poll().await.status(), 204);
    house.emptied().await;
    assert_eq!(client.poll().await.status(), 404);
}

#[tokio::test]
async fn what_a_client_says_before_it_polls_is_refused() {
    let house = House::start().await;
    let client = Polls::negotiated(&house, json!({})).await;
    assert_eq!(client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}").await, 400);
}
