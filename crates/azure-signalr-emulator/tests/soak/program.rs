//! [`Program`]: the emulator as a process, with the calls of its callers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use test_support::process::Process;
use tokio::time::{interval, timeout};

use crate::support::{client_token, token};

/// After the time-outs of the program for clients that are silent or away.
const EMPTY_AFTER: Duration = Duration::from_secs(60);

/// How often the state of the program is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Settings of the GNU allocator. By default it keeps much of what was freed at the peak, more or less of it by chance.
const RETURN_FREED_MEMORY: &[(&str, &str)] =
    &[("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "16384"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

pub(crate) struct Program {
    process: Process,
    pub(crate) port: u16,
    pub(crate) http: reqwest::Client,
}

impl Program {
    pub(crate) fn start() -> Self {
        let path = Path::new(env!("CARGO_BIN_EXE_azure-signalr-emulator"));
        let process = Process::start(path, &["--port", "0"], &[RETURN_FREED_MEMORY, &[("RUST_LOG", "warn")]].concat());
        process.out.line("ready");
        let connection = process.out.line("Endpoint=http://localhost:");
        let port = connection.split(['=', ':', ';']).find_map(|part| part.parse().ok()).unwrap();
        // Succeeds once in a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Each request opens a connection, so that none stays open.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { process, port, http }
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    /// Connection id and connection token of a new client.
    pub(crate) async fn negotiate(&self, is_resumable: bool) -> (String, String) {
        let query = format!("hub=chat&negotiateVersion=1&useStatefulReconnect={is_resumable}");
        let request =
            self.http.post(self.url(&format!("/client/negotiate?{query}"))).bearer_auth(client_token(json!({})));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        ["connectionId", "connectionToken"].map(|name| answer[name].as_str().unwrap().to_owned()).into()
    }

    /// A REST call for the hub `chat`.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Response {
        let path = format!("/api/hubs/chat/{path}");
        let token = token(json!({"aud": format!("http://localhost{path}")}));
        let url = self.url(&format!("{path}?api-version=2024-12-01"));
        self.http.request(method, url).bearer_auth(token).json(&body).send().await.unwrap()
    }

    /// Sends to all clients: a number or a word, and a text of so many bytes.
    pub(crate) async fn broadcast(&self, first: Value, bytes: usize) {
        let message = json!({"target": "all", "arguments": [first, "x".repeat(bytes)]});
        assert_eq!(self.call(Method::POST, ":send", message).await.status(), 202);
    }

    /// Calls the control API.
    pub(crate) async fn control(&self, path: &str, connection: &str) {
        let url = self.url(&format!("/emulator/connections/{path}"));
        self.http.post(url).json(&json!({"connection": connection})).send().await.unwrap();
    }

    /// Waits until there are no connections and no sockets of clients, and returns the number of open files.
    pub(crate) async fn wait_until_empty(&self) -> usize {
        let mut ticks = interval(POLL_INTERVAL);
        let empty = async {
            loop {
                ticks.tick().await;
                let answer = self.http.get(self.url("/emulator/connections")).send().await.unwrap();
                let (open, state): (_, Value) = (self.open_files(), answer.json().await.unwrap());
                if state["connections"] == json!([]) && open == self.open_files() {
                    return open;
                }
            }
        };
        timeout(EMPTY_AFTER, empty).await.expect("no connections")
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.child.id())).unwrap().count()
    }

    /// How much memory the program has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}
