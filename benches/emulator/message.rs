//! Numbered messages. They are compared byte by byte without parsing JSON: that would cost more than the target.

use std::ops::Range;

use serde_json::{Value, json};

use crate::common::Result;

/// The number of digits of a message number.
const NUMBER_BYTES: usize = 8;

/// Ends a JSON record, and the handshake.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// A ping of the service, which clients skip.
pub(crate) const PING: &[u8] = b"{\"type\":6}\x1e";

/// The target of the invocations.
const TARGET: &str = "newMessage";

/// The text of message 0, with `bytes` bytes.
fn text(bytes: usize) -> String {
    let mut text = format!("{:0NUMBER_BYTES$} ", 0);
    text.extend("Good morning, everyone! ".chars().cycle().take(bytes.saturating_sub(text.len())));
    text
}

/// The body of a REST call that sends message 0 with a text of `text_bytes` bytes.
pub(crate) fn rest_body(text_bytes: usize) -> String {
    json!({ "target": TARGET, "arguments": [text(text_bytes)] }).to_string()
}

/// The bytes of a message or request, in which only the number changes.
#[derive(Clone)]
pub(crate) struct NumberedMessage {
    bytes: Vec<u8>,
    digits: Range<usize>,
    text_bytes: usize,
}

impl NumberedMessage {
    /// Wraps `bytes`, which must contain the text of `text_bytes` bytes exactly once.
    pub(crate) fn new(bytes: Vec<u8>, text_bytes: usize) -> Result<Self> {
        let text = text(text_bytes);
        let mut places = bytes.windows(text_bytes).enumerate().filter(|(_, window)| *window == text.as_bytes());
        let (Some((place, _)), None) = (places.next(), places.next()) else {
            return Err("a message does not contain its text exactly once".into());
        };
        Ok(Self { digits: place..place + NUMBER_BYTES, bytes, text_bytes })
    }

    /// Wraps a record that a client of the JSON protocol has received, which must be an invocation with the text of `text_bytes` bytes.
    pub(crate) fn from_record(record: Vec<u8>, text_bytes: usize) -> Result<Self> {
        let value = record.strip_suffix(&[SEPARATOR]).and_then(|json| serde_json::from_slice::<Value>(json).ok());
        if value != Some(json!({ "type": 1, "target": TARGET, "arguments": [text(text_bytes)] })) {
            return Err("a message was changed".into());
        }
        Self::new(record, text_bytes)
    }

    /// The size of the text, including the number.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The bytes with `number`.
    pub(crate) fn with(&mut self, number: u32) -> &[u8] {
        let digits = format!("{number:0NUMBER_BYTES$}");
        self.bytes[self.digits.clone()].copy_from_slice(digits.as_bytes());
        &self.bytes
    }

    /// The bytes with the last number.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the message at the start of `received` and the rest, if it is this message.
    pub(crate) fn read<'a>(&self, received: &'a [u8]) -> Option<(u32, &'a [u8])> {
        let (message, rest) = received.split_at_checked(self.bytes.len())?;
        let Range { start, end } = self.digits;
        let is_same = message[..start] == self.bytes[..start] && message[end..] == self.bytes[end..];
        if !is_same {
            return None;
        }
        let number = str::from_utf8(&message[start..end]).ok()?.parse().ok()?;
        Some((number, rest))
    }

    /// Returns an error if `received` is not this message with `number`.
    pub(crate) fn check(&self, received: &[u8], number: u32) -> Result<()> {
        let is_expected = self.read(received).is_some_and(|(received, rest)| received == number && rest.is_empty());
        if is_expected { Ok(()) } else { Err(format!("message {number} was lost or changed").into()) }
    }
}
