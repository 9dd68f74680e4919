//! [`Activity`]: what happens on a connection, as its socket and the bodies of its current call report it.
//!
//! All of them usually run in the task of the connection. Only a body that a service has moved elsewhere is used in another task.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;

/// What the connection waits for at the moment. The numbers tell a wait from the previous one of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The first byte of a request, after so many calls.
    Request(usize),
    /// The rest of the head of a request, after so many calls.
    Head(usize),
    /// The service, which has its own limits.
    Service,
    /// The peer, which has to read before more can be written, after so many writes.
    Reader(usize),
    /// The peer, which has to close its side.
    Close,
}

/// The body of the current call, from when its service has dropped it.
#[derive(Debug, Default)]
pub(crate) enum Leftover {
    /// The service has it still, or it was read to its end.
    #[default]
    None,
    /// It has not been read to its end.
    Body(Incoming),
    /// The peer has not sent it in time.
    TimedOut,
}

/// Shared by the parts of a connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    calls: AtomicUsize,
    is_in_call: AtomicBool,
    /// Whether bytes have arrived since the last call.
    has_received: AtomicBool,
    /// Whether the peer may still be sending a body that is not read any more.
    has_unread_body: AtomicBool,
    is_write_blocked: AtomicBool,
    writes: AtomicUsize,
    is_closing: AtomicBool,
    leftover: Mutex<Option<Leftover>>,
}

impl Activity {
    pub(crate) fn wait(&self) -> Wait {
        if self.is_closing.load(Relaxed) {
            Wait::Close
        } else if self.is_write_blocked.load(Relaxed) {
            Wait::Reader(self.writes.load(Relaxed))
        } else if self.is_in_call.load(Relaxed) {
            Wait::Service
        } else if self.has_received.load(Relaxed) {
            Wait::Head(self.calls.load(Relaxed))
        } else {
            Wait::Request(self.calls.load(Relaxed))
        }
    }

    /// A request has arrived, with or without a body.
    pub(crate) fn begin_call(&self, has_body: bool) {
        self.is_in_call.store(true, Relaxed);
        if has_body {
            *self.leftover() = Some(Leftover::None);
        }
    }

    /// The service has dropped the body of the request unread. It is kept only until [`take_leftover`](Self::take_leftover).
    pub(crate) fn keep(&self, body: Leftover) {
        if let Some(kept) = self.leftover().as_mut() {
            *kept = body;
        }
    }

    /// The service has responded.
    pub(crate) fn take_leftover(&self) -> Leftover {
        self.leftover().take().unwrap_or_default()
    }

    /// The rest of the body of the request will not be read.
    pub(crate) fn give_up_body(&self) {
        self.has_unread_body.store(true, Relaxed);
    }

    /// The response has been passed to the connection.
    pub(crate) fn end_call(&self) {
        self.calls.fetch_add(1, Relaxed);
        // That was the body. Of a next request that has arrived by now, the idle time-out counts.
        self.has_received.store(false, Relaxed);
        self.is_in_call.store(false, Relaxed);
    }

    pub(crate) fn received(&self) {
        self.has_received.store(true, Relaxed);
    }

    pub(crate) fn wrote(&self) {
        self.writes.fetch_add(1, Relaxed);
        self.is_write_blocked.store(false, Relaxed);
    }

    pub(crate) fn write_blocked(&self) {
        self.is_write_blocked.store(true, Relaxed);
    }

    /// The server closes its side.
    pub(crate) fn closing(&self) {
        self.is_closing.store(true, Relaxed);
    }

    /// Whether the peer may be sending what is not read any more: the rest of a body, or a request that is not valid HTTP.
    pub(crate) fn has_unread_input(&self) -> bool {
        self.has_received.load(Relaxed) || self.has_unread_body.load(Relaxed)
    }

    fn leftover(&self) -> MutexGuard<'_, Option<Leftover>> {
        self.leftover.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
