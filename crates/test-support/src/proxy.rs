//! A reverse proxy to a server of the test, to change or record what passes.

use std::net::Ipv4Addr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;

/// Serves `router` on a free port of 127.0.0.1 until the test ends, and returns the port.
pub async fn serve(router: Router) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// Forwards every request to the server at `port` of 127.0.0.1, WebSockets included. The `Host` header stays the caller's.
pub fn proxy(port: u16) -> Router {
    Router::new().fallback(forward).with_state(port)
}

async fn forward(State(port): State<u16>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri = format!("http://127.0.0.1:{port}{path}").parse().unwrap();
    *request.uri_mut() = uri;
    let outside = hyper::upgrade::on(&mut request);
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let mut response = client.request(request).await.unwrap();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let inside = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (mut outside, mut inside) =
                (TokioIo::new(outside.await.unwrap()), TokioIo::new(inside.await.unwrap()));
            let _ = copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
    response.map(Body::new).into_response()
}
