//! Tests of `chat` as a process on free ports: here its addresses, options, exit codes and host names.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod access_tokens;
mod easy_auth;
mod emulator;
mod history;
mod me;
mod messages;
mod rooms;
mod sign_in_names;
mod slow_callers;
mod test_stack;

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

use reqwest::StatusCode;
use serde_json::{Value, json};

use test_support::http::{claims, client, free_port, send_many};
use test_support::process::{BadOutput, Process, wait_until};
use test_support::signalr_client::NegotiateResponse;

use crate::test_stack::{
    FREE_PORTS, KEY, OFFICIAL_KEY, PAGE, TestStack, chat_command, join, json_of, negotiate, port, start_chat,
};

const SIGNALR: &str = "AzureSignalRConnectionString";

/// The origins of the three servers, with a path that each answers without a token.
fn servers(stack: &TestStack) -> [(String, &'static str); 3] {
    [(stack.page(), "/"), (stack.api(), "/"), (stack.service(), "/api/health?api-version=2022-06-01")]
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[tokio::test]
async fn it_prints_every_address_and_the_connection_string_before_ready() {
    let stack = TestStack::start();
    let (page, api, service) = (stack.page(), stack.api(), stack.service());
    let ports = [&page, &api, &service].map(|origin| port(origin));
    assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2], "{ports:?}");
    let connection = stack.printed("connection").unwrap();
    assert_eq!(connection, format!("Endpoint={service};AccessKey={};Version=1.0;", stack.key()));
    assert_eq!(stack.printed("sign-in").unwrap(), format!("{api}/.auth/login/aad"));
    let out = stack.process.out.text();
    let ready = out.lines().position(|line| line.starts_with("ready")).unwrap();
    let printed = out.lines().position(|line| line.contains(&connection)).unwrap();
    assert!(printed < ready, "{out}");
    for (origin, path) in servers(&stack) {
        assert_eq!(stack.client.get(origin + path).send().await.unwrap().status(), 200);
    }
}

#[test]
fn a_taken_port_exits_with_69_and_names_the_port_and_the_option() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--page-port", "--api-port", "--signalr-port", "--communication-port"] {
        let arguments = FREE_PORTS.chunks(2).flat_map(|pair| match pair {
            [name, _] if *name == option => [option, &port],
            pair => [pair[0], pair[1]],
        });
        let arguments: Vec<_> = arguments.collect();
        let mut chat = start_chat(&arguments, &[]);
        assert_eq!(chat.end().code(), Some(69), "{option}");
        let printed = chat.err.text();
        assert!(printed.contains(&port) && printed.contains(option), "{printed}");
        assert!(!chat.out.text().contains("ready"));
    }
    let mut chat = start_chat(&["emulator", "--port", &port], &[]);
    assert_eq!(chat.end().code(), Some(69));
    assert!(chat.err.text().contains(&port) && chat.err.text().contains("--port"));
}

#[test]
fn a_port_taken_on_ipv6_alone_exits_with_69() {
    let Ok(taken) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    let port = taken.local_addr().unwrap().port().to_string();
    let mut chat = start_chat(&["emulator", "--port", &port], &[]);
    assert_eq!(chat.end().code(), Some(69));
}

#[test]
fn invalid_settings_exit_with_78_and_are_named_without_values() {
    let wrong = [
        (SIGNALR, "Endpoint=https://hush;AccessKey=hush;Version=hush"),
        ("AzureSignalRHubName", "1-hush"),
        ("ChatAllowAnonymous", "hush"),
    ];
    for arguments in [&FREE_PORTS[..], &["emulator", "--port", "0"]] {
        let mut chat = start_chat(arguments, &wrong);
        assert_eq!(chat.end().code(), Some(78));
        let printed = chat.err.text() + &chat.out.text();
        for (name, _) in wrong {
            assert!(printed.contains(name), "{name} in {printed}");
        }
        assert!(!printed.contains("hush") && !printed.contains("ready"), "{printed}");
    }
}

