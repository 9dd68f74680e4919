//! [`RequestBody`]: the body of a request, and what becomes of it when its service has not read it.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep, timeout};

use crate::activity::{Activity, Leftover};
use crate::limits::Limits;

/// The body of a request. It fails with [`BodyTimeout`] if it does not arrive in time, and with an error of hyper if it breaks off.
#[derive(Debug)]
pub struct RequestBody {
    /// `None` once it has ended.
    incoming: Option<Incoming>,
    /// Of the connection, if the request has a body.
    activity: Option<Arc<Activity>>,
    timeout: Duration,
    /// Set when the service first has to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The error of a request body that did not arrive in time. The response should be 408; the connection is closed after it.
#[derive(Debug)]
pub struct BodyTimeout;

impl BodyTimeout {
    /// Whether `error` or one of its causes is a `BodyTimeout`.
    pub fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        let mut error = Some(error);
        while let Some(current) = error {
            if current.is::<Self>() {
                return true;
            }
            error = current.source();
        }
        false
    }
}

impl fmt::Display for BodyTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request did not arrive in time")
    }
}

impl Error for BodyTimeout {}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, has_body: bool, activity: &Arc<Activity>, limits: &Limits) -> Self {
        activity.begin_call(has_body);
        let activity = has_body.then(|| activity.clone());
        Self { incoming: Some(incoming), activity, timeout: limits.body_timeout, timer: None }
    }

    fn time_out(&mut self) -> BodyTimeout {
        self.incoming = None;
        if let Some(activity) = &self.activity {
            activity.keep(Leftover::TimedOut);
        }
        BodyTimeout
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(Some(Err(error))) => {
                this.incoming = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.incoming = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(this.timeout)));
                timer.as_mut().poll(context).map(|()| Some(Err(this.time_out().into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let (Some(incoming), Some(activity)) = (self.incoming.take(), &self.activity)
            && !incoming.is_end_stream()
        {
            activity.keep(Leftover::Body(incoming));
        }
    }
}

/// Reads and discards `body`. Returns whether its end was reached within the limits.
pub(crate) async fn discard(mut body: Incoming, limits: &Limits) -> bool {
    let mut discarded = 0;
    let reading = async {
        while discarded <= limits.max_discarded_bytes {
            match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(frame)) => discarded += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => return true,
            }
        }
        false
    };
    timeout(limits.discard_timeout, reading).await.unwrap_or(false)
}
