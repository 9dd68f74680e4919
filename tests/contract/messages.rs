//! Tests of `/api/messages`: the request to the SignalR service, and how failures of the service are reported to the caller.

use serde_json::{Value, json};

use crate::scripted_service::ScriptedService;
use crate::test_app::{TestApp, api_error, claims};

const NAME: &str = "x-ms-client-principal-name";

/// Starts a handler behind Easy Auth, and a service that answers all requests with `status`.
async fn start_app(status: u16, retry_after: Option<&'static str>) -> (TestApp, ScriptedService) {
    let service = ScriptedService::start(&[(status, retry_after)]).await;
    (TestApp::with_signalr(service.port, &[("WEBSITE_AUTH_ENABLED", "true")]), service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_published_once_under_the_callers_name() {
    let (app, service) = start_app(202, None).await;
    let draft = json!({"id": "a-1", "text": " hi ", "sender": "root", "recipient": null, "nickname": "root"});
    let request = app.message(&draft).header(NAME, "ann").header("x-zumo-auth", "SECRET").header("cookie", "SECRET");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202);
    let published: Value = response.json().await.unwrap();
    assert_eq!((&published["sender"], &published["text"]), (&json!("ann"), &json!("hi")));
    assert_eq!(published.as_object().unwrap().len(), 4, "{published}");

    let calls = service.calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].target, "/api/hubs/chat/:send?api-version=2022-06-01");
    assert_eq!(calls[0].body, json!({"target": "newMessage", "arguments": [published]}));
    let token = calls[0].headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(claims(token)["aud"], "http://127.0.0.1/api/hubs/chat/:send");
    assert!(
        !format!("{:?}", calls[0].headers).contains("SECRET"),
        "the caller's credentials were forwarded to the service"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_message_is_sent_to_its_recipient_only() {
    let (app, service) = start_app(202, None).await;
    let request = app.message(&json!({"text": "hi", "recipient": "b/o b"})).header(NAME, "ann");
    let published: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&published["recipient"], &published["isPrivate"]), (&json!("b/o b"), &json!(true)));
    let calls = service.calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].target, "/api/hubs/chat/users/b%2Fo%20b/:send?api-version=2022-06-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_can_write_to_everyone_but_not_privately() {
    let (app, service) = start_app(202, None).await;
    let public = app.message(&json!({"text": "hi", "nickname": "Zoë"})).send().await.unwrap();
    let published: Value = public.json().await.unwrap();
    assert_eq!((&published["sender"], &published["nickname"]), (&json!("Zoë (guest)"), &json!("Zoë")));
    assert_eq!(published["isGuest"], true);
    let private = app.message(&json!({"text": "hi", "recipient": "bob"})).send().await.unwrap();
    assert_eq!(api_error(private).await, (401, "unauthenticated".to_owned()));
    assert_eq!(service.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_tutorial_names_a_guest_and_no_user() {
    let (app, service) = start_app(202, None).await;
    let draft = json!({"sender": "Zed", "text": "hi"});
    for (user, expected) in [(None, "Zed (guest)"), (Some("ann"), "ann")] {
        let request = user.into_iter().fold(app.message(&draft), |request, user| request.header(NAME, user));
        let published: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(published["sender"], expected);
    }
    let nameless: Value = app.message(&json!({"text": "hi"})).send().await.unwrap().json().await.unwrap();
    assert_eq!((&nameless["sender"], &nameless["isGuest"]), (&json!("Guest"), &json!(true)));
    assert_eq!(service.calls.lock().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_draft_is_not_sent_to_the_service() {
    let (app, service) = start_app(202, None).await;
    for draft in
        [json!({}), json!({"text": " "}), json!({"text": "hi", "recipient": 7}), json!({"text": "hi", "id": "a b"})]
    {
        assert_eq!(app.message(&draft).send().await.unwrap().status(), 400);
    }
    assert!(service.calls.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_service_are_mapped_and_their_text_is_not_forwarded() {
    for (status, retry_after, expected, wait) in [
        (429, Some("60"), (429, "throttled"), Some("60")),
        (500, None, (503, "unavailable"), Some("2")),
        (503, Some("30"), (503, "unavailable"), Some("30")),
        (400, None, (502, "upstream_rejected"), None),
        (401, None, (502, "upstream_rejected"), None),
        (413, None, (502, "upstream_rejected"), None),
    ] {
        let (app, _service) = start_app(status, retry_after).await;
        let response = app.message(&json!({"text": "hi"})).send().await.unwrap();
        assert_eq!(response.headers().get("retry-after").map(|wait| wait.to_str().unwrap()), wait, "{status}");
        let (status, code) = api_error(response).await;
        assert_eq!((status, code.as_str()), expected);
        assert!(!app.process.out.text().contains("SECRET"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_service_is_reported_and_the_next_call_succeeds() {
    let app = TestApp::start();
    let response = app.message(&json!({"text": "hi"})).send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, (503, "unavailable".to_owned()));
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_responds_is_a_timeout() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let app = TestApp::with_signalr(silent.local_addr().unwrap().port(), &[]);
    let response = app.message(&json!({"text": "hi"})).send().await.unwrap();
    assert_eq!(api_error(response).await, (504, "upstream_timeout".to_owned()));
}
