//! What webhooks hear of clients, and clients of webhooks.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use azure_signalr_emulator::{Options, TemplateSource, UpstreamOptions};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, DEADLINE, House, KEY, client_token};

const COMPLETION: &str = "{\"type\":3,\"invocationId\":\"i\",\"result\":7}\u{1e}";

/// One post, as it came.
struct Heard {
    event: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A service with an upstream that answers by the name of the event.
struct Town {
    house: House,
    heard: mpsc::UnboundedReceiver<Heard>,
}

async fn hear(
    State(heard): State<mpsc::UnboundedSender<Heard>>,
    Path((hub, category, event)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!((hub.as_str(), headers["x-asrs-category"].to_str().unwrap()), ("chat", category.as_str()));
    heard.send(Heard { event: event.clone(), headers, body }).unwrap();
    match event.as_str() {
        "Seven" => COMPLETION.into_response(),
        "Nothing" => StatusCode::NO_CONTENT.into_response(),
        "Broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    }
}

impl Town {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let router =
            Router::new().route("/{hub}/{category}/{event}", axum::routing::post(hear)).with_state(sender);
        tokio::spawn(async move { axum::serve(socket, router).await });
        let template = format!("http://127.0.0.1:{port}/{{hub}}/{{category}}/{{event}}");
        Self { house: House::with(posting_to(&template, options)).await, heard }
    }

    async fn heard(&mut self) -> Heard {
        timeout(DEADLINE, self.heard.recv()).await.expect("a post").unwrap()
    }
}

fn posting_to(template: &str, options: Options) -> Options {
    let settings = json!({"UpstreamSettings": {"Templates": [{"UrlTemplate": template}]}}).to_string();
    let source = TemplateSource::Fixed(settings.parse().unwrap());
    let upstream = Some(UpstreamOptions::new(source));
    Options { upstream, ..options }
}

async fn invoke(client: &mut Client, target: &str) -> Value {
    let message = json!({"type": 1, "target": target, "arguments": [1], "invocationId": "i"});
    client.say(&format!("{message}\u{1e}")).await;
    client.hear().await
}

#[tokio::test]
async fn case_74_an_upstream_hears_of_a_client_before_it_hears_the_client() {
    let mut town = Town::start().await;
    let token = client_token(json!({"asrs.s.uid": "alice", "role": "admin"}));
    let (public, secret) = town.house.ids(&token).await;
    let mut client =
        town.house.open(&format!("/client/?hub=chat&id={secret}&page=3"), Some(&token)).await.unwrap();
    let hello =
        "{\"protocol\":\"json\",\"version\":1}\u{1e}{\"type\":1,\"target\":\"Hi\",\"arguments\":[]}\u{1e}";
    client.say(hello).await;

    let connected = town.heard().await;
    assert_eq!((connected.event.as_str(), connected.json()), ("connected", json!({"type": 10})));
    assert_eq!(connected.header("x-asrs-connection-id"), public);
    assert_eq!(connected.header("x-asrs-user-id"), "alice");
    assert!(connected.header("x-asrs-user-claims").contains("role: admin"));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(public.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(connected.header("x-asrs-signature"), format!("sha256={signature}"));
    assert_eq!(town.heard().await.event, "Hi");
}

#[tokio::test]
async fn case_75_a_message_goes_up_as_it_came_without_its_frame_and_headers() {
    let mut town = Town::start().await;
    let mut client = town.house.client().await;
    town.heard().await;
    client
        .say("{\"target\":\"Foo\",\"arguments\":[1.0,{\"a\":null}],\"headers\":{\"Authorization\":\"Bearer hush\"},\"type\":1}\u{1e}")
        .await;
    let message = town.heard().await;
    assert_eq!(message.header("content-type"), "application/json");
    assert_eq!(message.json(), json!({"type": 1, "target": "Foo", "arguments": [1.0, {"a": null}]}));

    let mut packed = town.house.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
    packed.say("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    assert_eq!(packed.next_frame().await, Some(Message::binary(&b"{}\x1e"[..])));
    town.heard().await;
    packed.frame(Message::binary(&b"\x0b\x95\x01\x80\xc0\xa3Foo\x91\xa1x"[..])).await;
    let message = town.heard().await;
    assert_eq!(message.header("content-type"), "application/x-msgpack");
    assert_eq!(&message.body[..], b"\x95\x01\x80\xc0\xa3Foo\x91\xa1x");
}

#[tokio::test]
async fn case_76_what_a_webhook_answers_completes_an_invocation() {
    let town = Town::start().await;
    let mut client = town.house.client().await;
    assert_eq!(invoke(&mut client, "Seven").await, json!({"type": 3, "invocationId": "i", "result": 7}));
    assert_eq!(invoke(&mut client, "Nothing").await, json!({"type": 3, "invocationId": "i"}));
    let failed = json!({"type": 3, "invocationId": "i", "error": "Invocation failed, status code 500"});
    assert_eq!(invoke(&mut client, "Broken").await, failed);
}

#[tokio::test]
async fn case_76_an_upstream_that_is_down_costs_a_client_its_answer_and_not_its_connection() {
    let house = House::with(posting_to("http://127.0.0.1:1/{event}", Options::default())).await;
    let mut client = house.client().await;
    assert_eq!(invoke(&mut client, "Foo").await["error"], "Invocation failed, status code 500");
    house.broadcast("still there").await;
    assert_eq!(client.argument().await, "still there");
}

#[tokio::test]
async fn case_77_an_upstream_hears_once_that_a_client_has_gone_and_why_if_it_did_not_end_well() {
    let mut town = Town::start().await;
    let mut polite = town.house.client().await;
    assert_eq!(town.heard().await.event, "connected");
    polite.say("{\"type\":7}\u{1e}").await;
    let gone = town.heard().await;
    assert_eq!((gone.event.as_str(), gone.json()), ("disconnected", json!({"type": 11})));

    let rude = town.house.client().await;
    assert_eq!(town.heard().await.event, "connected");
    drop(rude);
    let gone = town.heard().await.json();
    assert!(gone["type"] == 11 && gone["error"].is_string(), "{gone}");
    town.house.emptied().await;
    assert!(town.heard.try_recv().is_err(), "nothing is said twice");
}

#[tokio::test]
async fn case_77_who_never_shook_hands_never_came() {
    let mut town = Town::start().await;
    let mut client = town.house.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
    client.say("{\"protocol\":\"none\",\"version\":1}\u{1e}").await;
    client.last_words().await;
    town.house.emptied().await;
    assert!(town.heard.try_recv().is_err());
}

#[tokio::test]
async fn case_79_an_upstream_gets_the_clients_own_parameters_and_none_of_its_secrets() {
    let mut town = Town::start().await;
    let token = client_token(json!({}));
    let (_, secret) = town.house.ids(&token).await;
    let path = format!("/client/?hub=chat&id={secret}&room=a%20b&access_token={token}");
    town.house.open(&path, None).await.unwrap().shake_hands().await;
    let query = town.heard().await.header("x-asrs-client-query").to_owned();
    assert!(query.starts_with('?') && query.contains("room=a%20b"), "{query}");
    assert!(!query.contains("access_token") && !query.contains(&secret), "{query}");
}

#[tokio::test]
async fn case_81_defect_9_a_stream_is_refused_with_an_error() {
    let town = Town::start().await;
    let mut client = town.house.client().await;
    client.say("{\"type\":4,\"target\":\"Seven\",\"arguments\":[],\"invocationId\":\"s\"}\u{1e}").await;
    let answer = client.hear().await;
    assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!("s")));
    assert!(answer["error"].as_str().unwrap().contains("'Seven'"), "{answer}");
}

#[tokio::test]
async fn defect_9_a_call_with_more_than_ten_arguments_is_a_call() {
    let mut town = Town::start().await;
    let mut client = town.house.client().await;
    town.heard().await;
    let arguments: Vec<u32> = (0..12).collect();
    let message = json!({"type": 1, "target": "Many", "arguments": arguments});
    client.say(&format!("{message}\u{1e}")).await;
    assert_eq!(town.heard().await.json(), message);
}

/// Nothing else happens to such a client that would have its conversation look up.
#[tokio::test]
async fn a_client_that_says_much_at_once_and_awaits_nothing_is_heard_to_the_end() {
    let ping_interval = Duration::from_secs(600);
    let mut town = Town::with(Options { ping_interval, ..Options::default() }).await;
    let mut client = town.house.client().await;
    assert_eq!(town.heard().await.event, "connected");
    for number in 0..200 {
        let message = json!({"type": 1, "target": "Note", "arguments": [number]});
        client.say(&format!("{message}\u{1e}")).await;
    }
    for number in 0..200 {
        assert_eq!(town.heard().await.json()["arguments"], json!([number]));
    }
}
