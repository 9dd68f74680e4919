//! Access tokens of REST calls: audiences, keys, and the lenient mode.

use azure_signalr_emulator::{AccessKey, Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, TestService, client_token, now, sign, token};

const SEND: &str = "/api/hubs/chat/:send?api-version=2022-06-01";

async fn post(service: &TestService, path: &str, token: &str) -> (u16, Value) {
    let request = service.request(Method::POST, path).bearer_auth(token).json(&json!({"target": "t"}));
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn case_58_every_known_form_of_a_rest_audience_is_accepted() {
    let service = TestService::start().await;
    for (path, audience) in [
        (SEND, "http://localhost/api/hubs/chat/:send?api-version=2022-06-01"),
        (SEND, "http://localhost:8888/api/hubs/chat/:send"),
        ("/api/v1/hubs/chat", "http://localhost/api/v1/hubs/chat"),
        ("/api/v1/hubs/chat", "http://127.0.0.1:8888/api/v1/hubs/chat/"),
    ] {
        assert_eq!(post(&service, path, &token(json!({"aud": audience}))).await.0, 202, "{audience}");
    }
}

#[tokio::test]
async fn case_58_a_missing_or_wrong_token_is_rejected_with_its_rule() {
    let service = TestService::start().await;
    let unsigned = service.request(Method::POST, SEND).json(&json!({"target": "t"})).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    let claims = json!({"aud": "http://localhost/api/hubs/chat/:send", "exp": now() + 60});
    let (status, body) = post(&service, SEND, &sign("wrong", &json!({"alg": "HS256"}), &claims)).await;
    assert_eq!((status, &body["code"]), (401, &json!("Unauthorized")));
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("rule `signature`") && !message.contains(KEY), "{message}");
}

#[tokio::test]
async fn tokens_for_clients_or_other_paths_are_not_valid_for_rest() {
    let service = TestService::start().await;
    assert_eq!(post(&service, SEND, &client_token(json!({}))).await.0, 401);
    let elsewhere = token(json!({"aud": "http://localhost/api/hubs/other/:send"}));
    let (status, body) = post(&service, SEND, &elsewhere).await;
    assert_eq!(status, 401);
    assert!(body["message"].as_str().unwrap().contains("/api/hubs/other/:send"));
}

#[tokio::test]
async fn a_rest_token_in_the_query_is_ignored() {
    let service = TestService::start().await;
    let token = token(json!({"aud": "http://localhost/api/hubs/chat/:send"}));
    let path = format!("{SEND}&access_token={token}");
    let request = service.request(Method::POST, &path).json(&json!({"target": "t"}));
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn either_of_two_keys_is_accepted_and_the_connection_string_has_the_first() {
    let keys = ["first", "second"].map(|key| AccessKey::new(key).unwrap()).to_vec();
    let service = TestService::with(Options { access_keys: keys, ..Options::default() }).await;
    let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": now() + 60});
    for (key, expected) in [("first", 200), ("second", 200), (KEY, 401)] {
        let token = sign(key, &json!({"alg": "HS256"}), &claims);
        assert_eq!(service.negotiate("", &token).await.status(), expected, "{key}");
    }
    let text = service.emulator.connection_string(8888);
    assert_eq!(text, "Endpoint=http://localhost:8888;AccessKey=first;Version=1.0;");
}

#[tokio::test]
async fn without_a_key_a_random_one_is_made() {
    let service = TestService::with(Options { access_keys: Vec::new(), ..Options::default() }).await;
    assert_eq!(service.negotiate("", &client_token(json!({}))).await.status(), 401);
    let text = service.emulator.connection_string(service.port);
    let key = text.split(';').find_map(|pair| pair.strip_prefix("AccessKey=")).unwrap();
    let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": now() + 60});
    assert_eq!(service.negotiate("", &sign(key, &json!({"alg": "HS256"}), &claims)).await.status(), 200);
}

#[tokio::test]
async fn another_host_name_has_to_be_allowed() {
    let allowed_hosts = vec!["host.docker.internal".to_owned()];
    let service = TestService::with(Options { allowed_hosts, ..Options::default() }).await;
    let token = client_token(json!({"aud": "http://host.docker.internal:8888/client/?hub=chat"}));
    assert_eq!(service.negotiate("", &token).await.status(), 200);
    assert_eq!(TestService::start().await.negotiate("", &token).await.status(), 401);
}

#[tokio::test]
async fn defect_7_lenient_checks_signatures_only_and_is_off_by_default() {
    assert!(!Options::default().lenient);
    let service = TestService::with(Options { lenient: true, ..Options::default() }).await;
    let expired = token(json!({"aud": "http://elsewhere/", "exp": 1, "nbf": 0}));
    service.connect("/client/?hub=chat", &expired).await;
    let sent = service.request(Method::POST, "/api/hubs/chat/:send").bearer_auth(&expired);
    assert_eq!(sent.json(&json!({"target": "t"})).send().await.unwrap().status(), 202);
    let unsigned = service.request(Method::POST, "/api/hubs/chat/:send").json(&json!({"target": "t"}));
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
}
