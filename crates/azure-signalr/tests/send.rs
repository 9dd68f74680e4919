//! `Hub::send` against a service with scripted responses, over real sockets: errors, time-outs, broken connections.
//!
//! Successful calls are also tested against the emulator, with the handler.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use std::collections::VecDeque;
use std::iter::successors;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use azure_signalr::{Attempt, Error, Hub, Message, Recipient, SendReceipt};
use futures_util::future::join_all;
use test_support::http::serve_first_together;
use test_support::tcp_proxy::TcpProxy;
use tokio::net::TcpListener;

#[derive(Clone, Default)]
struct Script {
    responses: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

struct Call {
    uri: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A service that gives each request the next response, then 202.
async fn service(responses: &[(u16, &'static str)]) -> (Hub, Script) {
    async fn respond(State(script): State<Script>, request: Request) -> impl IntoResponse {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let call = Call { uri: head.uri.to_string(), headers: head.headers, body };
        script.calls.lock().unwrap().push(call);
        let (status, retry_after) = script.responses.lock().unwrap().pop_front().unwrap_or((202, ""));
        let headers = if retry_after.is_empty() { vec![] } else { vec![("retry-after", retry_after)] };
        (axum::http::StatusCode::from_u16(status).unwrap(), axum::response::AppendHeaders(headers))
    }
    let script = Script { responses: Arc::new(Mutex::new(responses.iter().copied().collect())), ..Script::default() };
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let hub = hub(socket.local_addr().unwrap().port());
    let app = axum::Router::new().fallback(respond).with_state(script.clone());
    tokio::spawn(async move { axum::serve(socket, app).await });
    (hub, script)
}

fn hub(port: u16) -> Hub {
    let connection = format!("Endpoint=http://127.0.0.1:{port};AccessKey=hush-key").parse().unwrap();
    Hub::new(&connection, &"chat".parse().unwrap()).unwrap()
}

async fn send(hub: &Hub, message: &Message) -> Result<SendReceipt, Error> {
    hub.send(Recipient::Everyone, message, SystemTime::now()).await
}

fn message() -> Message {
    Message::new("newMessage", &["hi"]).unwrap()
}

fn error_chain(error: &Error) -> String {
    let chain = successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    chain.map(|error| format!("{error:?} {error} ")).collect()
}

#[tokio::test]
async fn a_message_is_sent_as_the_service_expects_it() {
    let (hub, script) = service(&[]).await;
    let user = "a/b c".parse().unwrap();
    hub.send(Recipient::User(&user), &message(), SystemTime::now()).await.unwrap();
    let Call { uri, headers, body } = script.calls.lock().unwrap().remove(0);
    assert_eq!(uri, "/api/hubs/chat/users/a%2Fb%20c/:send?api-version=2022-06-01");
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer eyJ"));
    assert_eq!(body, br#"{"target":"newMessage","arguments":["hi"]}"#);
}

#[tokio::test]
async fn an_idempotent_message_is_sent_again_unchanged_after_a_5xx() {
    let (hub, script) = service(&[(500, ""), (502, ""), (408, "")]).await;
    send(&hub, &message().idempotent()).await.unwrap();
    let calls = script.calls.lock().unwrap();
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| call.body == calls[0].body));
}

#[tokio::test]
async fn a_receipt_and_an_error_list_the_attempts_without_names() {
    let (hub, _script) = service(&[(503, "")]).await;
    let user = "secret-user".parse().unwrap();
    let start = Instant::now();
    let sent = hub.send(Recipient::User(&user), &message().idempotent(), SystemTime::now()).await.unwrap();
    let all = start.elapsed();
    let statuses: Vec<_> = sent.attempts().iter().map(|one| (one.resend_count(), one.status())).collect();
    assert_eq!(statuses, [(0, Some(503)), (1, Some(202))]);
    assert!(sent.attempts().iter().all(|one| one.started() >= start && one.duration() <= all));
    assert!(sent.attempts().iter().all(|one| one.route() == "/api/hubs/{hub}/users/{user}/:send"));
    assert!(!format!("{sent:?}").contains("secret-user"));

    let (hub, _script) = service(&[(400, "")]).await;
    let error = send(&hub, &message()).await.unwrap_err();
    assert_eq!(error.attempts().iter().map(Attempt::status).collect::<Vec<_>>(), [Some(400)]);

    let away = self::hub(1);
    let error = send(&away, &message()).await.unwrap_err();
    assert_eq!(error.attempts().len(), 4);
    assert!(error.attempts().iter().all(|one| one.failure() == Some("unreachable")));
}

#[tokio::test]
async fn a_message_that_is_not_idempotent_is_not_sent_twice() {
    let (hub, script) = service(&[(503, "")]).await;
    let error = send(&hub, &message()).await.unwrap_err();
    assert_eq!((error.status(), error.is_retryable()), (Some(503), true));
    assert_eq!(script.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_the_service_asks() {
    let (hub, script) = service(&[(429, "1")]).await;
    let start = Instant::now();
    send(&hub, &message()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(script.calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_delay_longer_than_the_deadline_is_left_to_the_caller() {
    let (hub, script) = service(&[(429, "3600")]).await;
    let error = send(&hub, &message()).await.unwrap_err();
    assert_eq!((error.status(), error.retry_after()), (Some(429), Some(Duration::from_secs(3_600))));
    assert_eq!(script.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_delay_that_no_clock_can_hold_counts_as_a_day() {
    let (hub, _) = service(&[(429, "18446744073709551615")]).await;
    let error = send(&hub, &message()).await.unwrap_err();
    assert_eq!((error.status(), error.retry_after()), (Some(429), Some(Duration::from_secs(86_400))));
}

#[tokio::test]
async fn a_client_error_is_not_retried() {
    for status in [302, 400, 401, 404, 413] {
        let (hub, script) = service(&[(status, "")]).await;
        let error = send(&hub, &message().idempotent()).await.unwrap_err();
        assert_eq!((error.status(), error.is_retryable()), (Some(status), false));
        assert_eq!(script.calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_unreachable_service_is_an_error_of_its_own_without_secrets_in_it() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let hub = hub(socket.local_addr().unwrap().port());
    drop(socket);
    let error = send(&hub, &message()).await.unwrap_err();
    assert_eq!((error.status(), error.is_retryable(), error.is_timeout()), (None, true, false));
    let chain = error_chain(&error);
    assert!(!chain.contains("eyJ") && !chain.contains("hush-key") && !chain.contains("/api/hubs/chat"), "{chain}");
}

#[tokio::test]
async fn a_service_that_never_responds_is_given_up_after_ten_seconds() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let hub = hub(silent.local_addr().unwrap().port());
    let start = Instant::now();
    let error = send(&hub, &message().idempotent()).await.unwrap_err();
    assert!(error.is_timeout() && error.is_retryable());
    assert!(start.elapsed() >= Duration::from_secs(10));
    assert_eq!(error.attempts().len(), 3);
}

#[tokio::test]
async fn a_broken_connection_is_retried_only_for_an_idempotent_message() {
    async fn disconnecting() -> (Hub, Arc<Mutex<u32>>) {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let hub = hub(socket.local_addr().unwrap().port());
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = socket.accept().await {
                let _ = tokio::io::AsyncReadExt::read(&mut caller, &mut [0; 4_096]).await;
                *counted.lock().unwrap() += 1;
            }
        });
        (hub, calls)
    }
    let (hub, calls) = disconnecting().await;
    assert!(send(&hub, &message()).await.unwrap_err().is_retryable());
    assert_eq!(*calls.lock().unwrap(), 1);
    let (hub, calls) = disconnecting().await;
    send(&hub, &message().idempotent()).await.unwrap_err();
    assert_eq!(*calls.lock().unwrap(), 4);
}

#[tokio::test]
async fn dead_connections_cost_a_message_one_attempt_however_many_there_are() {
    let checks = [1, 2, 8].map(async |number| {
        let proxy = TcpProxy::start(serve_first_together(number).await).await;
        let (hub, message) = (hub(proxy.port()), message().idempotent());
        for sent in join_all((0..number).map(|_| send(&hub, &message))).await {
            assert_eq!(sent.unwrap().attempts().len(), 1);
        }
        proxy.swallow_open_connections();
        let sent = send(&hub, &message).await.unwrap();
        let outcomes: Vec<_> = sent.attempts().iter().map(|one| (one.status(), one.failure())).collect();
        assert_eq!(outcomes, [(None, Some("timed_out")), (Some(200), None)], "{number}");
        assert_eq!(proxy.connections(), number + 1);
        proxy.swallow_open_connections();
        assert!(hub.user_exists(&"ann".parse().unwrap(), SystemTime::now()).await.unwrap(), "{number}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_message_that_is_not_idempotent_is_sent_on_no_connection_that_may_be_dead() {
    let (hub, script) = service(&[]).await;
    let proxy = TcpProxy::start(hub.server().1).await;
    let hub = self::hub(proxy.port());
    send(&hub, &message().idempotent()).await.unwrap();
    proxy.swallow_open_connections();
    assert_eq!(send(&hub, &message()).await.unwrap().attempts().len(), 1);
    assert_eq!((script.calls.lock().unwrap().len(), proxy.connections()), (2, 2));
}
