//! The settings file of the service has its former content after a run, however the run ends.
//!
//! The service of these tests accepts connections and never responds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use azure_signalr_conformance::{Options, Outcome, UpstreamOptions, run};
use tokio::net::TcpListener;

use crate::{connection_string, connection_text, temporary_file};

const FORMER: &str = "// settings of a developer";

/// The time within which a change arrives.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What the suite writes in the case `upstream-templates`; before it, and in the other cases, there is only one template.
const OF_THE_CASE: &str = "/first/";

struct Service {
    port: u16,
    upstream_port: u16,
    settings_file: PathBuf,
    _listener: TcpListener,
}

impl Service {
    async fn start() -> Self {
        let settings_file = temporary_file();
        fs::write(&settings_file, FORMER).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (port, upstream_port) = (port(&listener), port(&upstream));
        Self { port, upstream_port, settings_file, _listener: listener }
    }

    fn options(&self) -> Options {
        let settings_file = Some(self.settings_file.clone());
        let upstream = UpstreamOptions { host: "localhost".to_owned(), port: self.upstream_port, settings_file };
        Options {
            cases: "upstream-templates".parse().unwrap(),
            upstream: Some(upstream),
            timeout: Duration::from_secs(1),
            ..Options::new(connection_string(self.port))
        }
    }

    /// The binary with the same options.
    fn command(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_signalr-conformance"))
            .args([
                "--case",
                "upstream-templates",
                "--timeout",
                "1",
                "--upstream-port",
                &self.upstream_port.to_string(),
            ])
            .arg("--upstream-settings")
            .arg(&self.settings_file)
            .env("AzureSignalRConnectionString", connection_text(self.port))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn content(&self) -> String {
        content(&self.settings_file)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.settings_file);
    }
}

fn content(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// Waits until the file has a content.
fn wait_for(file: &Path, what: &str, is_expected: impl Fn(&str) -> bool) {
    let start = Instant::now();
    while !is_expected(&content(file)) {
        assert!(start.elapsed() < TIMEOUT, "no {what} in {:?}", content(file));
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_restored_after_a_failure() {
    let service = Service::start().await;
    let report = run(service.options(), |_| ()).await.unwrap();
    assert!(matches!(report.cases[0].outcome, Outcome::Failed { .. }), "{report:?}");
    assert_eq!(service.content(), FORMER);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_restored_after_a_panic() {
    let service = Service::start().await;
    let (options, file) = (service.options(), service.settings_file.clone());
    let running = tokio::spawn(run(options, move |_| panic!("a panic of this test, with {}", content(&file))));
    let panic = running.await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    // Of the case nothing is left, of the run its own template.
    assert!(message.contains("UrlTemplate") && !message.contains(OF_THE_CASE), "{message}");
    assert_eq!(service.content(), FORMER);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_restored_when_the_run_is_dropped_within_a_case() {
    let service = Service::start().await;
    let running = tokio::spawn(run(service.options(), |_| ()));
    wait_for(&service.settings_file, "templates of the case", |text| text.contains(OF_THE_CASE));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // The task of the case ends a moment later.
    wait_for(&service.settings_file, "former content", |text| text == FORMER);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_restored_after_ctrl_c_and_sigterm() {
    for signal in ["INT", "TERM"] {
        let service = Service::start().await;
        let mut process = service.command();
        wait_for(&service.settings_file, "templates of the case", |text| text.contains(OF_THE_CASE));
        let sent = Command::new("kill").args(["-s", signal, &process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(process.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(service.content(), FORMER, "{signal}");
    }
}
