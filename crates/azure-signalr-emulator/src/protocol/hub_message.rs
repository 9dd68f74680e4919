//! What is wrong with bytes that are no hub message.
//!
//! It says where and what would be right, never what stood there: the words of a client belong in no log.

use std::fmt;

use super::Protocol;

/// A message grew over the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    /// In bytes.
    pub(super) limit: usize,
}

/// Bytes that are no message of the hub protocol they should be of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(super) protocol: Protocol,
    pub(super) fault: Fault,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    TooLong(TooLong),
    /// A length prefix of more than five bytes, or that claims more than any message may have.
    LengthPrefix,
    /// JSON is UTF-8; this byte, counted from 0, is not.
    NotUtf8 {
        byte: usize,
    },
    /// No JSON object, or one that has a property twice.
    NotJson {
        line: usize,
        column: usize,
    },
    /// A value claims more bytes or elements than there are.
    Truncated,
    /// A byte that MessagePack never uses.
    Reserved,
    /// No MessagePack array.
    NotAnArray,
    /// More bytes in the frame than its array has.
    Trailing,
    /// What this type of message must have.
    Missing(&'static str),
    /// What it has, but not like this.
    Wrong {
        property: &'static str,
        expected: &'static str,
    },
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message is longer than {} bytes", self.limit)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Fault::TooLong(too_long) = &self.fault {
            return too_long.fmt(f);
        }
        write!(f, "not a message of the {} hub protocol: {}", self.protocol.name(), self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(too_long) => too_long.fmt(f),
            Self::LengthPrefix => f.write_str("a length prefix is 1 to 5 bytes and at most 2147483647"),
            Self::NotUtf8 { byte } => write!(f, "byte {byte} is not UTF-8"),
            Self::NotJson { line, column } => {
                write!(f, "line {line}, column {column}: a JSON object is needed, with no property twice")
            }
            Self::Truncated => f.write_str("a value is longer than its frame"),
            Self::Reserved => f.write_str("no MessagePack value begins with the byte 0xC1"),
            Self::NotAnArray => f.write_str("it must be a MessagePack array"),
            Self::Trailing => f.write_str("the frame goes on after its array"),
            Self::Missing(property) => write!(f, "`{property}` is missing"),
            Self::Wrong { property, expected } => write!(f, "`{property}` must be {expected}"),
        }
    }
}
