//! Checks that a target delivers a message correctly before it is measured, and records the bytes that clients then expect.

use serde_json::{Value, json};

use crate::client::{Client, NumberedMessage, Protocol, TARGET, text};
use crate::common::Result;
use crate::common::http::Connection;
use crate::target::{Recipient, Service, Target};

/// Starts `target`, sends one message to one client, checks it, and returns its bytes.
pub(crate) async fn check_message(target: &Target) -> Result<NumberedMessage> {
    let failed = |error| format!("{} fails the check before the measurement: {error}", target.name);
    let message = receive_message(target).await.map_err(failed)?;
    NumberedMessage::new(message)
}

/// The error if `target` does not support its hub protocol.
pub(crate) async fn protocol_error(target: &Target) -> Result<Option<String>> {
    let service = target.start()?;
    let mut caller = Connection::open(service.process.port).await?;
    Ok(connect(&service, &mut caller, target.protocol).await.err().map(|error| error.to_string()))
}

async fn receive_message(target: &Target) -> Result<Vec<u8>> {
    let service = target.start()?;
    let mut caller = Connection::open(service.process.port).await?;
    let mut client = connect(&service, &mut caller, target.protocol).await?;
    let mut request = service.send_request(Recipient::Everyone, &NumberedMessage::new(text(0).into_bytes())?)?;
    caller.send(request.with(0), 202).await?;
    let message = client.payload().await?;
    let is_correct = match target.protocol {
        Protocol::Json => is_json(&message),
        Protocol::MessagePack => is_message_pack(&message),
    };
    is_correct.then_some(message).ok_or_else(|| "a message was changed".into())
}

async fn connect(service: &Service, caller: &mut Connection, protocol: Protocol) -> Result<Client> {
    let upgrade = service.negotiate(caller, "user").await?;
    Client::connect(service.process.port, &upgrade, protocol).await
}

fn is_json(message: &[u8]) -> bool {
    let record = message.strip_suffix(b"\x1e").and_then(|record| serde_json::from_slice::<Value>(record).ok());
    record == Some(json!({ "type": 1, "target": TARGET, "arguments": [text(0)] }))
}

/// Specification: SignalR hub protocol, MessagePack encoding. An Invocation is its length and an array of 1, headers, a nil id, target and
/// arguments.
fn is_message_pack(message: &[u8]) -> bool {
    // A length of 128 to 16383 takes two bytes with seven bits each, the lower bits first.
    let [low, high, body @ ..] = message else { return false };
    let length = usize::from(low & 0x7f) | usize::from(*high) << 7;
    let has_prefix = matches!(body, [0x95 | 0x96, 0x01, 0x80, 0xc0, ..]);
    let mut rest = vec![0xa0 | TARGET.len() as u8];
    rest.extend_from_slice(TARGET.as_bytes());
    // One argument: a string with a length of two bytes.
    rest.extend_from_slice(&[0x91, 0xda, 0x04, 0x00]);
    rest.extend_from_slice(text(0).as_bytes());
    has_prefix && length == body.len() && body[4..].starts_with(&rest)
}
