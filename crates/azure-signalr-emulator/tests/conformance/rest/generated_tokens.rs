//! Tokens for clients that the service signs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::Value;

use super::call;
use crate::support::{House, now};

fn generate(query: &str) -> String {
    format!("/api/hubs/Chat/:generateToken?api-version=2022-11-01{query}")
}

/// A generated token, and what it claims.
async fn generated(house: &House, query: &str) -> (String, Value) {
    let response = call(house, Method::POST, &generate(query)).await;
    assert_eq!(response.status(), 200, "{query}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer.as_object().unwrap().len(), 1);
    let token = answer["token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    (token.to_owned(), serde_json::from_slice(&claims).unwrap())
}

#[tokio::test]
async fn case_69_and_defect_1_a_token_is_for_one_user_of_one_hub_and_for_minutes() {
    let house = House::start().await;
    let before = now();
    let (token, claims) = generated(&house, "&userId=u&minutesToExpire=5").await;
    let expiry = claims["exp"].as_u64().unwrap();
    assert!((before + 300..=now() + 300).contains(&expiry));
    let mut client = house.client_of("/client/?hub=chat", &token).await;
    assert_eq!(house.send(&super::api("hubs/chat/users/u/:send"), &super::hello("you")).await, 202);
    assert_eq!(client.argument().await, "you");
    let elsewhere = house.open("/client/?hub=other", Some(&token)).await;
    assert_eq!(elsewhere.err().expect("a refusal").0, 401);
}

#[tokio::test]
async fn case_69_without_a_user_and_a_time_it_is_anonymous_and_for_an_hour() {
    let house = House::start().await;
    for query in ["", "&userId="] {
        let (token, claims) = generated(&house, query).await;
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        assert!(claims["asrs.s.uid"].is_null(), "{claims}");
        house.client_of("/client/?hub=chat", &token).await;
    }
}

#[tokio::test]
async fn case_69_the_time_is_a_whole_number_of_minutes_from_1_on() {
    let house = House::start().await;
    for minutes in ["0", "-1", "x", "1.5", "4294967296"] {
        let response = call(&house, Method::POST, &generate(&format!("&minutesToExpire={minutes}"))).await;
        assert_eq!(response.status(), 400, "{minutes}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], "minutesToExpire");
    }
}

#[tokio::test]
async fn a_token_that_would_be_too_long_for_a_client_is_not_given_out() {
    let house = House::start().await;
    let user = "%F0%9F%98%80".repeat(900);
    let response = call(&house, Method::POST, &generate(&format!("&userId={user}"))).await;
    assert_eq!(response.status(), 413);
}
