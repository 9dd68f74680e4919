//! Handshakes that are rejected: the client gets the sentence of the service, and `/emulator/frames` says what to mend.

use std::time::Duration;

use azure_signalr_emulator::Options;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::control_client::{TestService, list, options, start};
use crate::support::{Client, client_token};

const MALFORMED: &str = "An unexpected error occurred during connection handshake.";

async fn open(service: &TestService) -> Client {
    service.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap()
}

/// The error that a client gets for its first frame.
async fn error(service: &TestService, first: Message) -> Value {
    let mut client = open(service).await;
    client.send_frame(first).await;
    let (messages, code) = client.receive_until_end().await;
    assert_eq!((messages.len(), code), (1, Some(1000)), "{messages:?}");
    messages[0]["error"].clone()
}

/// The recorded reasons, in order.
async fn reasons(service: &TestService) -> Vec<String> {
    let frames = list(service, "frames").await;
    let rejected = frames.iter().filter(|frame| frame.get("refusal").is_some());
    rejected
        .map(|frame| {
            assert_eq!((&frame["direction"], &frame["hub"]), (&json!("fromClient"), &json!("chat")), "{frame}");
            assert_eq!((frame.get("type"), frame.get("text")), (None, None), "{frame}");
            frame["refusal"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_rejected_handshake_is_listed_with_what_is_wrong_with_it() {
    let service = start().await;
    let text = |text: &str| Message::text([text, "\u{1e}"].concat());
    let cases = [
        (text(""), MALFORMED, "nothing before the first byte 0x1E"),
        (text(r#"{"version":1}"#), MALFORMED, "`protocol` is missing"),
        (text(r#"{"protocol":"json"}"#), MALFORMED, "`version` is missing"),
        (text(r#"{"Protocol":"json","Version":1}"#), MALFORMED, "another letter case"),
        (text(r#"{"type":6}"#), MALFORMED, "the first record is a hub message"),
        (text(r#"{"protocol":"json","version":"1"}"#), MALFORMED, "`version` is a text"),
        (text(r#""{\"protocol\":\"json\",\"version\":1}""#), MALFORMED, "stringified twice"),
        (text(r#"["json",1]"#), MALFORMED, "an array and must be a JSON object"),
        (text("protocol=json&version=1"), MALFORMED, "not JSON from line 1, column 1"),
        (text("{\"protocol\":\"json\",\"version\":1}\n{\"type\":6}"), MALFORMED, "goes on after its JSON object"),
        (Message::binary(&b"\x07\x82\xa4json\x01\x1e"[..]), MALFORMED, "is MessagePack"),
        (text(r#"{"protocol":"xml","version":1}"#), "The protocol 'xml' is not supported.", "ask for \"json\""),
        (
            text(r#"{"protocol":"json","version":3}"#),
            "The server does not support version 3 of the 'json' protocol.",
            "version 3 is not one of 0 to 2",
        ),
    ];
    for (sent, on_the_wire, _) in &cases {
        assert_eq!(error(&service, sent.clone()).await, *on_the_wire, "{sent:?}");
    }
    let reasons = reasons(&service).await;
    assert_eq!(reasons.len(), cases.len());
    for (reason, (sent, _, expected)) in reasons.iter().zip(&cases) {
        assert!(reason.contains(expected), "{sent:?}: {reason}");
    }
}

#[tokio::test]
async fn a_handshake_without_its_separator_is_listed_with_what_stands_in_its_place() {
    let handshake_timeout = Duration::from_secs(1);
    let service = TestService::with(Options { handshake_timeout, ..options() }).await;
    let cases = [
        ("", "nothing arrived in time"),
        (r#"{"protocol":"json","version":1}"#, "did not arrive in time: append"),
        ("{\"protocol\":\"json\",\"version\":1}\n", "but a line feed"),
        (r#"{"protocol":"json","version":1}\u001e"#, r"but the six characters \u001e"),
    ];
    let errors = join_all(cases.iter().map(|(sent, _)| error(&service, Message::text(*sent)))).await;
    assert!(errors.iter().all(|error| error == "Handshake was canceled."), "{errors:?}");
    let reasons = reasons(&service).await;
    assert_eq!(reasons.len(), cases.len());
    for (sent, expected) in cases {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{sent:?}: {reasons:?}");
    }
}
