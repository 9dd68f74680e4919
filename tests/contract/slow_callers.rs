//! Tests of callers that are slow or many: time-outs, calls at the same time, and file descriptors.

use test_support::raw_http::{Form, RawConnection};

use crate::access_token::TestEnv;
use crate::scripted_service::ScriptedService;
use crate::test_app::{TestApp, api_error, wait_until};

const JSON: &str = "Content-Type: application/json\r\n";

/// Guests may send any number of messages.
const GUESTS: [(&str, &str); 2] = [("ChatAllowAnonymous", "true"), ("ChatMessageRate", "0")];

/// The headers of Easy Auth for a user of GitHub, beside their name.
const ANN: &str = "x-ms-client-principal-idp: github\r\nx-ms-client-principal-id: ann\r\n";

async fn connect(app: &TestApp) -> RawConnection {
    RawConnection::open(("127.0.0.1", app.port)).await
}

#[tokio::test]
async fn what_does_not_arrive_is_not_waited_for_and_a_connection_without_a_request_is_kept() {
    let app = TestApp::with_signalr(1, &GUESTS);
    let mut unused = connect(&app).await;
    let mut used = connect(&app).await;
    assert_eq!(used.get("/").await.status, 200);
    let (mut without_body, mut with_half) = (connect(&app).await, connect(&app).await);
    without_body.send(Form::Incomplete.request("POST", "/api/messages", JSON, 0)).await;
    with_half.send(Form::Incomplete.request("POST", "/api/messages", JSON, 30_000)).await;
    for begun in ["P", "POST /api/messages HTTP/1.1\r\nHost: h\r\n"] {
        let mut connection = connect(&app).await;
        connection.send(begun).await;
        assert_eq!(connection.closed().await, "", "{begun}");
    }
    for connection in [&mut without_body, &mut with_half] {
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (408, true));
        assert!(response.body.contains("request_timeout"), "{}", response.body);
        assert_eq!(connection.closed().await, "");
    }
    // The host keeps connections for a minute and must not find them closed.
    assert_eq!(unused.get("/").await.status, 200);
    assert_eq!(used.get("/").await.status, 200);
}

#[tokio::test]
async fn a_call_beyond_the_limit_is_503_with_retry_after_and_health_checks_are_answered() {
    let app = TestApp::with_signalr(1, &GUESTS);
    let mut calls = Vec::new();
    for _ in 0..512 {
        let mut connection = connect(&app).await;
        // The handler asks for the rest of the body as soon as the call runs.
        connection.send(Form::Expected.request("POST", "/api/messages", JSON, 1).split_last().unwrap().1).await;
        connection.read_until("100 Continue\r\n\r\n").await;
        calls.push(connection);
    }
    for form in [Form::Length, Form::Chunked, Form::Expected] {
        let mut connection = connect(&app).await;
        connection.send(form.request("POST", "/api/messages", JSON, 3_000_000)).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.closes()), (503, false), "{form:?}");
        assert!(response.head.contains("retry-after: ") && response.body.contains("unavailable"), "{response:?}");
    }
    let rejected = app.post("/api/negotiate").send().await.unwrap();
    assert_eq!(api_error(rejected).await, (503, "unavailable".to_owned()));
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
    for mut call in calls {
        call.send(" ").await;
        assert_eq!(call.response().await.status, 400);
    }
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn one_person_whose_bodies_are_slow_does_not_keep_others_out() {
    let env = TestEnv::start().await;
    let app = env.start_app(&[]);
    for path in ["/api/messages", "/api/access-token"] {
        let mut calls = Vec::new();
        for _ in 0..520 {
            let headers = format!("{JSON}x-ms-client-principal-name: ann\r\n{ANN}");
            let mut connection = connect(&app).await;
            connection.send(Form::Expected.request("POST", path, &headers, 1).split_last().unwrap().1).await;
            // The handler asks for the rest of a body that it reads, and for that of a request which it has rejected.
            connection.read_until("100 Continue\r\n\r\n").await;
            calls.push(connection);
        }
        let other = app.post("/api/negotiate").header("x-ms-client-principal-name", "bob").send().await.unwrap();
        assert_eq!(other.status(), 200, "{path}");
    }
}

/// Calls with large bodies that wait for the service, so that all their memory is in use at the same time.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_that_a_burst_has_freed_is_given_back() {
    let service = ScriptedService::held().await;
    let app = TestApp::with_signalr(service.port, &GUESTS);
    let status = format!("/proc/{}/status", app.process.child.id());
    let resident_kib = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
        resident.strip_suffix(" kB").unwrap().parse::<usize>().unwrap()
    };
    let body = serde_json::json!({ "text": "a".repeat(4_000), "ignored": "a".repeat(50_000) }).to_string();
    let head = format!("POST /api/messages HTTP/1.1\r\nHost: h\r\n{JSON}Content-Length: {}\r\n\r\n", body.len());
    let mut calls = Vec::new();
    for _ in 0..500 {
        let mut connection = connect(&app).await;
        connection.send([head.as_str(), &body].concat()).await;
        calls.push(connection);
    }
    service.release();
    for call in &mut calls {
        call.response().await;
    }
    let peak = resident_kib();
    drop(calls);
    // The connections to the service stay open for a while.
    wait_until("memory to be given back", || (resident_kib() < peak / 4 * 3).then_some(()));
}

#[cfg(unix)]
#[tokio::test]
async fn without_file_descriptors_it_warns_once_and_serves_again_when_there_are_some() {
    use std::net::TcpStream;

    use crate::test_app::{Process, free_port, handler_command};

    let port = free_port();
    let text = port.to_string();
    let command = handler_command(&[], &[("FUNCTIONS_CUSTOMHANDLER_PORT", &text), ("PATH", "/usr/bin:/bin")]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 40 && exec \"$0\""]).arg(command.get_program());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut handler = Process::spawn(&mut limited);
    wait_until("the handler to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    let connections: Vec<_> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    handler.out.line("no connection can be accepted");
    drop(connections);
    let mut connection = RawConnection::open(("127.0.0.1", port)).await;
    assert_eq!(connection.get("/").await.status, 200);
    handler.signal("TERM");
    handler.end();
    assert_eq!(handler.out.text().matches("no connection can be accepted").count(), 1);
}
