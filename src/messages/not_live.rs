//! Why a message that is in the history was not published.

use azure_signalr::Attempt;

/// The message is kept, and the SignalR service did not take it. In the extensions of the response, for the access log and telemetry.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotLive {
    /// The service failed.
    #[error(transparent)]
    Failed(azure_signalr::Error),
    /// The service did not answer in the time that the history had left.
    #[error("the SignalR service did not answer in time")]
    TimedOut,
}

impl NotLive {
    /// The requests that were made.
    pub(crate) fn attempts(&self) -> &[Attempt] {
        match self {
            Self::Failed(error) => error.attempts(),
            Self::TimedOut => &[],
        }
    }
}
