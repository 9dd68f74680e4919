//! An upstream that answers as the SignalR trigger of Azure Functions does.
//!
//! Written anew from how the trigger behaves, down to what it does not do: trim signatures, or set a content type.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::super::Outcome;
use super::webhook::Heard;
use super::*;

/// A host with functions for connections, and for the messages `add` and `fail` of hub `chat`.
async fn host(key: &'static str) -> Webhook {
    Webhook::answering(move |heard| std::future::ready(trigger(&heard, key))).await
}

fn trigger(heard: &Heard, key: &str) -> Response {
    if heard.header("content-type") != "application/json" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let of = |name| heard.header(name).to_ascii_lowercase();
    let (hub, category, event) = (of("x-asrs-hub"), of("x-asrs-category"), of("x-asrs-event"));
    if hub.is_empty() || category.is_empty() || event.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if !["connected", "disconnected", "add", "fail"].contains(&event.as_str()) || hub != "chat" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if !is_signed(heard, key) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if category == "connections" {
        return StatusCode::OK.into_response();
    }
    let message: Value = serde_json::from_slice(&heard.body).unwrap();
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

fn is_signed(heard: &Heard, key: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(heard.header("x-asrs-connection-id").as_bytes());
    let digest = mac.finalize().into_bytes();
    let expected: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let signatures = heard.header("x-asrs-signature").split(',');
    signatures
        .filter_map(|signature| signature.strip_prefix("sha256="))
        .any(|own| own.eq_ignore_ascii_case(&expected))
}

fn two_keys(webhook: &Webhook) -> Upstream {
    let keys = [AccessKey::new("primary").unwrap(), AccessKey::new("secondary").unwrap()];
    Upstream::new(everything_to(&webhook.url("/runtime/webhooks/signalr?code=k")), &keys)
}

async fn call(upstream: &Upstream, target: &str) -> Answer {
    let body = json!({"type": 1, "invocationId": "0", "target": target, "arguments": [1, 2, 39]});
    let message = Message {
        target,
        invocation_id: Some("0"),
        protocol: Protocol::Json,
        forwarded: body.to_string().into(),
    };
    upstream.message(&alice(upstream), &message).await.answer
}

#[tokio::test]
async fn case_90_functions_know_the_service_by_either_key() {
    for key in ["primary", "secondary"] {
        let host = host(key).await;
        let upstream = two_keys(&host);
        let client = alice(&upstream);
        assert_eq!(upstream.connected(&client).await.unwrap().outcome, Outcome::Answered(200));
        assert_eq!(upstream.disconnected(&client, None).await.unwrap().outcome, Outcome::Answered(200));
        let Answer::Completion(body) = call(&upstream, "Add").await else { panic!("no completion") };
        let completion: Value =
            serde_json::from_slice(body.as_bytes().strip_suffix(b"\x1e").unwrap()).unwrap();
        assert_eq!(completion, json!({"type": 3, "invocationId": "0", "result": 42}));
    }
}

#[tokio::test]
async fn case_76_the_error_of_a_function_reaches_its_client() {
    let host = host("primary").await;
    let answer = call(&two_keys(&host), "fail").await;
    assert!(
        matches!(answer, Answer::Completion(body) if body.as_bytes().windows(9).any(|part| part == b"it failed"))
    );
}

#[tokio::test]
async fn case_76_a_function_that_is_not_there_is_told() {
    let host = host("primary").await;
    assert_eq!(call(&two_keys(&host), "subtract").await, failed("Invocation failed, status code 404"));
}

#[tokio::test]
async fn case_76_functions_with_another_key_take_nothing() {
    let host = host("other").await;
    let upstream = two_keys(&host);
    assert_eq!(call(&upstream, "add").await, failed("Invocation failed, status code 401"));
    assert_eq!(upstream.connected(&alice(&upstream)).await.unwrap().outcome, Outcome::Answered(401));
}
