//! What can be set of the upstream.

use std::path::PathBuf;
use std::time::Duration;

use super::Templates;

/// Where the events of clients are posted to, and how. Start from [`UpstreamOptions::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct UpstreamOptions {
    /// Which event goes where.
    pub templates: TemplateSource,

    /// How long one post may take in all, from the event to the last byte of the answer, waiting included.
    pub timeout: Duration,

    /// Most posts under way at a time, of all connections together.
    pub max_posts: usize,

    /// Most posts that wait for one of those to end. An event beyond them is not posted: whoever invoked something is
    /// told so, everything else is dropped and logged.
    pub max_waiting_posts: usize,
}

/// Where templates come from.
#[derive(Debug, Clone)]
pub enum TemplateSource {
    /// A settings file as the official emulator has it, read again when it changes. It need not be there yet; while
    /// it is missing there is no upstream, and while it is broken the last good one stays.
    File(PathBuf),
    /// Templates that never change.
    Fixed(Templates),
}

impl UpstreamOptions {
    /// Posts by these templates: 100 s for each, 64 at a time, 16384 waiting.
    #[must_use]
    pub fn new(templates: TemplateSource) -> Self {
        Self {
            templates,
            // What the service gives its upstreams.
            timeout: Duration::from_secs(100),
            // More would only wait inside a Functions host instead of here.
            max_posts: 64,
            // A crowd that connects at once is not yet a reason to lose an event.
            max_waiting_posts: 16_384,
        }
    }
}
