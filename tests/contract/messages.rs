//! What the service gets from us, and what our callers are told of its bad days: a service here that answers as it is told.

use serde_json::{Value, json};

use crate::scripted_service::Service;
use crate::test_app::{House, claims, refusal};

const NAME: &str = "x-ms-client-principal-name";

/// A service that gives every call the same answer, and a signed-in house before it.
async fn house_before(status: u16, retry_after: Option<&'static str>) -> (House, Service) {
    let service = Service::start(&[(status, retry_after)]).await;
    (House::before(service.port, &[("WEBSITE_AUTH_ENABLED", "true")]), service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_published_once_under_the_callers_own_name() {
    let (house, service) = house_before(202, None).await;
    let draft = json!({"id": "a-1", "text": " hi ", "sender": "root", "recipient": null, "nickname": "root"});
    let request =
        house.message(&draft).header(NAME, "ann").header("x-zumo-auth", "SECRET").header("cookie", "SECRET");
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
        "the caller's credentials went on to the service"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_message_goes_to_its_recipient_and_to_no_other_address() {
    let (house, service) = house_before(202, None).await;
    let request = house.message(&json!({"text": "hi", "recipient": "b/o b"})).header(NAME, "ann");
    let published: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&published["recipient"], &published["isPrivate"]), (&json!("b/o b"), &json!(true)));
    let calls = service.calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].target, "/api/hubs/chat/users/b%2Fo%20b/:send?api-version=2022-06-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_anonymous_writes_to_everyone_but_not_to_one() {
    let (house, service) = house_before(202, None).await;
    let public = house.message(&json!({"text": "hi", "nickname": "Zoë"})).send().await.unwrap();
    let published: Value = public.json().await.unwrap();
    assert_eq!((&published["sender"], &published["nickname"]), (&json!(""), &json!("Zoë")));
    let private = house.message(&json!({"text": "hi", "recipient": "bob"})).send().await.unwrap();
    assert_eq!(refusal(private).await, (401, "unauthenticated".to_owned()));
    assert_eq!(service.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_draft_never_reaches_the_service() {
    let (house, service) = house_before(202, None).await;
    for draft in [
        json!({}),
        json!({"text": " "}),
        json!({"text": "hi", "recipient": 7}),
        json!({"text": "hi", "id": "a b"}),
    ] {
        assert_eq!(house.message(&draft).send().await.unwrap().status(), 400);
    }
    assert!(service.calls.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_42_each_of_the_services_failures_has_a_face_of_its_own_and_none_of_its_words() {
    for (status, retry_after, expected, wait) in [
        (429, Some("60"), (429, "throttled"), Some("60")),
        (500, None, (503, "unavailable"), Some("2")),
        (503, Some("30"), (503, "unavailable"), Some("30")),
        (400, None, (502, "upstream_rejected"), None),
        (401, None, (502, "upstream_rejected"), None),
        (413, None, (502, "upstream_rejected"), None),
    ] {
        let (house, _service) = house_before(status, retry_after).await;
        let response = house.message(&json!({"text": "hi"})).send().await.unwrap();
        assert_eq!(
            response.headers().get("retry-after").map(|wait| wait.to_str().unwrap()),
            wait,
            "{status}"
        );
        let (status, code) = refusal(response).await;
        assert_eq!((status, code.as_str()), expected);
        assert!(!house.handler.out.text().contains("SECRET"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_said_to_be_and_the_next_call_is_fine() {
    let house = House::start();
    let response = house.message(&json!({"text": "hi"})).send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(refusal(response).await, (503, "unavailable".to_owned()));
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_answers_is_a_timeout() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let house = House::before(silent.local_addr().unwrap().port(), &[]);
    let response = house.message(&json!({"text": "hi"})).send().await.unwrap();
    assert_eq!(refusal(response).await, (504, "upstream_timeout".to_owned()));
}
