//! The end of the server.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::{TestServer, no_limits};

#[tokio::test]
async fn calls_in_progress_end_and_no_others_begin() {
    let (begun, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, release) = (begun.clone(), released.clone());
    let call = get(async move || {
        begin.notify_one();
        released.notified().await;
        "done"
    });
    let server = TestServer::start(Router::new().route("/", call), no_limits()).await;
    let (mut idle, mut calling) = (server.connect().await, server.connect().await);
    calling.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    begun.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(idle.closed().await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    release.notify_one();
    let response = calling.response().await;
    assert_eq!((response.body.as_str(), response.closes()), ("done", true));
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_future_closes_everything() {
    let never = get(async || std::future::pending::<&str>().await);
    let server = TestServer::start(Router::new().route("/", never), no_limits()).await;
    let (mut idle, mut calling) = (server.connect().await, server.connect().await);
    calling.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.serving.abort();
    assert_eq!(idle.closed().await + &calling.closed().await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
}
