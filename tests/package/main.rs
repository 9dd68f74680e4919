//! Tests of the package that `make package` writes: its files and modes, and its handler in an empty root folder.
//!
//! A plain `cargo test` does not run them, since they need a package: `.ci/check` makes one first.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use std::fs::{self, File};
use std::future::pending;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use azure_signalr_emulator::{AccessKey, Emulator, Options};
use serde_json::{Value, json};
use test_support::http::{client, free_port, listen};
use test_support::process::{Process, wait_until};
use test_support::tls;
use zip::ZipArchive;

const MIB: u64 = 1 << 20;

/// `target/package/{name}`.
fn packaged(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/package").join(name);
    assert!(path.exists(), "run `make package` first");
    path
}

fn package() -> ZipArchive<File> {
    ZipArchive::new(File::open(packaged("handler.zip")).unwrap()).unwrap()
}

fn handler() -> Vec<u8> {
    let mut bytes = Vec::new();
    package().by_name("handler").unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_package_contains_exactly_the_files_the_host_reads() {
    let package = package();
    let mut names: Vec<_> = package.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "AccessToken/function.json", "Features/function.json", "History/function.json", "Me/function.json",
            "RemoveMessage/function.json", "RoomMember/function.json", "RoomMembers/function.json",
            "Rooms/function.json", "SendMessage/function.json", "SignalRInfo/function.json", "handler", "host.json",
            "negotiate/function.json"
        ]
    );
}

#[test]
fn the_handler_is_executable_and_the_other_files_are_readable() {
    let mut package = package();
    for index in 0..package.len() {
        let file = package.by_index(index).unwrap();
        let name = file.name().unwrap();
        let expected = if name == "handler" { 0o100_755 } else { 0o100_644 };
        assert_eq!(file.unix_mode(), Some(expected), "{name}");
    }
}

#[test]
fn the_package_has_fixed_time_stamps() {
    let mut package = package();
    for index in 0..package.len() {
        let file = package.by_index(index).unwrap();
        assert_eq!(file.last_modified().map(|time| time.year()), Some(1980), "{}", file.name().unwrap());
    }
}

/// Reads the ELF header: a dynamic executable has a segment of type 3 (`PT_INTERP`), which names its loader.
#[test]
fn the_handler_is_a_static_executable_for_linux_on_x86_64() {
    let elf = handler();
    let number =
        |at: usize, size: usize| elf[at..at + size].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "64 bits, little endian");
    assert_eq!(number(18, 2), 62, "x86-64");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<_> = (0..count).map(|segment| number(table + segment * size, 4)).collect();
    assert!(!kinds.contains(&3), "it needs a dynamic loader");
    assert!(kinds.contains(&1), "there is no segment to load");
}

#[test]
fn the_handler_is_small_and_contains_no_path_of_the_build_machine() {
    let elf = handler();
    assert!((elf.len() as u64) < 10 * MIB);
    let text = String::from_utf8_lossy(&elf);
    for path in [env!("CARGO_MANIFEST_DIR"), "/.cargo/registry", "/home/", "/root/"] {
        assert!(!text.contains(path), "{path}");
    }
}

/// The packaged handler, running with a root folder that contains nothing else: no libraries, certificates, `/etc` or `/proc`.
struct ChrootHandler {
    folder: PathBuf,
    _process: Process,
    port: u16,
}

impl ChrootHandler {
    fn start(connection: &str, roots: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("handler-chroot-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        fs::copy(packaged("handler"), folder.join("handler")).unwrap();
        let port = free_port();
        // In a user namespace, changing the root folder needs no privileges.
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--root"]).arg(&folder).arg("/handler").env_clear();
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("AzureSignalRConnectionString", connection)
            .env("ChatAllowAnonymous", "true")
            .env("AzureSignalRConnectionString__rootCertificates", roots);
        let handler = Self { folder, _process: Process::spawn(&mut command), port };
        wait_until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        handler
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let response = client().post(url).json(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

impl Drop for ChrootHandler {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_negotiates_and_sends_in_an_empty_root_folder() {
    let emulator = Emulator::new(Options { access_keys: vec![AccessKey::generate()], ..Options::default() });
    let (listener, port) = listen().await;
    // The connection string names `localhost`, which must resolve without /etc/hosts.
    let connection = emulator.connection_string(port);
    tokio::spawn(async move { emulator.serve(vec![listener], pending()).await });

    let handler = ChrootHandler::start(&connection, "");
    let (status, access) = handler.post("/api/negotiate", &Value::Null).await;
    assert_eq!(status, 200);
    assert!(access["url"].as_str().unwrap().starts_with("http://localhost:"));
    let (status, message) = handler.post("/api/messages", &json!({"text": "hi"})).await;
    assert_eq!((status, &message["text"]), (202, &json!("hi")), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unresolvable_service_name_is_reported_and_the_handler_keeps_running() {
    let connection = "Endpoint=https://example.service.signalr.invalid;AccessKey=k;Version=1.0;";
    let handler = ChrootHandler::start(connection, "");
    let (status, error) = handler.post("/api/messages", &json!({"text": "hi"})).await;
    assert!(matches!(status, 503 | 504), "{error}");
    assert_eq!(handler.post("/api/negotiate", &Value::Null).await.0, 200);
}

/// Starts an emulated service over TLS. Returns its connection string and its self-signed certificate.
async fn service_over_tls() -> (String, String) {
    let emulator = Emulator::new(Options { access_keys: vec![AccessKey::generate()], ..Options::default() });
    let (listener, port) = listen().await;
    let server = emulator.clone();
    tokio::spawn(async move { server.serve(vec![listener], pending()).await });
    let (port, certificate) = tls::terminate(port).await;
    (emulator.connection_string(port).replace("http://", "https://"), certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sends_over_tls_only_to_services_with_a_trusted_certificate() {
    let (connection, certificate) = service_over_tls().await;
    let message = json!({"text": "hi"});
    // In settings of a single line, line ends are written as `\n`.
    for roots in [certificate.clone(), certificate.replace('\n', "\\n")] {
        let handler = ChrootHandler::start(&connection, &roots);
        let (status, response) = handler.post("/api/messages", &message).await;
        assert_eq!(status, 202, "{response}");
    }
    let handler = ChrootHandler::start(&connection, "");
    let (status, response) = handler.post("/api/messages", &message).await;
    assert_eq!((status, &response["error"]["code"]), (503, &json!("unavailable")), "{response}");
}
