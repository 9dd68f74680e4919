//! Azurite, the emulator of Azure Storage, behind a proxy that signs, counts and fails calls.
//!
//! Azurite answers 500 to Seal Blob under a shared access signature, and carries it out with the key of the account. So the proxy takes
//! requests with any signature, and replaces it by an `Authorization` header with the key.

use std::path::PathBuf;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::process::Process;
use crate::storage_proxy::StorageProxy;

/// The account of all tests.
pub const ACCOUNT: &str = "chathistory";
/// The query of the requests of the program under test, instead of a shared access signature.
pub const SAS: &str = "sv=2026-04-06&sr=c&sp=racwdl&se=2999-01-01T00%3A00%3A00Z&sig=SECRET-of-the-sas";
const KEY: [u8; 64] = [7; 64];

/// An Azurite of its own for one test, which keeps everything in memory. It slows down with what it holds.
pub struct Azurite {
    /// Between the program under test and Azurite.
    pub proxy: StorageProxy,
    port: u16,
    _process: Process,
}

impl Azurite {
    /// Starts it, with an empty container of this name.
    ///
    /// # Panics
    ///
    /// If the npm packages of `tests/e2e` are not installed.
    pub async fn start(container: &str) -> Self {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/e2e/node_modules/azurite"));
        let program = folder.join("dist/src/blob/main.js");
        assert!(program.exists(), "Azurite is not installed; run .ci/setup");
        let mut command = Command::new("node");
        // The API version of the client is newer than Azurite.
        let options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"];
        command.arg(program).args(options).args(["--blobPort", "0"]);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{}", STANDARD.encode(KEY)));
        let process = Process::spawn(&mut command);
        let started = tokio::task::block_in_place(|| process.out.line("successfully listens on"));
        let port = started
            .rsplit(':')
            .next()
            .and_then(|port| port.trim_matches(|char: char| !char.is_ascii_digit()).parse().ok());
        let port = port.unwrap();
        let proxy = StorageProxy::start(port, ACCOUNT, KEY.to_vec()).await;
        let created = proxy.client().put(format!("{}?restype=container", proxy.url(container))).send().await.unwrap();
        assert_eq!(created.status(), 201);
        proxy.take_counts();
        Self { proxy, port, _process: process }
    }

    /// Starts another proxy, with faults and counts of its own.
    pub async fn start_proxy(&self) -> StorageProxy {
        StorageProxy::start(self.port, ACCOUNT, KEY.to_vec()).await
    }
}
