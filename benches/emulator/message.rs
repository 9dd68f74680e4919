//! The message everybody gets, as bytes: the same every time but for its number.
//!
//! So a client can check every byte of it without reading JSON or MessagePack, and costs next to nothing.

use std::ops::Range;

use crate::Result;

/// Digits of the number a message carries.
const DIGITS: usize = 8;

/// How long the text of a message is, number included.
const TEXT: usize = 1_024;

/// The method that is called on clients.
pub(crate) const TARGET: &str = "newMessage";

/// The text that is sent with `number`.
pub(crate) fn text(number: u32) -> String {
    let mut text = format!("{number:0DIGITS$} ");
    text.extend("Good morning, everyone! ".chars().cycle().take(TEXT - text.len()));
    text
}

/// Bytes with a number in them.
#[derive(Clone)]
pub(crate) struct Numbered {
    bytes: Vec<u8>,
    digits: Range<usize>,
}

impl Numbered {
    /// `bytes` hold the [`text`] with number 0. Without it, or with more than one of it, they are an error.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        let text = text(0);
        let mut places = bytes.windows(TEXT).enumerate().filter(|(_, window)| *window == text.as_bytes());
        let (Some((place, _)), None) = (places.next(), places.next()) else {
            return Err("a message does not hold the text sent, or not once".into());
        };
        Ok(Self { digits: place..place + DIGITS, bytes })
    }

    /// The bytes with this number.
    pub(crate) fn with(&mut self, number: u32) -> &[u8] {
        let digits = format!("{number:0DIGITS$}");
        self.bytes[self.digits.clone()].copy_from_slice(digits.as_bytes());
        &self.bytes
    }

    /// All bytes, whatever the number.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number at the beginning of `received`, if that is this message, and what comes after it.
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
}
