//! `Hub::user_exists` against a service with one response, over real sockets.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::extract::Request;
use axum::http::{HeaderName, StatusCode};
use axum::response::AppendHeaders;
use azure_signalr::{Error, Hub};
use tokio::net::TcpListener;

const USER: &str = "secret/user a";

/// Asks a service that responds with `status` and `x-ms-error-code: {code}`; the answer, and the requests as `METHOD path audience`.
async fn ask(status: u16, code: &'static str) -> (Result<bool, Error>, Vec<String>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let recorded = requests.clone();
    let app = axum::Router::new().fallback(async move |request: Request| {
        let token = request.headers()["authorization"].to_str().unwrap().trim_start_matches("Bearer ");
        let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token).unwrap().claims;
        let audience = claims["aud"].as_str().unwrap();
        recorded.lock().unwrap().push(format!("{} {} {audience}", request.method(), request.uri()));
        let code = (!code.is_empty()).then_some((HeaderName::from_static("x-ms-error-code"), code));
        (StatusCode::from_u16(status).unwrap(), AppendHeaders(code))
    });
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connection = format!("Endpoint=http://127.0.0.1:{};AccessKey=k", socket.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(socket, app).await });
    let hub = Hub::new(&connection.parse().unwrap(), &"chat".parse().unwrap()).unwrap();
    let answer = hub.user_exists(&USER.parse().unwrap(), SystemTime::now()).await;
    (answer, requests.lock().unwrap().clone())
}

#[tokio::test]
async fn one_head_request_asks_whether_a_user_is_connected() {
    let (answer, requests) = ask(200, "").await;
    assert!(answer.unwrap());
    let path = "/api/hubs/chat/users/secret%2Fuser%20a";
    assert_eq!(requests, [format!("HEAD {path}?api-version=2022-06-01 http://127.0.0.1{path}")]);
}

#[tokio::test]
async fn only_the_services_own_404_means_that_a_user_is_not_connected() {
    assert!(!ask(404, "Warning.User.NotExisted").await.0.unwrap());
    for (status, code) in [
        (404, ""),
        (404, "Warning.Group.NotExisted"),
        (404, "warning.user.notexisted"),
        (400, "Warning.User.NotExisted"),
        (302, ""),
        (401, ""),
        (403, ""),
        (405, ""),
        (501, ""),
    ] {
        let error = ask(status, code).await.0.unwrap_err();
        assert_eq!(error.status(), Some(status), "{code}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }
}
