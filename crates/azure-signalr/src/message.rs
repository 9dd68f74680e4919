//! A message to clients, and its recipient.
//!
//! A message is serialised when it is made, so that each attempt to send it sends the same bytes.

use azure_http::Retry;
use serde::Serialize;

use crate::error::Error;
use crate::name::{GroupName, UserId};

/// The connections that get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient<'a> {
    /// Every client that is connected to the hub.
    Everyone,
    /// Every connection of one user; none, if that user is not connected.
    User(&'a UserId),
    /// Every connection in a group; none, if the group is empty.
    Group(&'a GroupName),
}

impl Recipient<'_> {
    /// The path of the REST operation, without names.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::Everyone => "/api/hubs/{hub}/:send",
            Self::User(_) => "/api/hubs/{hub}/users/{user}/:send",
            Self::Group(_) => "/api/hubs/{hub}/groups/{group}/:send",
        }
    }
}

/// An invocation: the method to call in the client, and its arguments.
///
/// ```
/// let message = azure_signalr::Message::new("newMessage", &["hi"])?;
/// # Ok::<(), azure_signalr::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    pub(crate) body: Vec<u8>,
    pub(crate) retry: Retry,
}

impl Message {
    /// A call of `target` with `arguments`.
    ///
    /// # Errors
    ///
    /// When an argument cannot be written as JSON.
    pub fn new<T: Serialize>(target: &str, arguments: &[T]) -> Result<Self, Error> {
        #[derive(Serialize)]
        struct Invocation<'a, T> {
            target: &'a str,
            arguments: &'a [T],
        }
        let body = serde_json::to_vec(&Invocation { target, arguments }).map_err(Error::unserialisable)?;
        Ok(Self { body, retry: Retry::Unsafe })
    }

    /// Declares that a client recognises a second copy of this message, for instance by an id in it. Then it is sent again even after a
    /// failure that leaves open whether it arrived.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.retry = Retry::Idempotent;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_body_the_service_wants() {
        let message = Message::new("newMessage", &[serde_json::json!({"text": "hi"})]).unwrap();
        assert_eq!(message.body, br#"{"target":"newMessage","arguments":[{"text":"hi"}]}"#);
        assert_eq!(message.retry, Retry::Unsafe);
    }
}
