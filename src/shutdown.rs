//! One future: it is time to stop.
//!
//! A courtesy, not a promise: the Functions host kills its handler without notice, so nothing may depend on this. What it does ensure
//! is that a handler does not outlive a host that was killed itself, and keep the port from the next one.

use std::time::Duration;

/// How often the parent is looked at. Asking the kernel to signal us instead would fire when the host's *thread* that started us ends.
#[cfg(unix)]
const PARENT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long everything gets once it is time.
pub const GRACE: Duration = Duration::from_millis(800);

/// The last part of that, for what is still to be exported. Calls under way get the rest, or all of it where nothing is exported.
pub const EXPORT_FLUSH_TIMEOUT: Duration = Duration::from_millis(300);

/// Resolves on Ctrl-C or a request to terminate.
///
/// On Unix these are caught from the call on, which needs a runtime: call it before anybody can see that we are up, or whoever stops us
/// just then kills us.
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

/// Resolves when the process that started us is gone. On Windows the host sees to that itself.
///
/// Who that is, is found out when this is called, not when it is first awaited: call it before anybody can see that we are up,
/// or a host that is killed just then is never missed.
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
