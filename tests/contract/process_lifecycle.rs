//! Tests of the handler's process: port, arguments, exit codes, signals, and the end of its host.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use serde_json::json;

use crate::scripted_service::ScriptedService;
use crate::test_app::{KEY, Process, TestApp, free_port, handler_command, handler_path, start_handler, wait_until};

const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
const WORKER_ID: &str = "FUNCTIONS_CUSTOMHANDLER_WORKER_ID";
const SIGNALR: &str = "AzureSignalRConnectionString";
const CONNECTION: &str = "Endpoint=https://example.service.signalr.net;AccessKey=hush;Version=1.0;";

#[tokio::test]
async fn it_listens_on_loopback_at_the_port_of_the_host() {
    let app = TestApp::start();
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_older_name_of_the_port_setting_works() {
    let port = free_port();
    let _handler = start_handler(&[], &[("FUNCTIONS_HTTPWORKER_PORT", &port.to_string()), (SIGNALR, CONNECTION)]);
    wait_until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
}

#[test]
fn an_invalid_port_exits_with_78_and_an_error() {
    for port in ["http", "0", "65536", "-1"] {
        let mut handler = start_handler(&[], &[(PORT, port), (SIGNALR, CONNECTION)]);
        assert_eq!(handler.end().code(), Some(78));
        assert!(handler.err.text().contains(PORT), "{}", handler.err.text());
    }
}

#[test]
fn all_invalid_settings_are_reported_at_once_without_their_values() {
    let mut handler = start_handler(
        &[],
        &[(PORT, "hush"), (SIGNALR, "Endpoint=hush;AccessKey=hush"), ("ChatAllowAnonymous", "hush")],
    );
    assert_eq!(handler.end().code(), Some(78));
    let output = handler.err.text() + &handler.out.text();
    for name in [PORT, SIGNALR, "ChatAllowAnonymous"] {
        assert!(output.contains(name), "{output}");
    }
    assert!(!output.contains("hush"), "{output}");
}

#[test]
fn a_port_in_use_exits_with_69_and_names_the_port() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut handler = start_handler(&[], &[(PORT, &port), (SIGNALR, CONNECTION)]);
    assert_eq!(handler.end().code(), Some(69));
    assert!(handler.err.text().contains(&port), "{}", handler.err.text());
}

#[test]
fn it_starts_from_any_folder() {
    let port = free_port();
    let folder = std::env::temp_dir();
    let mut command = handler_command(&[], &[(PORT, &port.to_string()), (SIGNALR, CONNECTION)]);
    command.current_dir(&folder).env("FUNCTIONS_APP_ROOT_PATH", &folder);
    let _handler = Process::spawn(&mut command);
    wait_until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
}

#[test]
fn unknown_arguments_exit_with_64() {
    for arguments in [&["--surprise"][..], &["surprise"], &["--api-port", "many"]] {
        let mut handler = start_handler(arguments, &[]);
        assert_eq!(handler.end().code(), Some(64), "{arguments:?}");
        assert!(!handler.err.text().is_empty());
    }
}

#[test]
fn arguments_of_the_local_stack_exit_with_64() {
    for arguments in [&["emulator"][..], &["--page-port", "0"]] {
        let mut handler = start_handler(arguments, &[(PORT, &free_port().to_string()), (SIGNALR, CONNECTION)]);
        assert_eq!(handler.end().code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn without_a_host_it_exits_with_64_and_says_in_one_sentence_what_to_run() {
    let mut handler = start_handler(&[], &[(SIGNALR, CONNECTION)]);
    assert_eq!(handler.end().code(), Some(64));
    let error = handler.err.text();
    assert!(error.contains("FUNCTIONS_CUSTOMHANDLER_PORT") && error.contains("cargo run --bin chat"), "{error}");
    assert_eq!((error.lines().count(), handler.out.text().as_str()), (1, ""));
}

#[tokio::test]
async fn a_signal_exits_with_0_even_with_an_open_connection() {
    for signal in ["INT", "TERM"] {
        let mut app = TestApp::start();
        let _idle = TcpStream::connect((Ipv4Addr::LOCALHOST, app.port)).unwrap();
        assert_eq!(app.get("/").send().await.unwrap().status(), 200);
        app.process.signal(signal);
        assert_eq!(app.process.end().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn behind_a_host_sigterm_exits_with_200_so_that_the_host_starts_it_again() {
    for (signal, code) in [("TERM", 200), ("INT", 0)] {
        let mut app = TestApp::with_signalr(1, &[(WORKER_ID, "5f0a6a0e-5e0c-4f7e-9a63-7d1d3c1f5a11")]);
        app.process.signal(signal);
        assert_eq!(app.process.end().code(), Some(code), "{signal}");
    }
    let mut unconfigured = TestApp::with_settings(&[(WORKER_ID, "5f0a6a0e-5e0c-4f7e-9a63-7d1d3c1f5a11")]);
    unconfigured.process.signal("TERM");
    assert_eq!(unconfigured.process.end().code(), Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_is_answered_before_the_end() {
    let mut service = ScriptedService::held().await;
    let mut app = TestApp::with_signalr(service.port, &[(WORKER_ID, "5f0a6a0e-5e0c-4f7e-9a63-7d1d3c1f5a11")]);
    let message = tokio::spawn(app.message(&json!({"text": "hi"})).send());
    service.next_call().await;
    app.process.signal("TERM");
    app.process.out.line("told to stop");
    wait_until("the port to be closed", || TcpStream::connect((Ipv4Addr::LOCALHOST, app.port)).err());
    service.release();
    assert_eq!(message.await.unwrap().unwrap().status(), 202);
    assert_eq!(app.process.end().code(), Some(200));
}

#[tokio::test]
async fn after_a_kill_the_same_port_is_free_at_once() {
    let mut app = TestApp::start();
    let _open = TcpStream::connect((Ipv4Addr::LOCALHOST, app.port)).unwrap();
    app.process.signal("KILL");
    app.process.end();
    let connection = format!("Endpoint=http://127.0.0.1:1;AccessKey={KEY};");
    app.process = start_handler(&[], &[(PORT, &app.port.to_string()), (SIGNALR, &connection)]);
    let app = app.wait_until_listening();
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
}

#[test]
fn it_exits_when_its_host_is_killed() {
    let kill_host = |port: u16| {
        // The shell acts as the host: it starts the handler and waits for it.
        let mut host = Command::new("sh");
        host.args(["-c", "\"$0\" & wait"]).arg(handler_path());
        host.env_clear().env("PATH", "/usr/bin:/bin").env(PORT, port.to_string()).env(SIGNALR, CONNECTION);
        let mut host = Process::spawn(&mut host);
        wait_until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        host.child.kill().unwrap();
        host.child.wait().unwrap();
        wait_until("the port to be free", || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    };
    // Many at once, so that some hosts are killed at the moment their handler listens.
    let listeners = [(); 16].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let ports = listeners.map(|socket| socket.local_addr().unwrap().port());
    std::thread::scope(|scope| ports.map(|port| scope.spawn(move || kill_host(port))).map(drop));
}
