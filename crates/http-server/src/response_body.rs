//! [`ResponseBody`]: the body of a response; when it is dropped, the call is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use crate::activity::Activity;

/// A body that reports its end.
pub(crate) struct ResponseBody<B> {
    body: B,
    _call: Call,
}

/// A call from its request to the end of its response.
pub(crate) struct Call(pub(crate) Arc<Activity>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.end_call();
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(body: B, call: Call) -> Self {
        Self { body, _call: call }
    }
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
