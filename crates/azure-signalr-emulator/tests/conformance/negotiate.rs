//! Negotiation: ids, versions, tokens, CORS and transports.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, TestService, client_token, now, sign, token};

async fn status(service: &TestService, token: &str) -> u16 {
    service.negotiate("", token).await.status().as_u16()
}

#[tokio::test]
async fn case_9_version_1_has_a_public_and_a_secret_id() {
    let service = TestService::start().await;
    let response = service.negotiate("&negotiateVersion=1", &client_token(json!({}))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["negotiateVersion"], 1);
    assert_ne!(answer["connectionId"], answer["connectionToken"]);
    assert_eq!(
        answer["availableTransports"],
        json!([
            {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
            {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
            {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
        ])
    );
}

#[tokio::test]
async fn case_9_ids_need_no_escaping_in_a_url() {
    let service = TestService::start().await;
    let (public, secret) = service.negotiated_ids(&client_token(json!({}))).await;
    for id in [public, secret] {
        assert_eq!(id.len(), 22);
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{id}");
    }
}

#[tokio::test]
async fn case_10_without_a_version_there_is_one_id() {
    let service = TestService::start().await;
    let answer: Value = service.negotiate("", &client_token(json!({}))).await.json().await.unwrap();
    assert_eq!(answer["negotiateVersion"], 0);
    assert!(answer["connectionId"].is_string());
    assert!(answer.get("connectionToken").is_none());
}

#[tokio::test]
async fn case_11_a_version_is_a_number_and_never_more_than_1() {
    let service = TestService::start().await;
    let token = client_token(json!({}));
    let answer: Value = service.negotiate("&negotiateVersion=7", &token).await.json().await.unwrap();
    assert_eq!(answer["negotiateVersion"], 1);
    for (version, message) in [("x", "non-integer"), ("-1", "'-1'")] {
        let response = service.negotiate(&format!("&negotiateVersion={version}"), &token).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert!(answer["error"].as_str().unwrap().contains(message), "{answer}");
    }
}

#[tokio::test]
async fn case_12_only_post_with_a_signed_token_negotiates() {
    let service = TestService::start().await;
    let path = "/client/negotiate?hub=chat";
    let get = service.request(Method::GET, path).send().await.unwrap();
    assert_eq!(get.status(), 405);
    assert_eq!(get.headers()["allow"], "POST");
    let none = service.request(Method::POST, path).send().await.unwrap();
    assert_eq!(none.status(), 401);
    assert_eq!(none.headers()["www-authenticate"], "Bearer");
    let claims = json!({"aud": "http://localhost/client/?hub=chat", "exp": now() + 60});
    assert_eq!(status(&service, &sign("another key", &json!({"alg": "HS256"}), &claims)).await, 401);
    assert_eq!(status(&service, &sign(KEY, &json!({"alg": "none"}), &claims)).await, 401);
    let unknown_kid = json!({"alg": "HS256", "typ": "JWT", "kid": "-1234567"});
    assert_eq!(status(&service, &sign(KEY, &unknown_kid, &claims)).await, 200);
}

#[tokio::test]
async fn negotiate_ignores_a_token_in_the_query() {
    let service = TestService::start().await;
    let path = format!("/client/negotiate?hub=chat&access_token={}", client_token(json!({})));
    assert_eq!(service.request(Method::POST, &path).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn case_13_an_expired_token_is_rejected_with_a_reason() {
    let service = TestService::start().await;
    let token = client_token(json!({"exp": now() - 60}));
    let response = service.negotiate("", &token).await;
    assert_eq!(response.status(), 401);
    let message = response.text().await.unwrap();
    assert!(message.contains("rule `exp`") && message.contains("s ago"), "{message}");
    assert!(!message.contains(KEY) && !message.contains(&token));
}

#[tokio::test]
async fn case_14_an_audience_may_differ_in_port_and_slash_but_not_in_hub() {
    let service = TestService::start().await;
    for (audience, expected) in [
        ("http://localhost/client/?hub=chat", 200),
        ("http://localhost:8888/client/?hub=chat", 200),
        ("http://127.0.0.1/client?hub=Chat", 200),
        ("http://localhost/client/?hub=other", 401),
        ("http://example.com/client/?hub=chat", 401),
    ] {
        assert_eq!(status(&service, &client_token(json!({"aud": audience}))).await, expected, "{audience}");
    }
}

#[tokio::test]
async fn case_15_a_rest_token_is_not_valid_for_clients() {
    let service = TestService::start().await;
    let response = service.negotiate("", &token(json!({"aud": "http://localhost/api/hubs/chat/:send"}))).await;
    assert_eq!(response.status(), 401);
    let message = response.text().await.unwrap();
    assert!(message.contains("rule `audience path`") && message.contains("/api/hubs/chat/:send"), "{message}");
}

#[tokio::test]
async fn case_16_there_must_be_exactly_one_hub_of_a_valid_name() {
    let service = TestService::start().await;
    for query in ["", "?hub=chat&hub=chat", "?hub=1abc", "?hub="] {
        let request = service.request(Method::POST, &format!("/client/negotiate{query}"));
        let response = request.bearer_auth(client_token(json!({}))).send().await.unwrap();
        assert_eq!(response.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn case_18_a_preflight_needs_no_token() {
    let service = TestService::start().await;
    let preflight = service
        .request(Method::OPTIONS, "/client/negotiate?hub=chat&negotiateVersion=1")
        .header("origin", "http://localhost:5500")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-requested-with,x-signalr-user-agent");
    let response = preflight.send().await.unwrap();
    assert!(response.status().is_success());
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], "http://localhost:5500");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    for name in ["authorization", "x-requested-with", "x-signalr-user-agent", "content-type", "cache-control"] {
        assert!(allowed.contains(name), "{allowed}");
    }
}

#[tokio::test]
async fn case_18_error_responses_have_cors_headers() {
    let service = TestService::start().await;
    let request = service.request(Method::POST, "/client/negotiate?hub=chat").header("origin", "http://page");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], "http://page");
}

#[tokio::test]
async fn case_19_a_token_can_leave_transports_out() {
    let service = TestService::start().await;
    for (mask, offered) in [("1", 1), ("7", 3), ("6", 2), ("8", 0)] {
        let token = client_token(json!({"asrs.s.htt": mask}));
        let answer: Value = service.negotiate("", &token).await.json().await.unwrap();
        assert_eq!(answer["availableTransports"].as_array().unwrap().len(), offered, "{mask}");
    }
    let only_polling = client_token(json!({"asrs.s.htt": "4"}));
    assert_eq!(service.open("/client/?hub=chat", Some(&only_polling)).await.err().unwrap().0, 404);
}

#[tokio::test]
async fn case_20_other_parameters_do_not_matter() {
    let service = TestService::start().await;
    let query = "&asrs_request_id=&asrs.op=%2Fx&asrs_lang=en";
    assert_eq!(service.negotiate(query, &client_token(json!({}))).await.status(), 200);
    service.connect(&format!("/client/?hub=chat{query}"), &client_token(json!({}))).await;
}
