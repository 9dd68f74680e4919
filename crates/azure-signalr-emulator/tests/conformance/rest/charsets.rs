//! JSON bodies with a byte-order mark or in UTF-16.

use reqwest::Method;
use serde_json::json;

use super::api;
use crate::support::TestService;

const BODY: &str = r#"{"target":"t","arguments":["é😀"]}"#;

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The status and the body of the response to a message for the hub `chat`.
async fn send(service: &TestService, content_type: &str, body: Vec<u8>) -> (u16, String) {
    let request = service.call(Method::POST, &api("hubs/chat/:send")).header("content-type", content_type);
    let response = request.body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn bodies_are_read_in_their_charset_and_with_a_byte_order_mark() {
    let (service, mut client) = TestService::with_client().await;
    for (content_type, body) in [
        ("application/json", format!("\u{feff}{BODY}").into_bytes()),
        ("application/json; charset=utf-8", format!("\u{feff}{BODY}").into_bytes()),
        ("application/json; charset=\"UTF-8\"", BODY.into()),
        ("application/json; charset=utf-16", utf16(BODY)),
        ("application/json; charset=utf-16", utf16(&format!("\u{feff}{BODY}"))),
        ("Application/JSON;Charset=UTF-16LE", utf16(BODY)),
    ] {
        assert_eq!(send(&service, content_type, body).await, (202, String::new()), "{content_type}");
        assert_eq!(client.receive_argument().await, "é😀", "{content_type}");
    }
}

#[tokio::test]
async fn a_charset_that_is_not_read_is_named() {
    let service = TestService::start().await;
    for (content_type, body, status, expected) in [
        ("application/json; charset=latin1", BODY.into(), 415, "latin1"),
        ("application/json; charset=utf-16be", utf16(BODY), 415, "utf-16be"),
        ("application/json; charset=utf-32", BODY.into(), 415, "utf-32"),
        ("application/json; charset=utf-16", BODY.into(), 400, "UTF-16"),
        ("application/json; charset=utf-16", utf16(BODY)[1..].into(), 400, "UTF-16"),
        ("application/json", utf16(BODY), 400, "not a message"),
    ] {
        let (answered, text) = send(&service, content_type, body).await;
        assert_eq!(answered, status, "{content_type}: {text}");
        assert!(text.contains(expected), "{content_type}: {text}");
    }
}

#[tokio::test]
async fn every_operation_with_a_json_body_reads_the_charset() {
    let (service, id, _client) = TestService::with_client_id().await;
    let commands = json!([{"type": "SendMessage", "message": {"target": "t"}}]).to_string();
    for (path, body, expected) in [
        ("/api/v1/hubs/chat".to_owned(), BODY, 202),
        ("/api/hubs/chat/groups/g/:send?api-version=2024-12-01".to_owned(), BODY, 202),
        ("/api/hubs/chat/:execute?api-version=2024-12-01".to_owned(), &commands, 202),
        (format!("/api/hubs/chat/connections/{id}/streams/s/:send?api-version=2024-12-01"), "[1]", 202),
        // The connection does not exist, which is found after the body has been read.
        ("/api/hubs/chat/connections/x/:invoke?api-version=2024-12-01".to_owned(), BODY, 404),
    ] {
        let post = |charset: &str, body: Vec<u8>| {
            let content_type = format!("application/json; charset={charset}");
            service.call(Method::POST, &path).header("content-type", content_type).body(body).send()
        };
        assert_eq!(post("utf-16", utf16(body)).await.unwrap().status(), expected, "{path}");
        assert_eq!(post("utf-8", format!("\u{feff}{body}").into()).await.unwrap().status(), expected, "{path}");
        assert_eq!(post("latin1", body.into()).await.unwrap().status(), 415, "{path}");
    }
}
