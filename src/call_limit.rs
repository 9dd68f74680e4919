//! The limit of calls that run at the same time: a call beyond it is answered 503, before its body is read.
//!
//! A call holds its body, the message made of it and a request to the SignalR service. Without a limit, calls that wait for a slow service
//! use all memory of a small instance, and the operating system ends the process.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use tower::Service;

use crate::error::Error;

/// The most calls at a time. One with the largest body needs about 100 KiB, so that all need about 50 MiB. With the usual 20 ms of the
/// SignalR service, it is 25,000 calls per second.
const MAX_CALLS: usize = 512;

/// A service that runs a limited number of calls. Clones share the limit. Health checks (`GET /`) always run.
#[derive(Clone)]
pub(crate) struct CallLimit<S> {
    service: S,
    running: Arc<AtomicUsize>,
}

impl<S> CallLimit<S> {
    pub(crate) fn new(service: S) -> Self {
        Self { service, running: Arc::default() }
    }
}

impl<S> Service<Request> for CallLimit<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = LimitedCall<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> LimitedCall<S::Future> {
        let is_probe = request.uri().path() == "/" && matches!(*request.method(), Method::GET | Method::HEAD);
        let (running, guard) = Running::begin(&self.running);
        if running > MAX_CALLS && !is_probe {
            return LimitedCall::Rejected;
        }
        LimitedCall::Running(self.service.call(request), guard)
    }
}

/// Counts a call until it is dropped.
pub(crate) struct Running(Arc<AtomicUsize>);

impl Running {
    /// Returns the number of running calls, this one included.
    fn begin(running: &Arc<AtomicUsize>) -> (usize, Self) {
        (running.fetch_add(1, Relaxed) + 1, Self(running.clone()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A call: running, or rejected.
pub(crate) enum LimitedCall<F> {
    Running(F, #[expect(dead_code, reason = "dropped with the call")] Running),
    Rejected,
}

impl<F> Future for LimitedCall<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Running(call, _) => Pin::new(call).poll(context),
            Self::Rejected => Poll::Ready(Ok(Error::Overloaded.into_response())),
        }
    }
}
