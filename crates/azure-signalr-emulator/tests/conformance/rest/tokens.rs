//! Tests of the REST operation `:generateToken`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::Value;

use super::call;
use crate::support::{TestService, now};

fn generate(query: &str) -> String {
    format!("/api/hubs/Chat/:generateToken?api-version=2022-11-01{query}")
}

/// A generated token and its claims.
async fn generated(service: &TestService, query: &str) -> (String, Value) {
    let response = call(service, Method::POST, &generate(query)).await;
    assert_eq!(response.status(), 200, "{query}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer.as_object().unwrap().len(), 1);
    let token = answer["token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    (token.to_owned(), serde_json::from_slice(&claims).unwrap())
}

#[tokio::test]
async fn case_69_and_defect_1_a_token_has_a_user_a_hub_and_minutes() {
    let service = TestService::start().await;
    let before = now();
    let (token, claims) = generated(&service, "&userId=u&minutesToExpire=5").await;
    let expiry = claims["exp"].as_u64().unwrap();
    assert!((before + 300..=now() + 300).contains(&expiry));
    let mut client = service.connect("/client/?hub=chat", &token).await;
    assert_eq!(service.send(&super::api("hubs/chat/users/u/:send"), &super::message("you")).await, 202);
    assert_eq!(client.receive_argument().await, "you");
    let elsewhere = service.open("/client/?hub=other", Some(&token)).await;
    assert_eq!(elsewhere.err().expect("a refusal").0, 401);
}

#[tokio::test]
async fn case_69_by_default_a_token_is_anonymous_and_valid_for_an_hour() {
    let service = TestService::start().await;
    for query in ["", "&userId="] {
        let (token, claims) = generated(&service, query).await;
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        assert!(claims["asrs.s.uid"].is_null(), "{claims}");
        service.connect("/client/?hub=chat", &token).await;
    }
}

#[tokio::test]
async fn case_69_the_lifetime_is_a_positive_number_of_minutes() {
    let service = TestService::start().await;
    for minutes in ["0", "-1", "x", "1.5", "4294967296"] {
        let response = call(&service, Method::POST, &generate(&format!("&minutesToExpire={minutes}"))).await;
        assert_eq!(response.status(), 400, "{minutes}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], "minutesToExpire");
    }
}

#[tokio::test]
async fn a_token_that_would_be_too_long_is_rejected() {
    let service = TestService::start().await;
    let user = "%F0%9F%98%80".repeat(900);
    let response = call(&service, Method::POST, &generate(&format!("&userId={user}"))).await;
    assert_eq!(response.status(), 413);
}
