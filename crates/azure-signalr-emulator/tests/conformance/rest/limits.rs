//! Limits on bodies, paths, headers, tokens, names and groups.

use reqwest::Method;
use serde_json::Value;

use super::{api, call, message};
use crate::support::{TestService, token};

async fn post(service: &TestService, body: &str) -> reqwest::Response {
    let request = service.call(Method::POST, &api("hubs/chat/:send")).header("content-type", "application/json");
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn case_56_a_body_has_at_most_one_mebibyte() {
    let (service, mut client) = TestService::with_client().await;
    let frame = r#"{"target":"t","arguments":[""]}"#.len();
    let largest = "x".repeat((1 << 20) - frame);
    let message = |text: &str| format!(r#"{{"target":"t","arguments":["{text}"]}}"#);
    assert_eq!(post(&service, &message(&largest)).await.status(), 202);
    assert_eq!(client.receive_argument().await.as_str().unwrap().len(), largest.len());
    let response = post(&service, &message(&(largest + "x"))).await;
    assert_eq!(response.status(), 413);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "PayloadTooLarge");
    assert_eq!(post(&service, &message(&"x".repeat(8 << 20))).await.status(), 413);
}

#[tokio::test]
async fn case_56_invalid_names_are_rejected() {
    let service = TestService::start().await;
    let long = "a".repeat(129);
    let long_id = "a".repeat(1025);
    for (path, target) in [
        (api("hubs/1abc/:send"), "hub"),
        (api(&format!("hubs/{long}/:send")), "hub"),
        (api("hubs/chat/:send?application=1"), "application"),
        (api(&format!("hubs/chat/users/{long_id}/:send")), "user"),
        (api("hubs/chat/users//:send"), "user"),
        (api("hubs/chat/connections//:send"), "connectionId"),
        (api(&format!("hubs/chat/groups/{long_id}/:send")), "group"),
        (api("hubs/chat/groups//:send"), "group"),
        (api("hubs/chat/groups/%20%09/:send"), "group"),
    ] {
        let response = service.call(Method::POST, &path).json(&message("x")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], target, "{path}");
    }
    assert_eq!(service.send(&api(&format!("hubs/{}/:send", "a".repeat(128))), &message("x")).await, 202);
}

#[tokio::test]
async fn an_overlong_path_and_one_that_is_not_utf8_are_rejected() {
    let service = TestService::start().await;
    let excluded = "&excluded=aaaaaaaaaaaaaaaaaaaaaa".repeat(400);
    assert_eq!(service.send(&api(&format!("hubs/chat/:send?x=1{excluded}")), &message("x")).await, 414);
    assert_eq!(service.send(&api("hubs/chat/users/%FF/:send"), &message("x")).await, 400);
}

#[tokio::test]
async fn overlong_headers_and_tokens_are_rejected() {
    let service = TestService::start().await;
    let path = api("hubs/chat/:send");
    let request = service.call(Method::POST, &path).header("x-padding", "x".repeat(16 << 10));
    assert_eq!(request.json(&message("x")).send().await.unwrap().status(), 431);

    let audience = "http://localhost/api/hubs/chat/:send";
    let long = token(serde_json::json!({"aud": audience, "padding": "x".repeat(4 << 10)}));
    let response = service.request(Method::POST, &path).bearer_auth(long).json(&message("x")).send().await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.headers()["x-ms-error-code"], "AccessTokenTooLong");
}

#[tokio::test]
async fn too_many_groups_are_429() {
    let (service, id, _client) = TestService::with_client_id().await;
    for number in 0..1_000 {
        let path = api(&format!("hubs/chat/groups/{number}/connections/{id}"));
        assert_eq!(call(&service, Method::PUT, &path).await.status(), 200);
    }
    let path = api(&format!("hubs/chat/groups/one-more/connections/{id}"));
    let response = call(&service, Method::PUT, &path).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-ms-error-code"], "TooManyGroups");
}
