//! The handler of the package, alone in an empty file system: no libraries, no certificates, no /etc, no /proc.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use azure_signalr_emulator::{AccessKey, Emulator, Options};
use serde_json::{Value, json};

use test_support::proxy::serve;
use test_support::tls;

use crate::packaged;

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with the handler in it and nothing else, and the handler running with that for its root.
struct Alone {
    folder: PathBuf,
    child: Child,
    port: u16,
}

impl Alone {
    fn start(connection: &str, roots: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("handler-alone-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        fs::copy(packaged("handler"), folder.join("handler")).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        // A user namespace makes this user root of nothing but the new root folder, so that the test needs no rights.
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--root"]).arg(&folder).arg("/handler").env_clear();
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("AzureSignalRConnectionString", connection)
            .env("AzureSignalRConnectionString__rootCertificates", roots);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let alone = Self { folder, child, port };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        alone
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        // Only the first test of a process has to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let response = client.post(url).json(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_negotiates_and_sends_with_nothing_around_it() {
    let emulator = Emulator::new(Options { access_keys: vec![AccessKey::generate()], ..Options::default() });
    let socket = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    // `localhost` has to be found without /etc/hosts.
    let connection = emulator.connection_string(socket.local_addr().unwrap().port());
    tokio::spawn(axum::serve(socket, emulator.router()).into_future());

    let handler = Alone::start(&connection, "");
    let (status, access) = handler.post("/api/negotiate", &Value::Null).await;
    assert_eq!(status, 200);
    assert!(access["url"].as_str().unwrap().starts_with("http://localhost:"));
    let (status, message) = handler.post("/api/messages", &json!({"text": "hi"})).await;
    assert_eq!((status, &message["text"]), (202, &json!("hi")), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_name_nobody_can_resolve_is_away_and_no_reason_to_die() {
    let nowhere = "Endpoint=https://example.service.signalr.invalid;AccessKey=k;Version=1.0;";
    let handler = Alone::start(nowhere, "");
    let (status, error) = handler.post("/api/messages", &json!({"text": "hi"})).await;
    assert!(matches!(status, 503 | 504), "{error}");
    assert_eq!(handler.post("/api/negotiate", &Value::Null).await.0, 200);
}

/// A service over TLS, with a certificate of an authority that nobody knows: its connection string and that authority's certificate.
async fn service_over_tls() -> (String, String) {
    let emulator = Emulator::new(Options { access_keys: vec![AccessKey::generate()], ..Options::default() });
    let (port, authority) = tls::terminate(serve(emulator.router()).await).await;
    (emulator.connection_string(port).replace("http://", "https://"), authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sends_over_tls_to_whom_it_was_told_to_trust_and_to_nobody_else() {
    let (connection, authority) = service_over_tls().await;
    let message = json!({"text": "hi"});
    // Settings that are single lines have the ends of lines written out.
    for roots in [authority.clone(), authority.replace('\n', "\\n")] {
        let trusting = Alone::start(&connection, &roots);
        let (status, answer) = trusting.post("/api/messages", &message).await;
        assert_eq!(status, 202, "{answer}");
    }
    let wary = Alone::start(&connection, "");
    let (status, answer) = wary.post("/api/messages", &message).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("unavailable")), "{answer}");
}
