//! How the Functions host starts, watches and ends its handler. A wrong exit code costs an app its restarts, or its life.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use crate::test_app::{House, KEY, Process, free_port, handler, handler_command, start_handler, until};

const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
const SIGNALR: &str = "AzureSignalRConnectionString";
const CONNECTION: &str = "Endpoint=https://example.service.signalr.net;AccessKey=hush;Version=1.0;";

#[tokio::test]
async fn case_1_it_listens_on_loopback_where_the_host_says() {
    let house = House::start();
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn case_2_the_older_name_of_the_port_is_enough() {
    let port = free_port();
    let _handler =
        start_handler(&[], &[("FUNCTIONS_HTTPWORKER_PORT", &port.to_string()), (SIGNALR, CONNECTION)]);
    until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
}

#[test]
fn case_3_a_port_that_is_none_ends_it_with_a_word_and_not_with_0() {
    for port in ["http", "0", "65536", "-1"] {
        let mut handler = start_handler(&[], &[(PORT, port), (SIGNALR, CONNECTION)]);
        assert_eq!(handler.end().code(), Some(78));
        assert!(handler.err.text().contains(PORT), "{}", handler.err.text());
    }
}

#[test]
fn every_wrong_setting_is_told_at_once_and_no_value_is() {
    let mut handler = start_handler(
        &[],
        &[(PORT, "hush"), (SIGNALR, "Endpoint=hush;AccessKey=hush"), ("ChatAllowAnonymous", "hush")],
    );
    assert_eq!(handler.end().code(), Some(78));
    let told = handler.err.text() + &handler.out.text();
    for name in [PORT, SIGNALR, "ChatAllowAnonymous"] {
        assert!(told.contains(name), "{told}");
    }
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn case_4_a_port_that_is_taken_ends_it_and_says_which() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut handler = start_handler(&[], &[(PORT, &port), (SIGNALR, CONNECTION)]);
    assert_eq!(handler.end().code(), Some(69));
    assert!(handler.err.text().contains(&port), "{}", handler.err.text());
}

#[test]
fn case_9_it_starts_from_any_folder() {
    let port = free_port();
    let folder = std::env::temp_dir();
    let mut command = handler_command(&[], &[(PORT, &port.to_string()), (SIGNALR, CONNECTION)]);
    command.current_dir(&folder).env("FUNCTIONS_APP_ROOT_PATH", &folder);
    let _handler = Process::spawn(&mut command);
    until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
}

#[test]
fn case_11_arguments_it_does_not_know_end_it_with_64() {
    for arguments in [&["--surprise"][..], &["surprise"], &["--api-port", "many"]] {
        let mut handler = start_handler(arguments, &[]);
        assert_eq!(handler.end().code(), Some(64), "{arguments:?}");
        assert!(!handler.err.text().is_empty());
    }
}

#[test]
fn behind_a_host_there_is_no_emulator_and_no_local_stack() {
    for arguments in [&["emulator"][..], &["--page-port", "0"]] {
        let mut handler =
            start_handler(arguments, &[(PORT, &free_port().to_string()), (SIGNALR, CONNECTION)]);
        assert_eq!(handler.end().code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn without_a_host_it_exits_with_64_and_says_in_one_sentence_what_to_run() {
    let mut handler = start_handler(&[], &[(SIGNALR, CONNECTION)]);
    assert_eq!(handler.end().code(), Some(64));
    let error = handler.err.text();
    assert!(
        error.contains("FUNCTIONS_CUSTOMHANDLER_PORT") && error.contains("cargo run --bin chat"),
        "{error}"
    );
    assert_eq!((error.lines().count(), handler.out.text().as_str()), (1, ""));
}

#[tokio::test]
async fn case_12_told_to_stop_it_leaves_with_0_even_with_a_connection_open() {
    for signal in ["INT", "TERM"] {
        let mut house = House::start();
        let _idle = TcpStream::connect((Ipv4Addr::LOCALHOST, house.port)).unwrap();
        assert_eq!(house.get("/").send().await.unwrap().status(), 200);
        house.handler.signal(signal);
        assert_eq!(house.handler.end().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn case_13_after_a_kill_the_next_one_gets_the_same_port_at_once() {
    let mut house = House::start();
    let _open = TcpStream::connect((Ipv4Addr::LOCALHOST, house.port)).unwrap();
    house.handler.signal("KILL");
    house.handler.end();
    let connection = format!("Endpoint=http://127.0.0.1:1;AccessKey={KEY};");
    house.handler = start_handler(&[], &[(PORT, &house.port.to_string()), (SIGNALR, &connection)]);
    let house = house.ready();
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
}

#[test]
fn case_16_it_does_not_outlive_its_host_not_even_one_that_is_killed_at_once() {
    let outlive = |port: u16| {
        // The shell is the host: it starts the handler and waits for it, until it is killed itself.
        let mut host = Command::new("sh");
        host.args(["-c", "\"$0\" & wait"]).arg(handler());
        host.env_clear().env("PATH", "/usr/bin:/bin").env(PORT, port.to_string()).env(SIGNALR, CONNECTION);
        let mut host = Process::spawn(&mut host);
        until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        host.child.kill().unwrap();
        host.child.wait().unwrap();
        until("the port to be free", || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    };
    // Many at once, so that some are killed the very moment their handler listens.
    let free = [(); 16].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let ports = free.map(|socket| socket.local_addr().unwrap().port());
    std::thread::scope(|scope| ports.map(|port| scope.spawn(move || outlive(port))).map(drop));
}
