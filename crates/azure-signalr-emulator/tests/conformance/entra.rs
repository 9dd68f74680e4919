//! Callers with an identity of Microsoft Entra ID: their tokens, and the access keys they get.

use azure_signalr_emulator::{AccessKey, EntraOptions, Options};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{KEY, TestService, now, sign, token};

const ISSUER: &str = "https://issuer.test/tenant/";
const ISSUER_KEY: &str = "what-the-issuer-signs-with";
const SEND: &str = "/api/hubs/chat/:send?api-version=2022-06-01";
const ACCESS_KEY: &str = "/api/auth/accessKey?api-version=2023-07-01";

async fn service() -> TestService {
    let signing_key = AccessKey::new(ISSUER_KEY).unwrap();
    let entra = EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners: vec!["the-app".to_owned()] };
    TestService::with(Options { entra: Some(entra), ..Options::default() }).await
}

/// The claims of a valid token with `changes`.
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

async fn send(service: &TestService, token: &str) -> Response {
    let request = service.request(Method::POST, SEND).bearer_auth(token).json(&json!({"target": "t"}));
    request.send().await.unwrap()
}

/// Gets an access key: its text and its id.
async fn issued_key(service: &TestService, path: &str) -> (String, String) {
    let response = service.request(Method::GET, path).bearer_auth(entra_token(&[])).send().await.unwrap();
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
    let service = service().await;
    assert_eq!(send(&service, &entra_token(&[])).await.status(), 202);
    let other_form = entra_token(&[("aud", json!("https://signalr.azure.com/"))]);
    assert_eq!(send(&service, &other_form).await.status(), 202);
}

#[tokio::test]
async fn an_invalid_entra_token_is_rejected_with_its_rule() {
    let service = service().await;
    for (changes, status, rule) in [
        (("iss", json!("https://elsewhere.test/")), 401, "issuer"),
        (("aud", json!("https://management.azure.com")), 401, "audience"),
        (("aud", json!("http://localhost/api/hubs/chat/:send")), 401, "audience"),
        (("exp", json!(now() - 60)), 401, "exp"),
        (("nbf", json!(now() + 60)), 401, "nbf"),
        (("oid", json!("another")), 403, "role"),
        (("oid", Value::Null), 403, "role"),
    ] {
        let response = send(&service, &entra_token(std::slice::from_ref(&changes))).await;
        assert_eq!(response.status(), status, "{changes:?}");
        let body: Value = response.json().await.unwrap();
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(&format!("rule `{rule}`")), "{message}");
        assert!(!message.contains(ISSUER_KEY) && !message.contains("eyJ"), "{message}");
    }
    let forged = sign("another", &json!({"alg": "HS256"}), &claims(&[]));
    assert_eq!(send(&service, &forged).await.status(), 401);
}

#[tokio::test]
async fn both_api_versions_issue_a_new_key_each_time() {
    let service = service().await;
    let (first, first_id) = issued_key(&service, ACCESS_KEY).await;
    let (second, second_id) = issued_key(&service, "/api/v1/auth/accessKey").await;
    assert!(first != second && first_id != second_id && first != KEY);
}

#[tokio::test]
async fn a_client_connects_with_a_token_signed_by_any_issued_key() {
    let service = service().await;
    let (first, first_id) = issued_key(&service, ACCESS_KEY).await;
    let (second, second_id) = issued_key(&service, ACCESS_KEY).await;
    for (key, id) in [(&first, &first_id), (&second, &second_id)] {
        service.connect("/client/?hub=chat", &client_token(key, id)).await;
    }
    for (key, id) in [(&first, &second_id), (&first, &"unknown".to_owned()), (&"guess".to_owned(), &first_id)] {
        assert_eq!(service.negotiate("", &client_token(key, id)).await.status(), 401);
    }
    // An unknown `kid` is ignored.
    assert_eq!(service.negotiate("", &client_token(KEY, "unknown")).await.status(), 200);
}

#[tokio::test]
async fn an_issued_key_is_for_clients_and_an_entra_token_for_callers() {
    let service = service().await;
    let (key, id) = issued_key(&service, ACCESS_KEY).await;
    let claims = json!({"aud": "http://localhost/api/hubs/chat/:send", "exp": now() + 60});
    let as_caller = sign(&key, &json!({"alg": "HS256", "kid": id}), &claims);
    assert_eq!(send(&service, &as_caller).await.status(), 401);
    assert_eq!(service.negotiate("", &entra_token(&[])).await.status(), 401);
}

#[tokio::test]
async fn callers_with_a_key_are_issued_none() {
    let service = service().await;
    assert_eq!(service.call(Method::GET, ACCESS_KEY).send().await.unwrap().status(), 403);
    assert_eq!(send(&service, &token(json!({"aud": "http://localhost/api/hubs/chat/:send"}))).await.status(), 202);
}

#[tokio::test]
async fn without_entra_options_there_are_no_identities() {
    let service = TestService::start().await;
    assert_eq!(send(&service, &entra_token(&[])).await.status(), 401);
    assert_eq!(service.call(Method::GET, ACCESS_KEY).send().await.unwrap().status(), 501);
}
