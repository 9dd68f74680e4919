//! The package, as `make package` leaves it: what is in it, and that its handler needs nothing of the system it runs on.
//!
//! It is not run by a plain `cargo test`, since it takes a package: `.ci/check` makes one first.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod chroot;
#[path = "../package.rs"]
mod contents;

use std::path::{Path, PathBuf};

/// `target/package/{name}`.
fn packaged(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/package").join(name);
    assert!(path.exists(), "run `make package` first");
    path
}
