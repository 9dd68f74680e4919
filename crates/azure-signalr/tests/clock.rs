//! Tokens made with a clock that differs from the service's, against an emulator that allows no difference of its own.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use std::time::{Duration, SystemTime};

use azure_http::{HttpClient, HttpOptions, Method, Request, Secret, parse_base_url};
use azure_signalr::{ClientIdentity, Error, Hub, Message, Recipient};
use azure_signalr_emulator::{Emulator, LoopbackListener, Options};

async fn hub() -> Hub {
    let emulator = Emulator::new(Options { clock_leeway: Duration::ZERO, ..Options::default() });
    let listener = LoopbackListener::bind(0).await.unwrap();
    let connection = emulator.connection_string(listener.port()).parse().unwrap();
    tokio::spawn(async move { emulator.serve(listener.into_listeners(), std::future::pending()).await });
    Hub::new(&connection, &"chat".parse().unwrap()).unwrap()
}

/// Sends a message with a clock that is `offset` seconds ahead.
async fn send(hub: &Hub, offset: i64) -> Result<(), Error> {
    hub.send(Recipient::Everyone, &Message::new("newMessage", &["hi"]).unwrap(), clock(offset)).await.map(drop)
}

/// The status for a client whose token was made with a clock that is `offset` seconds ahead.
async fn client_status(hub: &Hub, offset: i64) -> u16 {
    let access = hub.client_access(&ClientIdentity::anonymous(), clock(offset)).await.unwrap();
    let mut url = parse_base_url(&access.url.replace("/client/?hub=chat", "/client/negotiate")).unwrap();
    url.set_query(Some("hub=chat&negotiateVersion=1"));
    let mut request = Request::new(Method::POST, url);
    request.set_bearer(&Secret::new(access.access_token)).unwrap();
    HttpClient::new(&HttpOptions::default()).unwrap().send(request).await.unwrap().status()
}

fn clock(offset: i64) -> SystemTime {
    let now = SystemTime::now();
    let difference = Duration::from_secs(offset.unsigned_abs());
    if offset < 0 { now - difference } else { now + difference }
}

#[tokio::test]
async fn tokens_work_with_a_clock_that_is_a_minute_off_in_either_direction() {
    let hub = hub().await;
    for offset in [0, 1, -1, 10, -10, 60, -60, 240, -240, -600, -3_500] {
        send(&hub, offset).await.unwrap_or_else(|error| panic!("{offset}: {error}"));
        assert_eq!(client_status(&hub, offset).await, 200, "{offset}");
    }
}

#[tokio::test]
async fn a_clock_that_is_further_off_is_named_in_the_error() {
    let hub = hub().await;
    for (offset, direction) in [
        (600, "ahead of"),
        (3_600, "ahead of"),
        (86_400, "ahead of"),
        (10 * 365 * 86_400, "ahead of"),
        (-3_700, "behind"),
        (-86_400, "behind"),
        (-10 * 365 * 86_400, "behind"),
    ] {
        let error = send(&hub, offset).await.unwrap_err();
        assert_eq!((error.status(), error.is_retryable()), (Some(401), false), "{offset}");
        let text = error.to_string();
        let parts =
            ["the SignalR service answered 401", "the clock of this machine is", direction, "the server's; set it"];
        assert!(parts.iter().all(|part| text.contains(part)), "{offset}: {text}");
        assert_eq!(client_status(&hub, offset).await, 401, "{offset}");
    }
}

#[tokio::test]
async fn a_refusal_for_another_reason_does_not_name_the_clock() {
    let emulator = Emulator::new(Options::default());
    let listener = LoopbackListener::bind(0).await.unwrap();
    let connection = format!("Endpoint=http://localhost:{};AccessKey=another", listener.port());
    tokio::spawn(async move { emulator.serve(listener.into_listeners(), std::future::pending()).await });
    let hub = Hub::new(&connection.parse().unwrap(), &"chat".parse().unwrap()).unwrap();
    let error = send(&hub, 0).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(!error.to_string().contains("clock"), "{error}");
}
