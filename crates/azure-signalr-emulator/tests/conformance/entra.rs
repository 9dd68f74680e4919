//! Callers with an identity instead of a key: who is admitted, what they are lent, and what that is good for.

use azure_signalr_emulator::{AccessKey, EntraOptions, Options};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{House, KEY, now, sign, token};

const ISSUER: &str = "https://issuer.test/tenant/";
const ISSUER_KEY: &str = "what-the-issuer-signs-with";
const SEND: &str = "/api/hubs/chat/:send?api-version=2022-06-01";
const ACCESS_KEY: &str = "/api/auth/accessKey?api-version=2023-07-01";

async fn house() -> House {
    let signing_key = AccessKey::new(ISSUER_KEY).unwrap();
    let entra = EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners: vec!["the-app".to_owned()] };
    House::with(Options { entra: Some(entra), ..Options::default() }).await
}

/// The claims of a token that is right, but for `changes`.
fn claims(changes: &[(&str, Value)]) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "https://signalr.azure.com", "oid": "the-app", "nbf": now(), "exp": now() + 3600,
    });
    for (name, value) in changes {
        claims[name] = value.clone();
    }
    claims
}

fn entra_token(changes: &[(&str, Value)]) -> String {
    sign(ISSUER_KEY, &json!({"alg": "HS256"}), &claims(changes))
}

async fn send(house: &House, token: &str) -> Response {
    let request = house.request(Method::POST, SEND).bearer_auth(token).json(&json!({"target": "t"}));
    request.send().await.unwrap()
}

/// A key, as an identity gets it: its text and its id.
async fn lent(house: &House, path: &str) -> (String, String) {
    let response = house.request(Method::GET, path).bearer_auth(entra_token(&[])).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("AccessKey"), text("KeyId"))
}

fn client_token(key: &str, id: &str) -> String {
    let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": now() + 60, "asrs.s.uid": "ann"});
    sign(key, &json!({"alg": "HS256", "typ": "JWT", "kid": id}), &claims)
}

#[tokio::test]
async fn an_identity_with_a_role_may_send() {
    let house = house().await;
    assert_eq!(send(&house, &entra_token(&[])).await.status(), 202);
    let other_form = entra_token(&[("aud", json!("https://signalr.azure.com/"))]);
    assert_eq!(send(&house, &other_form).await.status(), 202);
}

#[tokio::test]
async fn an_identity_whose_token_breaks_a_rule_is_told_which() {
    let house = house().await;
    for (changes, status, rule) in [
        (("iss", json!("https://elsewhere.test/")), 401, "issuer"),
        (("aud", json!("https://management.azure.com")), 401, "audience"),
        (("aud", json!("http://localhost/api/hubs/chat/:send")), 401, "audience"),
        (("exp", json!(now() - 60)), 401, "exp"),
        (("nbf", json!(now() + 60)), 401, "nbf"),
        (("oid", json!("somebody")), 403, "role"),
        (("oid", Value::Null), 403, "role"),
    ] {
        let response = send(&house, &entra_token(std::slice::from_ref(&changes))).await;
        assert_eq!(response.status(), status, "{changes:?}");
        let body: Value = response.json().await.unwrap();
        let words = body["message"].as_str().unwrap();
        assert!(words.contains(&format!("rule `{rule}`")), "{words}");
        assert!(!words.contains(ISSUER_KEY) && !words.contains("eyJ"), "{words}");
    }
    let forged = sign("another", &json!({"alg": "HS256"}), &claims(&[]));
    assert_eq!(send(&house, &forged).await.status(), 401);
}

#[tokio::test]
async fn keys_are_lent_in_both_editions_and_never_the_same_twice() {
    let house = house().await;
    let (first, first_id) = lent(&house, ACCESS_KEY).await;
    let (second, second_id) = lent(&house, "/api/v1/auth/accessKey").await;
    assert!(first != second && first_id != second_id && first != KEY);
}

#[tokio::test]
async fn a_client_connects_with_a_token_signed_by_any_lent_key() {
    let house = house().await;
    let (first, first_id) = lent(&house, ACCESS_KEY).await;
    let (second, second_id) = lent(&house, ACCESS_KEY).await;
    for (key, id) in [(&first, &first_id), (&second, &second_id)] {
        house.client_of("/client/?hub=chat", &client_token(key, id)).await;
    }
    for (key, id) in [(&first, &second_id), (&first, &"unknown".to_owned()), (&"guess".to_owned(), &first_id)]
    {
        assert_eq!(house.negotiate("", &client_token(key, id)).await.status(), 401);
    }
    // A name that nobody knows does not stand in the way of the key that did sign.
    assert_eq!(house.negotiate("", &client_token(KEY, "unknown")).await.status(), 200);
}

#[tokio::test]
async fn a_lent_key_is_for_clients_and_an_entra_token_for_callers() {
    let house = house().await;
    let (key, id) = lent(&house, ACCESS_KEY).await;
    let claims = json!({"aud": "http://localhost/api/hubs/chat/:send", "exp": now() + 60});
    let as_caller = sign(&key, &json!({"alg": "HS256", "kid": id}), &claims);
    assert_eq!(send(&house, &as_caller).await.status(), 401);
    assert_eq!(house.negotiate("", &entra_token(&[])).await.status(), 401);
}

#[tokio::test]
async fn whoever_has_a_key_is_lent_none() {
    let house = house().await;
    assert_eq!(house.call(Method::GET, ACCESS_KEY).send().await.unwrap().status(), 403);
    assert_eq!(
        send(&house, &token(json!({"aud": "http://localhost/api/hubs/chat/:send"}))).await.status(),
        202
    );
}

#[tokio::test]
async fn unless_it_is_set_up_there_are_no_identities() {
    let house = House::start().await;
    assert_eq!(send(&house, &entra_token(&[])).await.status(), 401);
    assert_eq!(house.call(Method::GET, ACCESS_KEY).send().await.unwrap().status(), 501);
}
