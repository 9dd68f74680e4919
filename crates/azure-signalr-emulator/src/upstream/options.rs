//! [`UpstreamOptions`]: where events of clients are sent.

use std::path::PathBuf;
use std::time::Duration;

use super::templates::Templates;

/// Where events of clients are sent, and how. Start from [`UpstreamOptions::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct UpstreamOptions {
    /// Which event goes to which URL.
    pub templates: TemplateSource,

    /// How long a request may take, from the event to the last byte of the response, time in the queue included. Default: 100 s.
    pub timeout: Duration,

    /// Most requests at a time, of all connections together. Default: 64.
    pub max_requests: usize,

    /// Most requests in the queue. An event beyond them is dropped and logged; an invocation is completed with an error.
    /// Default: 16,384.
    pub max_queued_requests: usize,
}

/// The source of the upstream templates.
#[derive(Debug, Clone)]
pub enum TemplateSource {
    /// A settings file in a form of [`Templates`], read again when it changes. While it is missing there is no upstream; while it is
    /// invalid the last valid content stays in use. [`Emulator::new`](crate::Emulator::new) reads it for the first time, which blocks.
    File(PathBuf),
    /// Templates that never change.
    Fixed(Templates),
}

impl UpstreamOptions {
    /// Sends requests as these templates say: 100 s for each, 64 at a time, 16,384 in the queue.
    pub fn new(templates: TemplateSource) -> Self {
        Self {
            templates,
            // The time-out of Azure SignalR Service.
            timeout: Duration::from_secs(100),
            // More would only wait inside a Functions host instead of here.
            max_requests: 64,
            // Many clients that connect at once should not lose an event.
            max_queued_requests: 16_384,
        }
    }
}
