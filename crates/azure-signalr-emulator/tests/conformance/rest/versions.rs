//! The versions of the API: their operations, and how each answers errors.

use reqwest::Method;
use serde_json::Value;

use super::{api, call, message};
use crate::support::TestService;

#[tokio::test]
async fn every_later_version_of_the_api_sends() {
    let service = TestService::start().await;
    for version in ["2020-10-01", "2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01"] {
        let path = format!("/api/hubs/chat/:send?api-version={version}");
        assert_eq!(service.send(&path, &message("x")).await, 202, "{version}");
    }
    for path in ["/api/hubs/chat/:send", "/api/hubs/chat/:send?api-version=2021-10-01"] {
        let response = service.call(Method::POST, path).json(&message("x")).send().await.unwrap();
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["target"], "api-version");
        assert!(body["message"].as_str().unwrap().contains("2024-12-01"), "{body}");
    }
}

#[tokio::test]
async fn defect_1_operations_need_their_version() {
    let service = TestService::start().await;
    for (method, rest, since) in [
        (Method::POST, "hubs/chat/:closeConnections", "2022-06-01"),
        (Method::POST, "hubs/chat/groups/g/:closeConnections", "2022-06-01"),
        (Method::POST, "hubs/chat/users/u/:closeConnections", "2022-06-01"),
        (Method::DELETE, "hubs/chat/connections/c/groups", "2022-06-01"),
        (Method::POST, "hubs/chat/:generateToken", "2022-11-01"),
        (Method::POST, "hubs/chat/:execute", "2023-07-01"),
        (Method::GET, "auth/accessKey", "2023-07-01"),
        (Method::POST, "hubs/chat/connections/c/:invoke", "2024-12-01"),
        (Method::POST, "hubs/chat/connections/c/streams/s/:send", "2024-12-01"),
        (Method::POST, "hubs/chat/connections/c/streams/s/:complete", "2024-12-01"),
        (Method::GET, "hubs/chat/groups/g/connections", "2024-12-01"),
    ] {
        for version in ["2020-10-01", "2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01"] {
            let response = call(&service, method.clone(), &format!("/api/{rest}?api-version={version}")).await;
            let answered = response.status();
            let body = response.text().await.unwrap();
            let is_too_early = answered == 404 && body.contains(&format!("needs `api-version` {since}"));
            assert_eq!(is_too_early, version < since, "{rest} {version}: {answered} {body}");
        }
    }
}

#[tokio::test]
async fn application_needs_version_2022_06() {
    let service = TestService::start().await;
    for path in ["/api/v1/hubs/chat?application=app", "/api/hubs/chat/:send?application=app&api-version=2020-10-01"] {
        let response = service.call(Method::POST, path).json(&message("x")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        assert!(response.text().await.unwrap().contains("2022-06-01"));
    }
}

#[tokio::test]
async fn v1_errors_are_plain_text() {
    let service = TestService::start().await;
    for (method, path, expected) in [
        (Method::POST, "/api/v1/hubs/1abc", 400),
        (Method::GET, "/api/v1/hubs/chat/users/unknown", 404),
        (Method::PUT, "/api/v1/hubs/chat/users/unknown", 405),
    ] {
        let response = service.call(method, path).json(&message("x")).send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"), "{path}");
    }
}

#[tokio::test]
async fn unsupported_operations_are_named() {
    let service = TestService::start().await;
    let response = call(&service, Method::GET, "/api/auth/accessKey?api-version=2024-12-01").await;
    assert_eq!(response.status(), 501);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["code"], "NotEmulated");
    assert!(body["message"].as_str().unwrap().contains("access keys"), "{body}");
}

#[tokio::test]
async fn case_73_an_unknown_path_is_404_and_an_unknown_method_405() {
    let service = TestService::start().await;
    for path in [
        "/api", "/api/", "/api/hubs", "/api/hubs/chat", "/api/hubs/chat/:sing", "/api/v1/hubs/chat/:send",
        "/api/v2/hubs/chat", "/api/v1-preview/hub/chat",
    ] {
        let response = call(&service, Method::POST, path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.headers()["x-ms-error-code"], "NotFound");
    }
    for (path, allow) in [
        ("/api/v1/hubs/chat/connections/c".to_owned(), "GET, HEAD, POST, DELETE"),
        (api("hubs/chat/users/u/groups/g"), "GET, HEAD, PUT, DELETE"),
        (api("hubs/chat/:send"), "POST"),
        (api("hubs/chat/groups/g/connections"), "GET"),
    ] {
        let response = call(&service, Method::PATCH, &path).await;
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(response.headers()["allow"], allow, "{path}");
    }
}

#[tokio::test]
async fn lenient_accepts_any_version() {
    let options = azure_signalr_emulator::Options { lenient: true, ..Default::default() };
    let service = TestService::with(options).await;
    for (path, expected) in [
        ("/api/hubs/chat/:send", 202),
        ("/api/hubs/chat/:send?api-version=2021-10-01", 202),
        ("/api/hubs/chat/:send?api-version=2020-10-01&application=app", 202),
        ("/api/hubs/chat/:closeConnections?api-version=2020-10-01", 204),
    ] {
        let response = service.call(Method::POST, path).json(&message("x")).send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
}
