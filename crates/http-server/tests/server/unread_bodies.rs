//! A response waits until the rest of the request body has been read and discarded, within limits.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use http_server::Limits;
use test_support::raw_http::Form;

use crate::{SHORT, TestServer, no_limits};

const KIB: usize = 1_024;
const MIB: usize = 1_024 * KIB;

fn router() -> Router {
    Router::new()
        .route("/refuse", any(async || (StatusCode::UNAUTHORIZED, "sign in")))
        .route("/limit", any(async |request: Request| read(request, 64 * KIB).await))
        .route("/read", any(async |request: Request| read(request, usize::MAX).await))
        .route("/later", any(later))
}

async fn read(request: Request, limit: usize) -> (StatusCode, String) {
    match to_bytes(request.into_body(), limit).await {
        Ok(body) => (StatusCode::OK, body.len().to_string()),
        Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too large".to_owned()),
    }
}

/// Responds at once, and reads the body after that.
async fn later(request: Request) -> StatusCode {
    tokio::spawn(read(request, usize::MAX));
    StatusCode::ACCEPTED
}

#[tokio::test]
async fn a_client_that_sends_its_whole_body_first_gets_the_response_and_can_go_on() {
    let server = TestServer::start(router(), no_limits()).await;
    for (path, form, size, expected) in [
        ("/refuse", Form::Length, 0, 401),
        ("/refuse", Form::Length, 1, 401),
        ("/refuse", Form::Length, 64 * KIB, 401),
        ("/refuse", Form::Length, 200_000, 401),
        ("/refuse", Form::Length, 3_000_000, 401),
        ("/refuse", Form::Length, 8 * MIB, 401),
        ("/refuse", Form::Chunked, 0, 401),
        ("/refuse", Form::Chunked, 200_000, 401),
        ("/refuse", Form::Chunked, 3_000_000, 401),
        ("/refuse", Form::Expected, 200_000, 401),
        ("/limit", Form::Length, 64 * KIB, 200),
        ("/limit", Form::Length, 64 * KIB + 1, 413),
        ("/limit", Form::Chunked, 3_000_000, 413),
        ("/limit", Form::Expected, 3_000_000, 413),
        ("/read", Form::Length, 3_000_000, 200),
        ("/read", Form::Chunked, 3_000_000, 200),
        ("/later", Form::Length, 3_000_000, 202),
        ("/nowhere", Form::Length, 3_000_000, 404),
    ] {
        let mut connection = server.connect().await;
        connection.send(form.request("POST", path, "", size)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (expected, false), "{path} {form:?} {size}");
        assert_eq!(connection.get("/refuse").await.status, 401, "after {path} {form:?} {size}");
    }
}

#[tokio::test]
async fn beyond_the_limits_the_response_is_sent_and_the_connection_closed() {
    let limits = Limits { discard_timeout: SHORT, ..no_limits() };
    let server = TestServer::start(router(), limits).await;
    for (path, form, size, expected) in [
        ("/refuse", Form::Incomplete, 10, 401),
        ("/refuse", Form::Incomplete, 200_000, 401),
        ("/limit", Form::Incomplete, 200_000, 413),
        ("/nowhere", Form::Incomplete, 10, 404),
    ] {
        let mut connection = server.connect().await;
        connection.send(form.request("POST", path, "", size)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (expected, true), "{path} {form:?} {size}");
        assert_eq!(connection.closed().await, "", "after {path} {form:?} {size}");
    }
    let server = TestServer::start(router(), no_limits()).await;
    for (path, form, size, expected) in [
        ("/refuse", Form::Length, 12 * MIB, 401),
        ("/refuse", Form::Chunked, 12 * MIB, 401),
        ("/limit", Form::Expected, 12 * MIB, 413),
        // More than a request may have that is forwarded by the Functions host.
        ("/refuse", Form::Length, 104 * MIB, 401),
    ] {
        let mut connection = server.connect().await;
        connection.send(form.request("POST", path, "", size)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (expected, true), "{path} {form:?} {size}");
        assert_eq!(connection.closed().await, "", "after {path} {form:?} {size}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_continue() {
    let server = TestServer::start(router(), no_limits()).await;
    let mut connection = server.connect().await;
    let request = Form::Expected.request("POST", "/refuse", "", 200_000);
    let (head, body) = request.split_at(request.len() - 200_000);
    connection.send(head).await;
    assert_eq!(connection.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.send(body).await;
    assert_eq!(connection.response().await.status, 401);
}

#[tokio::test]
async fn a_response_may_stream_what_it_reads_of_the_request() {
    let echo = any(async |request: Request| Body::from_stream(request.into_body().into_data_stream()));
    let server = TestServer::start(Router::new().route("/", echo), no_limits()).await;
    let mut connection = server.connect().await;
    connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfirst").await;
    connection.read_until("first\r\n").await;
    connection.send("later").await;
    connection.read_until("later\r\n0\r\n\r\n").await;
    assert_eq!(connection.get("/").await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_not_http_is_answered_before_the_connection_is_closed() {
    let server = TestServer::start(router(), no_limits()).await;
    for (name, bytes) in [
        ("no method", b"\0\0\0\0\r\n\r\n".to_vec()),
        ("a huge header", format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(2 * MIB)).into_bytes()),
        ("too many headers", format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(100_000)).into_bytes()),
        ("a wrong length", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_vec()),
    ] {
        let mut connection = server.connect().await;
        connection.send(bytes).await;
        assert!(matches!(connection.response().await.status, 400 | 431), "{name}");
    }
}
