//! Requests signed with a clock that differs from the service's, against the emulator.

use azure_communication::{Client, ErrorKind, Scope};
use azure_communication_emulator::{Emulator, Options};
use jiff::{SignedDuration, Timestamp};
use test_support::http::listen;

async fn client() -> Client {
    let emulator = Emulator::new(Options::default());
    let (listener, port) = listen().await;
    let connection = emulator.connection_string(&format!("http://127.0.0.1:{port}")).parse().unwrap();
    tokio::spawn(async move { emulator.serve(vec![listener], std::future::pending()).await });
    Client::new(&connection).unwrap()
}

fn clock(offset: i64) -> Timestamp {
    Timestamp::now().checked_add(SignedDuration::from_secs(offset)).unwrap()
}

#[tokio::test]
async fn requests_work_with_a_clock_that_is_minutes_off_in_either_direction() {
    let client = client().await;
    for offset in [0, 10, -10, 60, -60, 600, -600, 880, -880] {
        let issued = client.create_user_and_token(&Scope::CHAT.into(), clock(offset)).await;
        issued.unwrap_or_else(|error| panic!("{offset}: {error}"));
    }
}

#[tokio::test]
async fn a_clock_that_is_further_off_is_named_in_the_error() {
    let client = client().await;
    for (offset, direction) in [
        (1_000, "ahead of"),
        (3_600, "ahead of"),
        (86_400, "ahead of"),
        (315_360_000, "ahead of"),
        (-1_000, "behind"),
        (-3_600, "behind"),
        (-86_400, "behind"),
        (-315_360_000, "behind"),
    ] {
        let error = client.create_user(clock(offset)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{offset}");
        let text = error.to_string();
        let expected = ["answered 401", "the clock of this machine is", direction, "the server's; set it"];
        assert!(expected.iter().all(|part| text.contains(part)), "{offset}: {text}");
    }
}
