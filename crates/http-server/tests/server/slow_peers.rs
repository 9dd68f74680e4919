//! Limits of time, and what they must not cut.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use futures_util::stream::{self, StreamExt as _};
use http_server::{BodyTimeout, Limits};
use hyper_util::rt::TokioIo;
use test_support::process::TEST_TIMEOUT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use crate::{SHORT, TestServer, no_limits};

/// Waits until a connection without a request has been closed, which takes the idle time-out.
async fn idle_timeout_of(server: &TestServer) {
    assert_eq!(server.connect().await.closed().await, "");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let router = Router::new().route("/", get(async || "here"));
    let server = TestServer::start(router, Limits { idle_timeout: SHORT, ..no_limits() }).await;
    idle_timeout_of(&server).await;
    let mut used = server.connect().await;
    assert_eq!(used.get("/").await.body, "here");
    assert_eq!(used.closed().await, "");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_not_waited_for() {
    let router = Router::new().route("/", get(async || "here").post(async || "here"));
    let server = TestServer::start(router, Limits { head_timeout: SHORT, ..no_limits() }).await;
    for begun in ["G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: h\r\n", "\r\n"] {
        let mut connection = server.connect().await;
        connection.send(begun).await;
        assert_eq!(connection.closed().await, "", "{begun:?}");
        // The same after a request, also one with a body, which is no head.
        let mut connection = server.connect().await;
        assert_eq!(connection.get("/").await.status, 200);
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody").await;
        assert_eq!(connection.response().await.status, 200);
        connection.send(begun).await;
        assert_eq!(connection.closed().await, "", "{begun:?}");
    }
}

#[tokio::test]
async fn the_time_for_a_head_does_not_count_while_there_is_no_request() {
    let router = Router::new().route("/", post(async |body: Bytes| body));
    let server = TestServer::start(router, Limits { head_timeout: SHORT, ..no_limits() }).await;
    let (mut unused, mut used) = (server.connect().await, server.connect().await);
    let request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
    used.send(request).await;
    assert_eq!(used.response().await.body, "body");
    let mut slow = server.connect().await;
    slow.send("P").await;
    slow.closed().await;
    for connection in [&mut unused, &mut used] {
        connection.send(request).await;
        assert_eq!(connection.response().await.body, "body");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408_and_the_connection_is_closed() {
    let read = async |request: Request| match axum::body::to_bytes(request.into_body(), 1_000).await {
        Err(error) if BodyTimeout::is_cause_of(&error) => StatusCode::REQUEST_TIMEOUT,
        Err(_) => StatusCode::BAD_REQUEST,
        Ok(_) => StatusCode::OK,
    };
    let server =
        TestServer::start(Router::new().route("/", post(read)), Limits { body_timeout: SHORT, ..no_limits() }).await;
    for begun in [
        "Content-Length: 10\r\n\r\n",
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nha",
        "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    ] {
        let mut connection = server.connect().await;
        connection.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{begun}")).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (408, true), "{begun:?}");
        assert_eq!(connection.closed().await, "", "{begun:?}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_response_is_cut() {
    let ended = Arc::new(Notify::new());
    let notify = ended.clone();
    let endless = get(async move || {
        let guard = NotifyOnDrop(notify);
        let block = Bytes::from(vec![0; 1 << 20]);
        Body::from_stream(stream::repeat_with(move || {
            let _ = &guard;
            Ok::<_, std::io::Error>(block.clone())
        }))
    });
    let server =
        TestServer::start(Router::new().route("/", endless), Limits { write_timeout: SHORT, ..no_limits() }).await;
    let mut stalled = server.connect().await;
    stalled.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    tokio::time::timeout(TEST_TIMEOUT, ended.notified()).await.unwrap();
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// All limits of time, as short as tests may wait for.
fn short_limits() -> Limits {
    Limits { head_timeout: SHORT, body_timeout: SHORT, idle_timeout: SHORT, write_timeout: SHORT, ..no_limits() }
}

#[tokio::test]
async fn event_streams_last_while_there_is_nothing_to_send() {
    let event = Arc::new(Notify::new());
    let notified = event.clone();
    let events = get(async move || {
        let events = stream::unfold(notified, async |notified| {
            notified.notified().await;
            Some((Ok::<_, std::io::Error>("data: event\n\n"), notified))
        });
        Body::from_stream(stream::once(async { Ok("data: begun\n\n") }).chain(events))
    });
    let server = TestServer::start(Router::new().route("/", events), short_limits()).await;
    let mut listener = server.connect().await;
    listener.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    listener.read_until("data: begun\n\n").await;
    for _ in 0..3 {
        idle_timeout_of(&server).await;
        event.notify_one();
        listener.read_until("data: event\n\n").await;
    }
}

#[tokio::test]
async fn a_service_may_take_longer_than_every_limit() {
    let released = Arc::new(Notify::new());
    let release = released.clone();
    let poll = post(async move |_: Bytes| {
        released.notified().await;
        "polled"
    });
    let server = TestServer::start(Router::new().route("/", poll), short_limits()).await;
    for body in ["", "body"] {
        let mut connection = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.send(head + body).await;
        idle_timeout_of(&server).await;
        release.notify_one();
        assert_eq!(connection.response().await.body, "polled");
    }
}

#[tokio::test]
async fn an_upgraded_connection_has_no_limits() {
    let upgrade = any(async |mut request: Request| {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut socket = TokioIo::new(upgraded.await.unwrap());
            let byte = socket.read_u8().await.unwrap();
            socket.write_u8(byte).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")])
    });
    let server = TestServer::start(Router::new().route("/", upgrade), short_limits()).await;
    let mut socket = server.connect().await;
    socket.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await;
    assert_eq!(socket.response().await.status, 101);
    idle_timeout_of(&server).await;
    socket.send("x").await;
    assert_eq!(socket.closed().await, "x");
}
