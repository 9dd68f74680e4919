//! The floor: a handler that does no work. It says by heart what the real one said once, on the same HTTP library and runtime.
//!
//! What the handler costs above it is what the handler does: routes, identities, tokens, JSON, log lines. A message is still
//! published, with a token and a body that never change.

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

use crate::Result;
use crate::serve::{Body, answer, serve};

/// The variable with the answers, as JSON.
pub(crate) const RECORDING: &str = "FLOOR_RECORDING";

/// One negotiation and one message, as a handler answered and published them.
#[derive(Deserialize, Serialize)]
pub(crate) struct Recording {
    pub(crate) negotiated: String,
    pub(crate) sent: String,
    pub(crate) publish_to: String,
    pub(crate) authorization: String,
    pub(crate) invocation: String,
}

struct Floor {
    client: Client<HttpConnector, Body>,
    negotiated: Bytes,
    sent: Bytes,
    publish_to: Uri,
    authorization: HeaderValue,
    invocation: Bytes,
}

/// Runs the floor until the process is ended.
pub(crate) fn run() -> Result<String> {
    let recording: Recording = serde_json::from_str(&env::var(RECORDING)?)?;
    let port: u16 = env::var("FUNCTIONS_CUSTOMHANDLER_PORT")?.parse()?;
    let floor = Arc::new(Floor::new(recording)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let serving = serve(socket, move |request| {
            let floor = floor.clone();
            async move { floor.answer(request).await }
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
            sent: recording.sent.into(),
            publish_to: recording.publish_to.parse()?,
            authorization: recording.authorization.parse()?,
            invocation: recording.invocation.into(),
        })
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/" => answer(StatusCode::OK, "floor"),
            "/api/negotiate" => answer(StatusCode::OK, self.negotiated.clone()),
            "/api/messages" => match self.publish(request).await {
                Ok(status) => answer(status, self.sent.clone()),
                Err(_) => answer(StatusCode::BAD_GATEWAY, ""),
            },
            _ => answer(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn publish(
        &self,
        request: Request<Incoming>,
    ) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
        request.into_body().collect().await?;
        let mut publication = Request::new(Body::new(self.invocation.clone()));
        *publication.method_mut() = Method::POST;
        *publication.uri_mut() = self.publish_to.clone();
        publication.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        publication.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.client.request(publication).await?;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}
