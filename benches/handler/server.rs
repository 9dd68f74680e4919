//! A stand-in for the REST API of Azure SignalR Service: it takes every message, counts it, and keeps the last.
//!
//! It believes every token; what it was given is for `check` to judge.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use tokio::net::TcpListener;

use crate::Result;
use crate::serve::{answer, serve};

/// Access key of the service here. Nothing but this run knows or takes it.
pub(crate) const KEY: &str = "the-access-key-of-a-service-that-is-not-there";

/// The service, on a thread of its own until the process ends.
pub(crate) struct Service {
    port: u16,
    inbox: Arc<Mutex<Inbox>>,
}

/// What has arrived.
#[derive(Clone, Default)]
pub(crate) struct Inbox {
    pub(crate) messages: u64,
    pub(crate) last: Option<(Parts, Bytes)>,
}

impl Service {
    /// Starts one on a free port.
    pub(crate) fn start() -> Result<Self> {
        let inbox = Arc::<Mutex<Inbox>>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = socket.local_addr()?.port();
        let taken = inbox.clone();
        thread::spawn(move || {
            let serving = serve(socket, move |request| {
                let inbox = taken.clone();
                async move { accept(request, &inbox).await }
            });
            // Should it end, the targets fail to publish, and that ends the run.
            drop(runtime.block_on(serving));
        });
        Ok(Self { port, inbox })
    }

    /// Its address, with a slash at the end.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// How handlers find it.
    pub(crate) fn connection_string(&self) -> String {
        format!("Endpoint={};AccessKey={};Version=1.0;", self.endpoint(), KEY)
    }

    /// What has arrived so far.
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(request: Request<Incoming>, inbox: &Mutex<Inbox>) -> hyper::Response<crate::serve::Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return answer(StatusCode::BAD_REQUEST, "") };
    let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
    inbox.messages += 1;
    inbox.last = Some((parts, body.to_bytes()));
    answer(StatusCode::ACCEPTED, "")
}
