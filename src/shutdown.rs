//! The reasons to stop: a signal, or the exit of the parent process.
//!
//! The Functions host usually kills its handler, so nothing may depend on a graceful stop. A handler that outlived its host would keep
//! the port from the next one.

use std::time::Duration;

/// The interval of checks of the parent. The kernel's parent-death signal fires when the *thread* ends that started this process.
#[cfg(unix)]
const PARENT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time from the reason to stop to the exit.
pub const GRACE: Duration = Duration::from_millis(800);

/// The part of [`GRACE`] for the export of telemetry; requests under way get the rest.
pub const EXPORT_FLUSH_TIMEOUT: Duration = Duration::from_millis(300);

/// Resolves on Ctrl-C or a request to terminate.
///
/// On Unix the signals are caught from the call on, which needs a runtime: call it before the process listens.
pub fn signal() -> impl Future<Output = ()> {
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
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Resolves when the parent process has exited. On Windows the host ends its handler itself.
///
/// The parent is that of the time of the call: call it before the process listens.
pub fn parent_exited() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let parent = std::os::unix::process::parent_id();
    async move {
        #[cfg(unix)]
        while std::os::unix::process::parent_id() == parent {
            tokio::time::sleep(PARENT_POLL_INTERVAL).await;
        }
        #[cfg(not(unix))]
        std::future::pending().await
    }
}
