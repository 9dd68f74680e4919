//! Tests of the limits of messages and negotiations: 429 with `Retry-After`, counted for each user and for all guests together.

use reqwest::{RequestBuilder, Response};
use serde_json::json;

use crate::scripted_service::ScriptedService;
use crate::test_app::{TestApp, api_error};

const NAME: &str = "x-ms-client-principal-name";
const EASY_AUTH: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "true");
const GUESTS: (&str, &str) = ("ChatAllowAnonymous", "true");
/// Three messages at once, and the next after 100 seconds.
const THREE: (&str, &str) = ("ChatMessageRate", "3/0.01");

async fn start_app(variables: &[(&str, &str)]) -> (TestApp, ScriptedService) {
    let service = ScriptedService::start(&[(202, None)]).await;
    (TestApp::with_signalr(service.port, variables), service)
}

/// `request` by `user`, or by a guest.
async fn send_as(user: Option<&str>, request: RequestBuilder) -> Response {
    user.into_iter().fold(request, |request, user| request.header(NAME, user)).send().await.unwrap()
}

async fn post_message(app: &TestApp, user: Option<&str>) -> Response {
    send_as(user, app.message(&json!({"text": "hi"}))).await
}

/// The number of the first of `count` responses that is not `expected`; its code must be `rate_limited`.
async fn first_limited(count: usize, expected: u16, mut send: impl AsyncFnMut() -> Response) -> Option<usize> {
    for number in 0..count {
        let response = send().await;
        if response.status() != expected {
            let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=100).contains(&wait), "{wait}");
            assert_eq!(api_error(response).await, (429, "rate_limited".to_owned()));
            return Some(number);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_sends_too_fast_is_limited_and_no_other_is() {
    let (app, service) = start_app(&[EASY_AUTH, GUESTS, THREE]).await;
    for user in ["ann", "bob"] {
        assert_eq!(first_limited(10, 202, async || post_message(&app, Some(user)).await).await, Some(3), "{user}");
    }
    assert_eq!(service.calls.lock().unwrap().len(), 6);
    let limited = first_limited(100, 202, async || post_message(&app, None).await).await.unwrap();
    // Guests get one more each ten seconds.
    assert!((30..40).contains(&limited), "{limited}");
    assert_eq!(post_message(&app, Some("carol")).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_draft_counts_and_the_limit_comes_before_the_body() {
    for (content_type, body, expected) in
        [("application/json", "{}", 400), ("application/json", "nonsense", 400), ("text/plain", "hi", 415)]
    {
        let (app, _service) = start_app(&[EASY_AUTH, THREE]).await;
        let post = async || {
            let request = app.post("/api/messages").header("content-type", content_type).body(body);
            send_as(Some("ann"), request).await
        };
        assert_eq!(first_limited(10, expected, post).await, Some(3), "{content_type} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_may_not_chat_is_not_counted() {
    let (app, _service) = start_app(&[EASY_AUTH, ("ChatAllowAnonymous", "false"), THREE]).await;
    for _ in 0..100 {
        assert_eq!(post_message(&app, None).await.status(), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_negotiates_120_times_at_once_and_guests_more_often() {
    let (app, _service) = start_app(&[EASY_AUTH, GUESTS]).await;
    let negotiate = async |user| send_as(user, app.post("/api/negotiate")).await;
    let limited = first_limited(1_000, 200, async || negotiate(Some("ann")).await).await.unwrap();
    assert!(limited >= 120, "{limited}");
    assert_eq!(first_limited(300, 200, async || negotiate(None).await).await, None);
    assert_eq!(negotiate(Some("bob")).await.status(), 200);
    assert_eq!(post_message(&app, Some("ann")).await.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_rate_of_0_neither_messages_nor_negotiations_are_limited() {
    let (app, _service) = start_app(&[EASY_AUTH, ("ChatMessageRate", "0")]).await;
    assert_eq!(first_limited(300, 202, async || post_message(&app, Some("ann")).await).await, None);
    let negotiate = async || send_as(Some("ann"), app.post("/api/negotiate")).await;
    assert_eq!(first_limited(300, 200, negotiate).await, None);
}
