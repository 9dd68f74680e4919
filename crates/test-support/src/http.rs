//! HTTP in tests: a client, free ports, errors and token claims.

use std::net::{Ipv4Addr, TcpListener};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Response;
use serde_json::Value;

use crate::process::TEST_TIMEOUT;

/// A client without proxies and redirects.
pub fn client() -> reqwest::Client {
    // Fails from the second test of a process on, which is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TEST_TIMEOUT)
        .build()
        .unwrap()
}

/// A port of 127.0.0.1 that is free at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The status and the error code of a response in the error format of the API, which is checked.
pub async fn api_error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with('.') && !message.is_empty(), "{message:?} is not a sentence");
    (status, error["code"].as_str().unwrap().to_owned())
}

/// The claims of a JWT, unverified.
pub fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}
