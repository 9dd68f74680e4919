//! The limit of connections.

use axum::Router;
use axum::routing::get;
use http_server::Limits;

use crate::{TestServer, no_limits};

#[tokio::test]
async fn connections_beyond_the_limit_are_served_when_others_end() {
    let router = Router::new().route("/", get(async || "here"));
    let server = TestServer::start(router, Limits { max_connections: 2, ..no_limits() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for connection in [&mut first, &mut second] {
        assert_eq!(connection.get("/").await.body, "here");
    }
    let mut third = server.connect().await;
    third.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    // The two others are served all the same.
    assert_eq!(first.get("/").await.body, "here");
    drop(first);
    assert_eq!(third.response().await.body, "here");
    assert_eq!(second.get("/").await.body, "here");
}
