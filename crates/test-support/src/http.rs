//! HTTP in tests: a client, a server, a reverse proxy, free ports, errors and token claims.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

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
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
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

/// Sends `negotiation` to the handler and returns the user id in the access token of the response; null if anonymous.
pub async fn negotiated_user(negotiation: RequestBuilder) -> Value {
    let response = negotiation.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    claims(body["accessToken"].as_str().unwrap())["asrs.s.uid"].clone()
}

/// Sends `request` `count` times, 16 at a time, and returns the number of responses by status.
pub async fn send_many(request: &RequestBuilder, count: usize) -> BTreeMap<u16, usize> {
    let requests = (0..16).map(|_| {
        let request = request.try_clone().unwrap();
        tokio::spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..count / 16 {
                statuses.push(request.try_clone().unwrap().send().await.unwrap().status().as_u16());
            }
            statuses
        })
    });
    let mut statuses = BTreeMap::new();
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap().into_iter().for_each(|status| *statuses.entry(status).or_default() += 1);
    }
    statuses
}

/// Listens on a free port of 127.0.0.1 and returns the port.
pub async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Serves `router` on a free port of 127.0.0.1 until the test ends, and returns the port.
pub async fn serve(router: Router) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// Answers all requests with `ok`, and the first `number` of them at the same time, so that each of these has a connection of its own.
/// Returns the port.
pub async fn serve_first_together(number: usize) -> u16 {
    let (received, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(number)));
    let respond = async move || {
        if received.fetch_add(1, Ordering::SeqCst) < number {
            together.wait().await;
        }
        "ok"
    };
    serve(Router::new().fallback(respond)).await
}

/// Forwards every request to the server at `port` of 127.0.0.1, WebSockets included. The `Host` header stays the caller's.
pub fn proxy(port: u16) -> Router {
    Router::new().fallback(forward).with_state(port)
}

async fn forward(State(port): State<u16>, mut request: Request) -> axum::response::Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri = format!("http://127.0.0.1:{port}{path}").parse().unwrap();
    *request.uri_mut() = uri;
    let outside = hyper::upgrade::on(&mut request);
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let mut response = client.request(request).await.unwrap();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let inside = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (mut outside, mut inside) = (TokioIo::new(outside.await.unwrap()), TokioIo::new(inside.await.unwrap()));
            let _ = copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
    response.map(Body::new).into_response()
}