#[tokio::test]
async fn case_12_a_stop_signal_exits_with_0_and_lets_clients_reconnect() {
    for signal in ["TERM", "INT"] {
        let mut stack = TestStack::start();
        let mut client = join(&stack, None).await;
        let access = negotiate(&stack, None).await;
        let _half_open = access.open(access.socket().await, None).await.unwrap();
        let _idle = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&stack.api()))).unwrap();
        stack.process.signal(signal);
        assert_eq!(client.record().await, Some(json!({"type": 7, "allowReconnect": true})), "{signal}");
        assert_eq!(client.record().await, None);
        assert_eq!(stack.process.end().code(), Some(0), "{signal}");
        assert_eq!(stack.process.err.text(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_and_no_end_waits_for_an_output_that_takes_no_lines() {
    for (output, requests) in [(BadOutput::NeverRead, 3_200), (BadOutput::Closed, 320), (BadOutput::FullDisk, 320)] {
        let port = free_port();
        let text = port.to_string();
        let arguments = FREE_PORTS
            .chunks(2)
            .flat_map(|pair| if pair[0] == "--api-port" { [pair[0], &text] } else { [pair[0], pair[1]] });
        let mut command =
            chat_command(&arguments.collect::<Vec<_>>(), &[("ChatMessageRate", "0"), ("ChatHistory", "off")]);
        let (mut chat, _unread) = Process::spawn_with(command.current_dir(std::env::temp_dir()), output);
        wait_until("chat to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        let request = client().post(format!("http://127.0.0.1:{port}/api/negotiate"));
        assert_eq!(send_many(&request, requests).await, [(200, requests)].into(), "{output:?}");
        chat.signal("TERM");
        assert_eq!(chat.end().code(), Some(0), "{output:?}");
    }
}

#[test]
fn every_start_generates_a_new_key() {
    let keys = [TestStack::start().key(), TestStack::start().key()];
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        assert!(key != OFFICIAL_KEY && key.len() >= 43, "too short for 32 random bytes");
    }
}

#[tokio::test]
async fn the_emulator_uses_the_configured_key_or_that_of_the_official_emulator() {
    let setting = format!("Endpoint=http://localhost;Port=8888;AccessKey={KEY};Version=1.0;");
    for (variables, key) in [(&[(SIGNALR, setting.as_str())][..], KEY), (&[], OFFICIAL_KEY)] {
        let service = TestStack::with(&["emulator", "--port", "0"], variables);
        let address = service.service();
        assert_eq!(service.printed("connection").unwrap(), format!("Endpoint={address};AccessKey={key};Version=1.0;"));
        assert!(service.printed("page").is_none() && service.printed("functions").is_none());
        let health = service.client.get(address + "/api/health?api-version=2022-06-01").send().await;
        assert_eq!(health.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_configured_service_is_used_instead_of_the_embedded_one() {
    let setting = format!("Endpoint=https://chat.service.signalr.net;AccessKey={KEY};Version=1.0;");
    // The port of the embedded service is not bound, so it may be taken.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = ["--page-port", "0", "--api-port", "0", "--communication-port", "0", "--signalr-port", &port];
    let mut stack = TestStack::with(&arguments, &[(SIGNALR, &setting)]);
    assert!(stack.printed("connection").is_none());
    let body = json_of(stack.post("/api/negotiate")).await;
    assert_eq!(body["url"], "https://chat.service.signalr.net/client/?hub=chat");
    assert_eq!(claims(body["accessToken"].as_str().unwrap())["aud"], body["url"]);
    assert!(!stack.stop().contains(KEY));
}

#[tokio::test]
async fn requests_with_a_foreign_host_name_are_rejected() {
    let stack = TestStack::start();
    for (origin, path) in servers(&stack) {
        let port = port(&origin);
        for host in [
            format!("rebound.example:{port}"),
            format!("127.0.0.1.nip.io:{port}"),
            format!("localhost.example:{port}"),
            format!("localhost:{port}@rebound.example"),
            "192.168.0.1".to_owned(),
        ] {
            let request = stack.client.get(format!("{origin}{path}")).header("host", &host);
            let response = request.send().await.unwrap();
            assert!(matches!(response.status().as_u16(), 400 | 421), "{host}: {}", response.status());
            assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));
        }
    }
    let access = negotiate(&stack, None).await;
    let mut rebound = access.clone();
    rebound.url.set_host(Some("rebound.example")).unwrap();
    assert!(rebound.open(access.socket().await, None).await.is_err());
    assert!(access.open(access.socket().await, None).await.is_ok());
}

#[tokio::test]
async fn every_server_answers_to_every_loopback_name() {
    let stack = TestStack::start();
    for host in ["localhost", "127.0.0.1", "[::1]"].iter().filter(|host| **host != "[::1]" || has_ipv6()) {
        for (origin, path) in servers(&stack) {
            let url = format!("http://{host}:{}{path}", port(&origin));
            assert_eq!(stack.client.get(&url).send().await.unwrap().status(), 200, "{url}");
        }
        let negotiate = format!("http://{host}:{}/api/negotiate", port(&stack.api()));
        let origin = format!("http://{host}:{}", port(&stack.page()));
        let response = stack.client.post(negotiate).header("origin", &origin).send().await.unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], origin.as_str());
        let body: Value = response.json().await.unwrap();
        let mut access = NegotiateResponse {
            url: body["url"].as_str().unwrap().parse().unwrap(),
            token: body["accessToken"].as_str().unwrap().to_owned(),
        };
        access.url.set_host(Some(host)).unwrap();
        assert_eq!(access.negotiate(&stack.client).await.status(), StatusCode::OK, "{host}");
    }
}

#[test]
fn it_listens_on_loopback_only() {
    let stack = TestStack::start();
    for (origin, _) in servers(&stack) {
        let port = port(&origin);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        // A listener on all addresses would accept this one too.
        assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_err(), "{origin}");
    }
}

