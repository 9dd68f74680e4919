//! Tests of `/api/messages`: the request to the SignalR service, and how failures of the service are reported to the caller.

use serde_json::{Value, json};
use test_support::tcp_proxy::TcpProxy;

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
async fn a_private_message_is_sent_to_its_recipient_and_then_to_its_sender() {
    let (app, service) = start_app(202, None).await;
    let request = app.message(&json!({"text": "hi", "recipient": " B/o b "})).header(NAME, "ann");
    let mut published: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&published["recipient"], &published["isPrivate"]), (&json!("B/o b"), &json!(true)));
    assert_eq!(published.as_object_mut().unwrap().remove("recipientOnline"), Some(json!(true)));
    let calls = service.calls.lock().unwrap();
    let targets: Vec<_> = calls.iter().map(|call| call.target.as_str()).collect();
    let expected = ["B%2Fo%20b", "ann"].map(|user| format!("/api/hubs/chat/users/{user}/:send?api-version=2022-06-01"));
    assert_eq!(targets, expected);
    for call in calls.iter() {
        assert_eq!(call.body, json!({"target": "newMessage", "arguments": [published]}));
    }
    assert_eq!(*service.checks.lock().unwrap(), ["/api/hubs/chat/users/B%2Fo%20b?api-version=2022-06-01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_oneself_is_sent_once() {
    let (app, service) = start_app(202, None).await;
    for (recipient, sends) in [("ann", 1), (" ann ", 1), ("Ann", 2)] {
        let request = app.message(&json!({"text": "hi", "recipient": recipient})).header(NAME, "ann");
        assert_eq!(request.send().await.unwrap().status(), 202);
        assert_eq!(std::mem::take(&mut *service.calls.lock().unwrap()).len(), sends, "{recipient}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_message_that_the_service_rejects_is_not_sent_to_its_sender() {
    let (app, service) = start_app(400, None).await;
    let response = app.message(&json!({"text": "hi", "recipient": "bob"})).header(NAME, "ann").send().await.unwrap();
    assert_eq!(api_error(response).await, (502, "upstream_rejected".to_owned()));
    assert_eq!(service.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_copy_for_the_sender_is_a_warning_without_names() {
    let service = ScriptedService::start(&[(202, None), (400, None)]).await;
    let mut app = TestApp::with_signalr(service.port, &[("WEBSITE_AUTH_ENABLED", "true")]);
    let response = app.message(&json!({"text": "hi", "recipient": "bob"})).header(NAME, "ann").send().await.unwrap();
    assert_eq!(response.status(), 202);
    let log = app.stop();
    let warning = log.lines().find(|line| line.contains("own copy")).expect("a line about the copy");
    assert!(warning.contains("WARN") && warning.contains("400"), "{warning}");
    for name in ["ann", "bob"] {
        assert!(!warning.contains(name), "{warning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_for_the_sender_that_takes_too_long_does_not_exceed_the_time_of_a_call() {
    let service = ScriptedService::start(&[(202, None), (0, None)]).await;
    let app = TestApp::with_signalr(service.port, &[("WEBSITE_AUTH_ENABLED", "true")]);
    let response = app.message(&json!({"text": "hi", "recipient": "bob"})).header(NAME, "ann").send().await.unwrap();
    assert_eq!(response.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_says_whether_the_recipient_is_connected_if_that_is_known() {
    for (reply, expected) in [
        ((200, ""), Some(true)),
        ((404, "Warning.User.NotExisted"), Some(false)),
        ((404, ""), None),
        ((404, "Warning.Group.NotExisted"), None),
        ((401, ""), None),
        ((403, ""), None),
        ((405, ""), None),
        ((429, ""), None),
        ((503, ""), None),
        ((0, ""), None),
    ] {
        let service = ScriptedService::start_with_check(&[(202, None)], reply).await;
        let app = TestApp::with_signalr(service.port, &[("WEBSITE_AUTH_ENABLED", "true")]);
        let request = app.message(&json!({"text": "hi", "recipient": "bob"})).header(NAME, "ann");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 202, "{reply:?}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer.get("recipientOnline").and_then(Value::as_bool), expected, "{reply:?}");
        // The hint is for the sender, not for the recipient.
        assert!(
            service.calls.lock().unwrap().iter().all(|call| call.body["arguments"][0]["recipientOnline"].is_null())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_can_write_to_everyone_but_not_privately() {
    let (app, service) = start_app(202, None).await;
    let public = app.message(&json!({"text": "hi", "nickname": "Zoë"})).send().await.unwrap();
    let published: Value = public.json().await.unwrap();
    assert_eq!((&published["sender"], &published["nickname"]), (&json!("Zoë (guest)"), &json!("Zoë")));
    assert_eq!((&published["isGuest"], published.get("recipientOnline")), (&json!(true), None));
    let private = app.message(&json!({"text": "hi", "recipient": "bob"})).send().await.unwrap();
    assert_eq!(api_error(private).await, (401, "unauthenticated".to_owned()));
    assert_eq!(service.calls.lock().unwrap().len(), 1);
    assert!(service.checks.lock().unwrap().is_empty());
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
        let (mut app, _service) = start_app(status, retry_after).await;
        let response = app.message(&json!({"text": "hi"})).send().await.unwrap();
        assert_eq!(response.headers().get("retry-after").map(|wait| wait.to_str().unwrap()), wait, "{status}");
        let (status, code) = api_error(response).await;
        assert_eq!((status, code.as_str()), expected);
        let log = app.stop();
        assert!(log.contains("operation=\"SendMessage\"") && !log.contains("SECRET"), "{log}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_within_its_deadline_though_every_pooled_connection_has_died() {
    let service = ScriptedService::start(&[(202, None)]).await;
    let proxy = TcpProxy::start(service.port).await;
    let app = TestApp::with_signalr(proxy.port(), &[]);
    let send = || async { app.message(&json!({"text": "hi"})).send().await.unwrap().status() };
    for status in futures_util::future::join_all((0..8).map(|_| send())).await {
        assert_eq!(status, 202);
    }
    let connections = proxy.connections();
    proxy.swallow_open_connections();
    assert_eq!(send().await, 202);
    assert_eq!(proxy.connections(), connections + 1, "one attempt was lost, and one new connection made");
}
