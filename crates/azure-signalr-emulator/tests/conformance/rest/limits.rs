//! What may be how long, and be called what.

use reqwest::Method;
use serde_json::Value;

use super::{api, call, hello};
use crate::support::{House, token};

async fn post(house: &House, body: &str) -> reqwest::Response {
    let request =
        house.call(Method::POST, &api("hubs/chat/:send")).header("content-type", "application/json");
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn case_56_a_body_has_a_megabyte_and_not_a_byte_more() {
    let house = House::start().await;
    let mut client = house.client().await;
    let frame = r#"{"target":"t","arguments":[""]}"#.len();
    let largest = "x".repeat((1 << 20) - frame);
    let message = |text: &str| format!(r#"{{"target":"t","arguments":["{text}"]}}"#);
    assert_eq!(post(&house, &message(&largest)).await.status(), 202);
    assert_eq!(client.argument().await.as_str().unwrap().len(), largest.len());
    let response = post(&house, &message(&(largest + "x"))).await;
    assert_eq!(response.status(), 413);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "PayloadTooLarge");
    assert_eq!(post(&house, &message(&"x".repeat(8 << 20))).await.status(), 413);
}

#[tokio::test]
async fn case_56_names_have_their_rules() {
    let house = House::start().await;
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
        let response = house.call(Method::POST, &path).json(&hello("x")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], target, "{path}");
    }
    assert_eq!(house.send(&api(&format!("hubs/{}/:send", "a".repeat(128))), &hello("x")).await, 202);
}

#[tokio::test]
async fn a_path_that_is_too_long_or_no_text_is_refused() {
    let house = House::start().await;
    let excluded = "&excluded=aaaaaaaaaaaaaaaaaaaaaa".repeat(400);
    assert_eq!(house.send(&api(&format!("hubs/chat/:send?x=1{excluded}")), &hello("x")).await, 414);
    assert_eq!(house.send(&api("hubs/chat/users/%FF/:send"), &hello("x")).await, 400);
}

#[tokio::test]
async fn headers_and_tokens_have_their_limits_too() {
    let house = House::start().await;
    let path = api("hubs/chat/:send");
    let request = house.call(Method::POST, &path).header("x-padding", "x".repeat(16 << 10));
    assert_eq!(request.json(&hello("x")).send().await.unwrap().status(), 431);

    let audience = "http://localhost/api/hubs/chat/:send";
    let long = token(serde_json::json!({"aud": audience, "padding": "x".repeat(4 << 10)}));
    let response =
        house.request(Method::POST, &path).bearer_auth(long).json(&hello("x")).send().await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.headers()["x-ms-error-code"], "AccessTokenTooLong");
}

#[tokio::test]
async fn who_has_too_many_groups_is_told_so() {
    let house = House::start().await;
    let (id, _client) = house.known_client().await;
    for number in 0..1_000 {
        let path = api(&format!("hubs/chat/groups/{number}/connections/{id}"));
        assert_eq!(call(&house, Method::PUT, &path).await.status(), 200);
    }
    let path = api(&format!("hubs/chat/groups/one-more/connections/{id}"));
    let response = call(&house, Method::PUT, &path).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-ms-error-code"], "TooManyGroups");
}
