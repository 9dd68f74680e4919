//! Tests of what webhooks receive, and of an upstream that behaves as Azure Functions does.

use axum::body::Body;
use axum::http::StatusCode;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::time::{Duration, advance, pause, resume};

use super::*;

#[tokio::test]
async fn case_74_connected_is_sent_with_user_and_signature() {
    let webhook = Webhook::returning(StatusCode::NO_CONTENT).await;
    let upstream = upstream(options_for(&webhook.url("/runtime/webhooks/signalr?code=k")));
    let record = upstream.connected(&alice()).await.unwrap();
    let received = webhook.received().await;
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/runtime/webhooks/signalr?code=k"));
    let expected = [
        ("content-type", "application/json"),
        ("content-length", "11"),
        ("x-asrs-connection-id", "conn-1"),
        ("x-asrs-hub", "chat"),
        ("x-asrs-category", "connections"),
        ("x-asrs-event", "connected"),
        ("x-asrs-user-id", "alice"),
        ("x-asrs-user-claims", "asrs.s.uid: alice, color: blue"),
        ("x-asrs-client-query", "?hub=chat&room=7"),
        ("x-asrs-signature", "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881"),
    ];
    for (name, value) in expected {
        assert_eq!(received.header(name), value, "{name}");
    }
    assert_eq!(received.body, r#"{"type":10}"#);
    assert_eq!((record.category, record.event.as_str()), ("connections", "connected"));
    assert_eq!(record.outcome, WebhookOutcome::Answered(204));
    assert_eq!(record.url.unwrap(), webhook.url("/runtime/webhooks/signalr"));
}

#[tokio::test]
async fn case_75_an_invocation_is_sent_as_its_client_wrote_it() {
    let webhook = Webhook::returning(StatusCode::OK).await;
    let upstream = upstream(options_for(&webhook.url("/{hub}/{category}/{event}")));
    let client = alice();
    let reply = upstream.invoke(&client, &foo(None)).await;
    assert_eq!(reply.completion, Completion::NotAwaited);
    let received = webhook.received().await;
    assert_eq!(received.target, "/chat/messages/Foo");
    assert_eq!((received.header("x-asrs-category"), received.header("x-asrs-event")), ("messages", "Foo"));
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.body, r#"{"type":1,"target":"Foo","arguments":[1]}"#);

    let forwarded = Bytes::from_static(b"\x95\x01\x80\xc0\xa2hi\x91\xa1x");
    let (target, protocol) = ("hi", Protocol::MessagePack);
    let message = Invocation { target, protocol, forwarded: forwarded.clone(), ..foo(None) };
    upstream.invoke(&client, &message).await;
    let received = webhook.received().await;
    assert_eq!(received.header("content-type"), "application/x-msgpack");
    assert_eq!(received.body, forwarded);
}

#[tokio::test]
async fn case_77_disconnected_is_sent_with_its_error() {
    let webhook = Webhook::returning(StatusCode::OK).await;
    let upstream = upstream(options_for(&webhook.url("/")));
    let client = alice();
    upstream.disconnected(&client, None).await.unwrap();
    let received = webhook.received().await;
    assert_eq!((received.header("x-asrs-event"), &received.body[..]), ("disconnected", &br#"{"type":11}"#[..]));
    upstream.disconnected(&client, Some("it fell silent")).await.unwrap();
    assert_eq!(webhook.received().await.body, r#"{"type":11,"error":"it fell silent"}"#);
    assert!(webhook.is_quiet().await);
}

#[tokio::test]
async fn case_78_new_settings_apply_without_a_restart() {
    let webhook = Webhook::returning(StatusCode::OK).await;
    let folder = Folder::new();
    let file = folder.path().join("settings.json");
    let source = TemplateSource::File(file.clone());
    let upstream = upstream(UpstreamOptions::new(source));
    let client = alice();
    assert!(!upstream.is_configured());
    assert!(upstream.connected(&client).await.is_none());

    let template = json!({"UrlTemplate": webhook.url("/{event}"), "EventPattern": "connected, disconnected"});
    std::fs::write(&file, json!({"UpstreamSettings": {"Templates": [template]}}).to_string()).unwrap();
    pause();
    advance(Duration::from_secs(1)).await;
    resume();
    upstream.connected(&client).await.unwrap();
    assert!(upstream.is_configured());
    assert_eq!(webhook.received().await.target, "/connected");
}

#[tokio::test]
async fn names_in_any_script_arrive_and_none_ends_a_header() {
    let webhook = Webhook::returning(StatusCode::OK).await;
    let upstream = upstream(options_for(&webhook.url("/{event}")));
    let client = client("c", "Zoë\r\nX-Evil: 1", &json!({}), "q=é");
    let message = Invocation { target: "größer?\n", ..foo(None) };
    upstream.invoke(&client, &message).await;
    let received = webhook.received().await;
    assert_eq!(received.target, "/gr%C3%B6%C3%9Fer%3F%0A");
    assert_eq!(received.header("x-asrs-event"), "größer?%0A");
    assert_eq!(received.header("x-asrs-user-id"), "Zoë%0D%0AX-Evil: 1");
    assert_eq!(received.header("x-asrs-client-query"), "?q=%C3%A9");
    assert!(!received.headers.contains_key("x-evil"));
}

#[tokio::test]
async fn unusual_urls_work() {
    let webhook = Webhook::returning(StatusCode::OK).await;
    for (template, target) in
        [("", "/"), ("/a b?", "/a%20b?"), ("/a|b'?c=\"|'#d", "/a|b'?c=%22|%27"), ("/é//", "/%C3%A9//")]
    {
        let upstream = upstream(options_for(&webhook.url(template)));
        let record = upstream.connected(&alice()).await.unwrap();
        assert_eq!((record.outcome, webhook.received().await.target.as_str()), (WebhookOutcome::Answered(200), target));
    }
}

#[tokio::test]
async fn a_name_that_gives_no_valid_url_fails_its_own_event_only() {
    let webhook = Webhook::returning(StatusCode::OK).await;
    let upstream = upstream(options_for(&webhook.url("/api/{event}")));
    for target in ["..".to_owned(), "x".repeat(70_000)] {
        let message = Invocation { target: &target, ..foo(Some("1")) };
        let reply = upstream.invoke(&alice(), &message).await;
        assert_eq!(reply.completion, error("Invocation failed, status code 500"));
        assert!(reply.record.unwrap().outcome.to_string().contains("no valid URL"));
    }
    assert!(webhook.is_quiet().await);
}

#[tokio::test]
async fn the_log_of_a_request_holds_no_secret() {
    let log = Log::new();
    let webhook = Webhook::returning(StatusCode::FORBIDDEN).await;
    let first = upstream(options_for(&webhook.url("/api?code=hush#hush")));
    first.connected(&alice()).await.unwrap();
    let second = upstream(options_for("http://127.0.0.1:1/api?code=hush"));
    let record = second.connected(&alice()).await.unwrap();
    let ours: Vec<_> = log.lines().into_iter().filter(|line| line.contains("failed:")).collect();
    assert!(ours[0].contains("answered 403") && ours[0].contains(&webhook.url("/api")), "{ours:?}");
    assert!(ours[1].contains("cannot be reached"), "{ours:?}");
    assert_eq!(ours.len(), 2);
    for text in [format!("{ours:?}"), format!("{record:?}")] {
        assert!(!text.contains("hush") && !text.contains("sha256") && !text.contains("blue"), "{text}");
    }
}

/// A webhook that behaves as the SignalR trigger of Azure Functions: with functions for connections, and for `add` and `fail` of hub
/// `chat`. It neither trims signatures nor sets a content type.
async fn host(key: &'static str) -> Webhook {
    Webhook::start(move |received| std::future::ready(trigger(&received, key))).await
}

fn trigger(received: &ReceivedRequest, key: &str) -> Response {
    if received.header("content-type") != "application/json" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let of = |name| received.header(name).to_ascii_lowercase();
    let (hub, category, event) = (of("x-asrs-hub"), of("x-asrs-category"), of("x-asrs-event"));
    if hub.is_empty() || category.is_empty() || event.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if !["connected", "disconnected", "add", "fail"].contains(&event.as_str()) || hub != "chat" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if !is_signed(received, key) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if category == "connections" {
        return StatusCode::OK.into_response();
    }
    let message: Value = serde_json::from_slice(&received.body).unwrap();
    let Some(id) = message["invocationId"].as_str() else { return StatusCode::OK.into_response() };
    let numbers = message["arguments"].as_array().unwrap();
    let completion = match event.as_str() {
        "add" => {
            let sum: i64 = numbers.iter().filter_map(Value::as_i64).sum();
            json!({"type": 3, "invocationId": id, "result": sum})
        }
        _ => json!({"type": 3, "invocationId": id, "error": "it failed"}),
    };
    Body::from(format!("{completion}\u{1e}")).into_response()
}

fn is_signed(received: &ReceivedRequest, key: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(received.header("x-asrs-connection-id").as_bytes());
    let digest = mac.finalize().into_bytes();
    let expected: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let signatures = received.header("x-asrs-signature").split(',');
    signatures.filter_map(|signature| signature.strip_prefix("sha256=")).any(|own| own.eq_ignore_ascii_case(&expected))
}

fn two_keys(webhook: &Webhook) -> Upstream {
    let keys = [AccessKey::new("primary").unwrap(), AccessKey::new("secondary").unwrap()];
    Upstream::new(options_for(&webhook.url("/runtime/webhooks/signalr?code=k")), AccessKeys::new(&keys, None).into())
}

async fn call(upstream: &Upstream, target: &str) -> Completion {
    let body = json!({"type": 1, "invocationId": "0", "target": target, "arguments": [1, 2, 39]});
    let message = Invocation { target, forwarded: body.to_string().into(), ..foo(Some("0")) };
    upstream.invoke(&alice(), &message).await.completion
}

#[tokio::test]
async fn case_90_functions_accept_the_signature_of_either_key() {
    for key in ["primary", "secondary"] {
        let host = host(key).await;
        let upstream = two_keys(&host);
        let client = alice();
        assert_eq!(upstream.connected(&client).await.unwrap().outcome, WebhookOutcome::Answered(200));
        assert_eq!(upstream.disconnected(&client, None).await.unwrap().outcome, WebhookOutcome::Answered(200));
        let Completion::Framed(body) = call(&upstream, "Add").await else { panic!("no completion") };
        let completion: Value = serde_json::from_slice(body.payload().strip_suffix(b"\x1e").unwrap()).unwrap();
        assert_eq!(completion, json!({"type": 3, "invocationId": "0", "result": 42}));
    }
}

#[tokio::test]
async fn case_76_the_error_of_a_function_reaches_its_client() {
    let host = host("primary").await;
    let answer = call(&two_keys(&host), "fail").await;
    assert!(matches!(answer, Completion::Framed(body) if body.payload().windows(9).any(|part| part == b"it failed")));
}

#[tokio::test]
async fn case_76_a_missing_function_is_an_error() {
    let host = host("primary").await;
    assert_eq!(call(&two_keys(&host), "subtract").await, error("Invocation failed, status code 404"));
}

#[tokio::test]
async fn case_76_functions_with_another_key_reject_everything() {
    let host = host("other").await;
    let upstream = two_keys(&host);
    assert_eq!(call(&upstream, "add").await, error("Invocation failed, status code 401"));
    assert_eq!(upstream.connected(&alice()).await.unwrap().outcome, WebhookOutcome::Answered(401));
}
