//! Serves one connection: reads requests, calls the service, discards unread bodies, and ends what takes too long.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tower::{Service, ServiceExt as _};

use crate::activity::{Activity, Leftover};
use crate::deadline::Deadline;
use crate::limits::Limits;
use crate::request_body::{RequestBody, discard};
use crate::response_body::{Call, ResponseBody};
use crate::socket::Socket;

/// How much of a request or a response a connection buffers. A longer head is answered 431; the Functions host sends at most 32 KiB.
const MAX_BUFFER_BYTES: usize = 64 * 1_024;

/// Serves `stream` until its peer closes it, a limit is exceeded, it becomes a WebSocket, or the server stops: when `stopping` changes,
/// the current call is the last one, and when its sender is dropped, the connection is closed at once.
pub(crate) async fn run<S, B>(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    service: S,
    limits: Arc<Limits>,
    mut stopping: watch::Receiver<()>,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let activity = Arc::new(Activity::default());
    let socket = Socket::new(stream, activity.clone(), permit);
    let service = {
        let (activity, limits) = (activity.clone(), limits.clone());
        service_fn(move |request| call(service.clone(), request, &activity, &limits))
    };
    let connection =
        http1::Builder::new().max_buf_size(MAX_BUFFER_BYTES).serve_connection(TokioIo::new(socket), service);
    let connection = connection.with_upgrades();
    let mut connection = pin!(connection);
    let mut deadline = Deadline::new(&limits);
    loop {
        let ended = poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending => deadline.poll(activity.wait(), &limits, context).map(|()| None),
        });
        tokio::select! {
            biased;
            ended = ended => {
                match ended {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::trace!("a connection failed: {error}"),
                    None => tracing::debug!("closed a connection whose peer was too slow: {:?}", activity.wait()),
                }
                return;
            }
            stopping = stopping.changed() => match stopping {
                Ok(()) => connection.as_mut().graceful_shutdown(),
                Err(_) => return,
            }
        }
    }
}

/// Calls `service`. Before its response is sent, the rest of the request body is read and discarded: the Functions host, and other
/// clients that read a response only after they have sent their whole body, would get an error instead of the response.
fn call<S, B>(
    service: S,
    request: Request<Incoming>,
    activity: &Arc<Activity>,
    limits: &Arc<Limits>,
) -> impl Future<Output = Result<Response<ResponseBody<B>>, Infallible>> + use<S, B>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
{
    let call = Call(activity.clone());
    let has_body = !request.body().is_end_stream();
    let request = request.map(|body| RequestBody::new(body, has_body, activity, limits));
    let limits = limits.clone();
    async move {
        let Ok(mut response) = service.oneshot(request).await;
        let leftover = if has_body { call.0.take_leftover() } else { Leftover::None };
        let is_body_over = match leftover {
            Leftover::None => true,
            Leftover::Body(body) => discard(body, &limits).await,
            Leftover::TimedOut => false,
        };
        if !is_body_over {
            call.0.give_up_body();
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| ResponseBody::new(body, call)))
    }
}
