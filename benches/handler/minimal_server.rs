//! The floor: a server on the same HTTP library and runtime as the handler that sends recorded responses and does no other work.
//!
//! The difference to the handler is the cost of routing, identities, tokens, JSON and log lines. The floor publishes each message with a
//! recorded token and body.

use std::env;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::common::Result;
use crate::server::{Body, response, serve};

/// The environment variable with the recording, as JSON.
pub(crate) const RECORDING: &str = "FLOOR_RECORDING";

/// The responses of the handler to one negotiation and one message, and the request that published the message.
#[derive(Deserialize, Serialize)]
pub(crate) struct Recording {
    pub(crate) negotiated: String,
    pub(crate) message: String,
    pub(crate) publish_url: String,
    pub(crate) authorization: String,
    pub(crate) invocation: String,
}

struct Floor {
    client: Client<HttpConnector, Body>,
    negotiated: Bytes,
    message: Bytes,
    publish_url: Uri,
    authorization: HeaderValue,
    invocation: Bytes,
}

/// Runs the floor until the process is killed.
pub(crate) fn run() -> Result<String> {
    let recording: Recording = serde_json::from_str(&env::var(RECORDING)?)?;
    let port: u16 = env::var("FUNCTIONS_CUSTOMHANDLER_PORT")?.parse()?;
    let floor = Arc::new(Floor::new(recording)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let serving = serve(socket, move |request| {
            let floor = floor.clone();
            async move { floor.respond(request).await }
        });
        match serving.await? {}
    })
}

impl Floor {
    fn new(recording: Recording) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            negotiated: recording.negotiated.into(),
            message: recording.message.into(),
            publish_url: recording.publish_url.parse()?,
            authorization: recording.authorization.parse()?,
            invocation: recording.invocation.into(),
        })
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/" => response(StatusCode::OK, "floor"),
            "/api/negotiate" => response(StatusCode::OK, self.negotiated.clone()),
            "/api/messages" => match self.publish(request).await {
                Ok(status) => response(status, self.message.clone()),
                Err(_) => response(StatusCode::BAD_GATEWAY, ""),
            },
            _ => response(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn publish(
        &self,
        request: Request<Incoming>,
    ) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
        request.into_body().collect().await?;
        let mut publication = Request::new(Body::new(self.invocation.clone()));
        *publication.method_mut() = Method::POST;
        *publication.uri_mut() = self.publish_url.clone();
        publication.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        publication.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.client.request(publication).await?;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}
