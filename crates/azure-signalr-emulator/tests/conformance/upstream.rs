//! The upstream: what webhooks receive, and what clients get for their responses.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use azure_signalr_emulator::{Options, TemplateSource, UpstreamOptions};
use futures_util::FutureExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, DEADLINE, KEY, TestService, client_token};

const COMPLETION: &str = "{\"type\":3,\"invocationId\":\"i\",\"result\":7}\u{1e}";

/// A webhook request, unparsed.
pub(crate) struct ReceivedRequest {
    pub(crate) event: String,
    headers: HeaderMap,
    body: Bytes,
}

impl ReceivedRequest {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A service with an upstream whose response depends on the name of the event.
pub(crate) struct TestUpstream {
    pub(crate) service: TestService,
    received: mpsc::UnboundedReceiver<ReceivedRequest>,
}

async fn receive(
    State(received): State<mpsc::UnboundedSender<ReceivedRequest>>,
    Path((hub, category, event)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!((hub.as_str(), headers["x-asrs-category"].to_str().unwrap()), ("chat", category.as_str()));
    received.send(ReceivedRequest { event: event.clone(), headers, body }).unwrap();
    match event.as_str() {
        "Seven" => COMPLETION.into_response(),
        "Nothing" => StatusCode::NO_CONTENT.into_response(),
        "Broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    }
}

impl TestUpstream {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let router = Router::new().route("/{hub}/{category}/{event}", axum::routing::post(receive)).with_state(sender);
        tokio::spawn(async move { axum::serve(socket, router).await });
        let template = format!("http://127.0.0.1:{port}/{{hub}}/{{category}}/{{event}}");
        Self { service: TestService::with(sending_to(&template, options)).await, received }
    }

    pub(crate) async fn received(&mut self) -> ReceivedRequest {
        timeout(DEADLINE, self.received.recv()).await.expect("a request").unwrap()
    }
}

fn sending_to(template: &str, options: Options) -> Options {
    let settings = json!({"UpstreamSettings": {"Templates": [{"UrlTemplate": template}]}}).to_string();
    let source = TemplateSource::Fixed(settings.parse().unwrap());
    let upstream = Some(UpstreamOptions::new(source));
    Options { upstream, ..options }
}

async fn invoke(client: &mut Client, target: &str) -> Value {
    let message = json!({"type": 1, "target": target, "arguments": [1], "invocationId": "i"});
    client.send_text(&format!("{message}\u{1e}")).await;
    client.receive().await
}

#[tokio::test]
async fn case_74_connected_arrives_before_the_first_message() {
    let mut upstream = TestUpstream::start().await;
    let token = client_token(json!({"asrs.s.uid": "alice", "role": "admin"}));
    let (public, secret) = upstream.service.negotiated_ids(&token).await;
    let mut client =
        upstream.service.open(&format!("/client/?hub=chat&id={secret}&page=3"), Some(&token)).await.unwrap();
    let hello = "{\"protocol\":\"json\",\"version\":1}\u{1e}{\"type\":1,\"target\":\"Hi\",\"arguments\":[]}\u{1e}";
    client.send_text(hello).await;

    let connected = upstream.received().await;
    assert_eq!((connected.event.as_str(), connected.json()), ("connected", json!({"type": 10})));
    assert_eq!(connected.header("x-asrs-connection-id"), public);
    assert_eq!(connected.header("x-asrs-user-id"), "alice");
    assert!(connected.header("x-asrs-user-claims").contains("role: admin"));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(public.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(connected.header("x-asrs-signature"), format!("sha256={signature}"));
    assert_eq!(upstream.received().await.event, "Hi");
}

#[tokio::test]
async fn case_75_an_invocation_is_forwarded_without_framing_and_headers() {
    let mut upstream = TestUpstream::start().await;
    let mut client = upstream.service.client().await;
    upstream.received().await;
    client
        .send_text("{\"target\":\"Foo\",\"arguments\":[1.0,{\"a\":null}],\"headers\":{\"Authorization\":\"Bearer hush\"},\"type\":1}\u{1e}")
        .await;
    let message = upstream.received().await;
    assert_eq!(message.header("content-type"), "application/json");
    assert_eq!(message.json(), json!({"type": 1, "target": "Foo", "arguments": [1.0, {"a": null}]}));

    let mut packed = upstream.service.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
    packed.send_text("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    assert_eq!(packed.next_frame().await, Some(Message::binary(&b"{}\x1e"[..])));
    upstream.received().await;
    packed.send_frame(Message::binary(&b"\x0b\x95\x01\x80\xc0\xa3Foo\x91\xa1x"[..])).await;
    let message = upstream.received().await;
    assert_eq!(message.header("content-type"), "application/x-msgpack");
    assert_eq!(&message.body[..], b"\x95\x01\x80\xc0\xa3Foo\x91\xa1x");
}

#[tokio::test]
async fn case_76_the_response_of_a_webhook_completes_an_invocation() {
    let upstream = TestUpstream::start().await;
    let mut client = upstream.service.client().await;
    assert_eq!(invoke(&mut client, "Seven").await, json!({"type": 3, "invocationId": "i", "result": 7}));
    assert_eq!(invoke(&mut client, "Nothing").await, json!({"type": 3, "invocationId": "i"}));
    let failed = json!({"type": 3, "invocationId": "i", "error": "Invocation failed, status code 500"});
    assert_eq!(invoke(&mut client, "Broken").await, failed);
}

#[tokio::test]
async fn case_76_an_unreachable_upstream_fails_the_invocation_and_not_the_connection() {
    let service = TestService::with(sending_to("http://127.0.0.1:1/{event}", Options::default())).await;
    let mut client = service.client().await;
    assert_eq!(invoke(&mut client, "Foo").await["error"], "Invocation failed, status code 500");
    service.broadcast("still there").await;
    assert_eq!(client.receive_argument().await, "still there");
}

#[tokio::test]
async fn case_77_disconnected_is_sent_once_with_the_error_if_there_was_one() {
    let mut upstream = TestUpstream::start().await;
    let mut polite = upstream.service.client().await;
    assert_eq!(upstream.received().await.event, "connected");
    polite.send_text("{\"type\":7}\u{1e}").await;
    let disconnected = upstream.received().await;
    assert_eq!((disconnected.event.as_str(), disconnected.json()), ("disconnected", json!({"type": 11})));

    let rude = upstream.service.client().await;
    assert_eq!(upstream.received().await.event, "connected");
    drop(rude);
    let disconnected = upstream.received().await.json();
    assert!(disconnected["type"] == 11 && disconnected["error"].is_string(), "{disconnected}");
    upstream.service.wait_until_empty().await;
    assert!(upstream.received.try_recv().is_err(), "no second event");
}

#[tokio::test]
async fn a_service_is_closed_when_the_last_queued_event_is_answered() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let answers = Arc::new(Semaphore::new(0));
    let router = {
        let answers = answers.clone();
        let answer = async move |Path(event): Path<String>| {
            sender.send(event).unwrap();
            answers.acquire().await.unwrap().forget();
        };
        Router::new().route("/{event}", axum::routing::post(answer))
    };
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let template = format!("http://{}/{{event}}", socket.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(socket, router).await });

    let service = TestService::with(sending_to(&template, Options::default())).await;
    for _ in 0..2 {
        let mut client = service.client().await;
        for target in ["One", "Two"] {
            client.send_text(&format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[]}}\u{1e}")).await;
        }
        // Its error shows that all messages before it are queued.
        client.send_text("{\"type\":4,\"invocationId\":\"s\",\"target\":\"S\",\"arguments\":[]}\u{1e}").await;
        assert_eq!(client.receive().await["invocationId"], "s");
        tokio::spawn(async move { client.receive_until_end().await });
    }
    service.emulator.close_all();

    let mut closed = pin!(service.emulator.closed());
    let mut events = Vec::new();
    for _ in 0..8 {
        events.push(timeout(DEADLINE, received.recv()).await.expect("an event").unwrap());
        assert!(closed.as_mut().now_or_never().is_none(), "{events:?}");
        answers.add_permits(1);
    }
    timeout(DEADLINE, closed).await.expect("no event that is not answered");
    assert!(received.is_empty());
    events.sort();
    assert_eq!(events, ["One", "One", "Two", "Two", "connected", "connected", "disconnected", "disconnected"]);
}

#[tokio::test]
async fn case_77_a_client_without_a_handshake_causes_no_events() {
    let mut upstream = TestUpstream::start().await;
    let mut client = upstream.service.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
    client.send_text("{\"protocol\":\"none\",\"version\":1}\u{1e}").await;
    client.receive_until_end().await;
    upstream.service.wait_until_empty().await;
    assert!(upstream.received.try_recv().is_err());
}

#[tokio::test]
async fn case_79_the_upstream_gets_the_query_without_secret_parameters() {
    let mut upstream = TestUpstream::start().await;
    let token = client_token(json!({}));
    let (_, secret) = upstream.service.negotiated_ids(&token).await;
    let path = format!("/client/?hub=chat&id={secret}&room=a%20b&access_token={token}");
    upstream.service.open(&path, None).await.unwrap().handshake().await;
    let query = upstream.received().await.header("x-asrs-client-query").to_owned();
    assert!(query.starts_with('?') && query.contains("room=a%20b"), "{query}");
    assert!(!query.contains("access_token") && !query.contains(&secret), "{query}");
}

#[tokio::test]
async fn case_81_defect_9_a_stream_invocation_gets_an_error() {
    let upstream = TestUpstream::start().await;
    let mut client = upstream.service.client().await;
    client.send_text("{\"type\":4,\"target\":\"Seven\",\"arguments\":[],\"invocationId\":\"s\"}\u{1e}").await;
    let answer = client.receive().await;
    assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!("s")));
    assert!(answer["error"].as_str().unwrap().contains("'Seven'"), "{answer}");
}

#[tokio::test]
async fn defect_9_more_than_ten_arguments_are_forwarded() {
    let mut upstream = TestUpstream::start().await;
    let mut client = upstream.service.client().await;
    upstream.received().await;
    let arguments: Vec<u32> = (0..12).collect();
    let message = json!({"type": 1, "target": "Many", "arguments": arguments});
    client.send_text(&format!("{message}\u{1e}")).await;
    assert_eq!(upstream.received().await.json(), message);
}

/// Nothing else happens to such a client that would have its conversation look up.
#[tokio::test]
async fn many_sends_at_once_all_reach_the_upstream() {
    let ping_interval = Duration::from_secs(600);
    let mut upstream = TestUpstream::with(Options { ping_interval, ..Options::default() }).await;
    let mut client = upstream.service.client().await;
    assert_eq!(upstream.received().await.event, "connected");
    for number in 0..200 {
        let message = json!({"type": 1, "target": "Note", "arguments": [number]});
        client.send_text(&format!("{message}\u{1e}")).await;
    }
    for number in 0..200 {
        assert_eq!(upstream.received().await.json()["arguments"], json!([number]));
    }
}
