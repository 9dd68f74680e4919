//! The reasons to stop: a signal, or the exit of the parent process.
//!
//! The Functions host usually kills its handler, so nothing may depend on a graceful stop. A handler that outlived its host would keep
//! the port from the next one.

use std::time::Duration;

use azure_http::CALL_TIMEOUT;

/// The interval of checks of the parent. The kernel's parent-death signal fires when the *thread* ends that started this process.
#[cfg(unix)]
const PARENT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The time that the export of telemetry has when the process ends.
pub const EXPORT_FLUSH_TIMEOUT: Duration = Duration::from_millis(300);

/// Why the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Ctrl-C, which a terminal sends to the Functions host too.
    Interrupt,
    /// A request to terminate this process.
    Terminate,
    /// The parent process has exited.
    ParentExited,
}

/// The time that requests under way have after a signal: the host still waits for their responses, for up to 30 seconds. It is that of one call
/// of a service, and a second for the rest.
const GRACE: Duration = CALL_TIMEOUT.saturating_add(Duration::from_secs(1));

/// The time that they have without a host: no response arrives anywhere, and the next host needs the port.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);

/// Resolves when requests under way have had their time to end, after `reason`. `parent_exited` shortens the time; it is not polled if it is the
/// reason.
pub async fn grace_ended(reason: StopReason, parent_exited: impl Future<Output = StopReason>) {
    if reason != StopReason::ParentExited && tokio::time::timeout(GRACE, parent_exited).await.is_err() {
        return;
    }
    tokio::time::sleep(ORPHAN_GRACE).await;
}

/// Resolves on Ctrl-C or a request to terminate.
///
/// On Unix the signals are caught from the call on, which needs a runtime: call it before the process listens.
pub fn signal() -> impl Future<Output = StopReason> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    async move {
        #[cfg(unix)]
        {
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
                return std::future::pending().await;
            };
            tokio::select! {
                _ = interrupt.recv() => StopReason::Interrupt,
                _ = terminate.recv() => StopReason::Terminate,
            }
        }
        #[cfg(not(unix))]
        match tokio::signal::ctrl_c().await {
            Ok(()) => StopReason::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Resolves when the parent process has exited. On Windows the host ends its handler itself.
///
/// The parent is that of the time of the call: call it before the process listens.
pub fn parent_exited() -> impl Future<Output = StopReason> {
    #[cfg(unix)]
    let parent = std::os::unix::process::parent_id();
    async move {
        #[cfg(unix)]
        {
            while std::os::unix::process::parent_id() == parent {
                tokio::time::sleep(PARENT_POLL_INTERVAL).await;
            }
            StopReason::ParentExited
        }
        #[cfg(not(unix))]
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_may_end_while_there_is_a_host_that_waits_for_them() {
        use StopReason::{Interrupt, ParentExited, Terminate};
        let after = async |reason, parent_exited: Option<u64>| {
            let start = Instant::now();
            let parent_exited = async {
                match parent_exited {
                    Some(seconds) => sleep(Duration::from_secs(seconds)).await,
                    None => pending().await,
                }
                ParentExited
            };
            grace_ended(reason, parent_exited).await;
            start.elapsed().as_millis()
        };
        for reason in [Interrupt, Terminate] {
            assert_eq!(after(reason, None).await, 11_000, "{reason:?}");
            assert_eq!(after(reason, Some(2)).await, 2_500, "{reason:?}");
        }
        let start = Instant::now();
        grace_ended(ParentExited, ready(ParentExited)).await;
        assert_eq!(start.elapsed().as_millis(), 500);
    }
}
