//! Gives memory that was freed back to the operating system.
//!
//! glibc keeps what lies between allocations that are still in use. After 3,000 calls at a time, with bodies of 49 KB, it kept 150 MB for
//! good. An instance is billed and killed by what its processes hold, not by what they use.

use std::convert::Infallible;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(10);

/// Resident memory at which it is worth looking, in KiB: several times that of an idle handler.
const THRESHOLD_KIB: usize = 32 * 1_024;

/// Gives freed memory back from time to time, for as long as it is polled. It needs Linux with glibc, and does nothing elsewhere.
pub async fn give_back_regularly() -> Infallible {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // The allocator is locked for some milliseconds: not in a thread that answers requests.
        let _ = tokio::task::spawn_blocking(|| {
            if resident_kib().is_some_and(|resident| resident > THRESHOLD_KIB) {
                give_back();
            }
        })
        .await;
    }
}

/// The resident memory of this process; `None` where it cannot be read.
fn resident_kib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no safe function of glibc or of a well-kept crate does this")]
fn give_back() {
    // SAFETY: `malloc_trim` may be called at any time and from any thread; it releases only memory that is not allocated.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}
