//! Whether a target does what it is measured for, and what its messages look like. Nothing is timed that has not passed.
//!
//! What the emulator sends here is what clients then expect, byte for byte, and what the floor says by heart.

use serde_json::{Value, json};

use crate::Result;
use crate::client::Client;
use crate::common::http::Connection;
use crate::message::{Numbered, TARGET, text};
use crate::service::{Service, To};
use crate::target::{Protocol, Target};

/// Starts `target`, sends one message to one client, and looks closely at it.
pub(crate) async fn message(target: &Target) -> Result<Numbered> {
    let wrong = |error| format!("{} is not measured, since it does not work: {error}", target.name);
    let message = look(target).await.map_err(wrong)?;
    Numbered::new(message)
}

/// Why the protocol of `target` is not spoken there, if it is not.
pub(crate) async fn refusal(target: &Target) -> Result<Option<String>> {
    let service = target.start()?;
    let mut caller = Connection::open(service.process.port).await?;
    Ok(client(&service, &mut caller, target.protocol).await.err().map(|error| error.to_string()))
}

async fn look(target: &Target) -> Result<Vec<u8>> {
    let service = target.start()?;
    let mut caller = Connection::open(service.process.port).await?;
    let mut client = client(&service, &mut caller, target.protocol).await?;
    let mut sending = service.sending(To::Everyone, &Numbered::new(text(0).into_bytes())?)?;
    let status = caller.ask(sending.with(0)).await?.status;
    if status != 202 {
        return Err(format!("a message was answered {status}").into());
    }
    let message = client.payload().await?;
    let is_right = match target.protocol {
        Protocol::Json => is_json(&message),
        Protocol::MessagePack => is_message_pack(&message),
    };
    is_right.then_some(message).ok_or_else(|| "a message was changed on the way".into())
}

async fn client(service: &Service, caller: &mut Connection, protocol: Protocol) -> Result<Client> {
    let upgrade = service.negotiate(caller, "user").await?;
    Client::connect(service.process.port, &upgrade, protocol).await
}

fn is_json(message: &[u8]) -> bool {
    let record =
        message.strip_suffix(b"\x1e").and_then(|record| serde_json::from_slice::<Value>(record).ok());
    record == Some(json!({ "type": 1, "target": TARGET, "arguments": [text(0)] }))
}

/// Contract: an Invocation of the SignalR hub protocol is its length, then an array that begins with 1, a map of headers, and an id,
/// which is nil; then come target and arguments.
fn is_message_pack(message: &[u8]) -> bool {
    // Between 128 and 16383 bytes, a length takes two: seven bits in each, the lower ones first.
    let [low, high, body @ ..] = message else { return false };
    let length = usize::from(low & 0x7f) | usize::from(*high) << 7;
    let begins = matches!(body, [0x95 | 0x96, 0x01, 0x80, 0xc0, ..]);
    let mut call = vec![0xa0 | TARGET.len() as u8];
    call.extend_from_slice(TARGET.as_bytes());
    // One argument: a string whose length takes two bytes.
    call.extend_from_slice(&[0x91, 0xda, 0x04, 0x00]);
    call.extend_from_slice(text(0).as_bytes());
    begins && length == body.len() && body[4..].starts_with(&call)
}
