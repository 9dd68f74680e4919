//! The program while thousands of sockets send nothing, send slowly or do not read: others are served as usual, and the sockets are
//! closed by the time-outs.
//!
//! The program is a process of its own, so that it and the test have a limit of open files each.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test; clippy exempts only functions marked as tests")]
#![expect(clippy::print_stdout, reason = "`make soak` shows what was measured")]

mod slow_peer;
#[path = "../conformance/support.rs"]
#[allow(dead_code, reason = "the conformance suite uses the rest")]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use test_support::process::Process;
use test_support::signalr_client::{Client, NegotiateResponse};
use tokio::sync::oneshot;

use slow_peer::SlowPeer;

/// The open files that are left for other than slow sockets.
const OTHER_OPEN_FILES: usize = 200;

/// How often the time of an exchange is measured.
const EXCHANGES: usize = 25;

/// A running emulator with its own limits, and what its clients need.
struct Program {
    _process: Process,
    port: u16,
    http: reqwest::Client,
}

impl Program {
    fn start() -> Self {
        let process = Process::start(Path::new(env!("CARGO_BIN_EXE_azure-signalr-emulator")), &["--port", "0"], &[]);
        process.out.line("ready");
        let connection = process.out.line("Endpoint=http://localhost:");
        let port = connection.split(['=', ':', ';']).find_map(|part| part.parse().ok()).unwrap();
        // Succeeds once in a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Each request opens a connection.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { _process: process, port, http }
    }

    /// A new client of the hub `chat`.
    async fn client(&self) -> Client {
        let url = format!("http://127.0.0.1:{}/client/?hub=chat", self.port).parse().unwrap();
        let access = NegotiateResponse { url, token: support::client_token(json!({})) };
        Client::connect(&access, &self.http).await
    }

    /// Sends a message to the hub `chat`.
    async fn broadcast(&self) {
        let path = "/api/hubs/chat/:send";
        let url = format!("http://127.0.0.1:{}{path}?api-version=2024-12-01", self.port);
        let token = support::token(json!({"aud": format!("http://localhost{path}")}));
        let request = self.http.post(url).bearer_auth(token).json(&json!({"target": "t", "arguments": ["x"]}));
        assert_eq!(request.send().await.unwrap().status(), 202);
    }

    /// The median time in which a new client negotiates, connects and receives a message. `listener` receives each of them, too.
    async fn exchange_time(&self, listener: &mut Client) -> Duration {
        let message = Some(json!({"type": 1, "target": "t", "arguments": ["x"]}));
        let mut times = Vec::new();
        for _ in 0..EXCHANGES {
            let start = Instant::now();
            let mut client = self.client().await;
            self.broadcast().await;
            assert_eq!(client.record().await, message);
            times.push(start.elapsed());
            assert_eq!(listener.record().await, message);
        }
        times.sort_unstable();
        times[EXCHANGES / 2]
    }
}

/// Opens `count` slow sockets of all kinds, and checks that others are served as usual. Returns the sockets.
async fn serve_others_beside(program: &Program, count: usize) -> Vec<SlowPeer> {
    let mut listener = program.client().await;
    let usual = program.exchange_time(&mut listener).await;
    let peers = slow_peer::open(program.port, count).await;
    let (stop, stopped) = oneshot::channel();
    let dripping = tokio::spawn(slow_peer::drip(peers, stopped));
    let beside = program.exchange_time(&mut listener).await;
    drop(stop);
    let peers = dripping.await.unwrap();
    assert!(!peers.iter().any(SlowPeer::is_closed));
    println!("one exchange took {usual:?}, and {beside:?} beside {count} slow sockets");
    assert!(beside < 3 * usual + Duration::from_millis(500), "{usual:?} became {beside:?}");
    peers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_slow_sockets_leave_others_served() {
    let program = Program::start();
    serve_others_beside(&program, 500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; `make soak` runs it"]
async fn ten_thousand_slow_sockets_leave_others_served_and_are_closed_in_time() {
    let allowed = max_open_files().saturating_sub(OTHER_OPEN_FILES);
    let count = 10_000.min(allowed);
    if count < 10_000 {
        println!("only {count} sockets, since the limit of open files is {}", max_open_files());
    }
    let program = Program::start();
    let peers = serve_others_beside(&program, count).await;
    slow_peer::check_time_outs(peers).await;
    let mut listener = program.client().await;
    program.exchange_time(&mut listener).await;
}

/// The soft limit of this process, which the program inherits.
fn max_open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX)
}