#[tokio::test]
async fn the_page_is_served_with_the_address_of_this_api() {
    let stack = TestStack::start();
    let page = stack.client.get(stack.page()).send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(page.text().await.unwrap(), PAGE);
    let config = json_of(stack.client.get(stack.page() + "/config.json")).await;
    assert_eq!(config, json!({"apiBaseUrl": stack.api(), "authProvider": "github"}));
}

#[test]
fn help_and_version_exit_with_0() {
    for argument in ["--help", "--version"] {
        let mut chat = start_chat(&[argument], &[]);
        assert_eq!(chat.end().code(), Some(0));
        assert!(chat.out.text().contains("chat"));
    }
}

#[test]
fn an_option_with_an_unusable_value_exits_with_64() {
    for arguments in [
        &["--surprise"][..],
        &["surprise"],
        &["--api-port", "many"],
        &["--allow-origin", "localhost:3000"],
        &["--allow-origin", "http://localhost:3000/app"],
        &["--allow-redirect", "http://localhost:3000/chat/?x"],
        &["--host", "chat.example:5500"],
    ] {
        let mut chat = start_chat(arguments, &[]);
        assert_eq!(chat.end().code(), Some(64), "{arguments:?}");
        assert!(!chat.err.text().is_empty());
    }
}

#[test]
fn behind_a_functions_host_it_exits_with_64() {
    for arguments in [&[][..], &["--anonymous-tokens"], &["emulator"]] {
        let variables = [("FUNCTIONS_CUSTOMHANDLER_PORT", "1"), (SIGNALR, "Endpoint=https://h;AccessKey=k")];
        let mut chat = start_chat(arguments, &variables);
        assert_eq!(chat.end().code(), Some(64), "{arguments:?}");
        assert!(chat.err.text().contains("`handler`"));
    }
}

#[tokio::test]
async fn an_allowed_origin_may_call_and_sign_in() {
    let other = "http://localhost:3000";
    let arguments = [&FREE_PORTS[..], &["--allow-origin", other]].concat();
    for (stack, is_allowed) in [(TestStack::start(), false), (TestStack::with(&arguments, &[]), true)] {
        let response = stack.post_as(None, "/api/negotiate").header("origin", other).send().await.unwrap();
        let allowed = response.headers().get("access-control-allow-origin");
        assert_eq!(allowed.map(|origin| origin.to_str().unwrap()), is_allowed.then_some(other));
        let sign_in = format!("{}/.auth/login/aad?post_login_redirect_url={other}/", stack.api());
        let form = stack.client.post(sign_in).header("origin", stack.api());
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let response = form.body("name=ann").send().await.unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        assert_eq!(location.starts_with(other), is_allowed, "{location}");
    }
}

#[tokio::test]
async fn a_page_in_a_folder_is_returned_to_if_its_address_is_allowed() {
    let folder = "http://localhost:3000/chat/";
    let arguments = [&FREE_PORTS[..], &["--allow-redirect", folder]].concat();
    for (stack, is_allowed) in [(TestStack::start(), false), (TestStack::with(&arguments, &[]), true)] {
        for (address, is_listed) in [(folder, true), ("http://localhost:3000/chat/index.html", false)] {
            let sign_in = format!("/.auth/login/aad?session_mode=token&post_login_redirect_url={address}");
            let response = easy_auth::submit(&stack, &sign_in, "ann").await;
            let goes_there = easy_auth::location(&response).starts_with(&format!("{folder}#token="));
            assert_eq!(goes_there, is_allowed && is_listed, "{address}");
        }
    }
}

#[tokio::test]
async fn an_allowed_host_name_is_answered() {
    let arguments = [&FREE_PORTS[..], &["--host", "chat.example"]].concat();
    for (stack, status) in [(TestStack::start(), 421), (TestStack::with(&arguments, &[]), 200)] {
        for (origin, path) in servers(&stack) {
            let host = format!("chat.example:{}", port(&origin));
            let response = stack.client.get(origin + path).header("host", host).send().await.unwrap();
            assert_eq!(response.status(), status);
        }
    }
}
