//! Turns the response of an upstream into the completion that its client awaits.

use bytes::Bytes;

use super::webhook_client::{Body, WebhookError, WebhookResponse};
use super::webhook_request::Invocation;
use crate::protocol::outgoing_message::{FramingError, parse_frame};
use crate::protocol::{ClientMessage, Frame, Protocol};

/// What a client gets for an invocation.
#[derive(Debug, PartialEq)]
pub(crate) enum Completion {
    /// Nothing: the client awaits no completion.
    NotAwaited,
    /// A completion without a result.
    Void,
    /// The frame of the upstream, unchanged: a completion of the invocation in the client's protocol.
    Framed(Frame),
    /// A completion with this error.
    Error(String),
}

impl Completion {
    /// The completion for a response. Every failure becomes an error, since the client would wait forever.
    pub(super) fn new(outcome: Result<WebhookResponse, WebhookError>, invocation: &Invocation<'_>) -> Self {
        let Some(invocation_id) = invocation.invocation_id else { return Self::NotAwaited };
        match outcome {
            Ok(WebhookResponse { status: 200, body }) => Self::from_body(body, invocation.protocol, invocation_id),
            Ok(WebhookResponse { status: 204, .. }) => Self::Void,
            Ok(WebhookResponse { status, .. }) => Self::failed_for_status(status),
            Err(WebhookError::QueueFull) => {
                Self::Error("Invocation failed, too many others are in the queue of the upstream.".to_owned())
            }
            // Azure has no other status for it.
            Err(_) => Self::failed_for_status(500),
        }
    }

    /// The completion for an invocation that no template matches.
    pub(super) fn unmatched(invocation: &Invocation<'_>, why: &str) -> Self {
        match invocation.invocation_id {
            Some(_) => Self::Error(format!("No upstream serves '{}': {why}.", invocation.target)),
            None => Self::NotAwaited,
        }
    }

    fn from_body(body: Body, protocol: Protocol, invocation_id: &str) -> Self {
        match body {
            Body::TooLarge => Self::Error("Invocation failed, response too large.".to_owned()),
            Body::Whole(body) if body.is_empty() => Self::Void,
            Body::Whole(body) => match parse(body, protocol, invocation_id) {
                Ok(frame) => Self::Framed(frame),
                Err(error) => Self::Error(format!(
                    "Invocation failed, the response of the upstream is not one completion of this invocation: {error}."
                )),
            },
        }
    }

    fn failed_for_status(status: u16) -> Self {
        Self::Error(format!("Invocation failed, status code {status}"))
    }
}

/// Why bytes are not a completion of an invocation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum CompletionError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("it is a message of another type")]
    OtherType,
    #[error("it is the completion of another invocation")]
    OtherInvocation,
}

/// Parses a body as one framed completion of the invocation.
fn parse(body: Bytes, protocol: Protocol, invocation_id: &str) -> Result<Frame, CompletionError> {
    match parse_frame(protocol, body)? {
        (frame, ClientMessage::Completion { id, .. }) if id == invocation_id => Ok(frame),
        (_, ClientMessage::Completion { .. }) => Err(CompletionError::OtherInvocation),
        _ => Err(CompletionError::OtherType),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const COMPLETION: &str = "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\u{1e}";

    fn message(invocation_id: Option<&str>) -> Invocation<'_> {
        Invocation { target: "Foo", invocation_id, protocol: Protocol::Json, forwarded: Bytes::new() }
    }

    fn answered(status: u16, body: &'static str) -> Result<WebhookResponse, WebhookError> {
        Ok(WebhookResponse { status, body: Body::Whole(body.into()) })
    }

    fn answer(outcome: Result<WebhookResponse, WebhookError>) -> Completion {
        Completion::new(outcome, &message(Some("1")))
    }

    fn failed(text: &str) -> Completion {
        Completion::Error(text.to_owned())
    }

    #[test]
    fn case_76_responses_mean_what_they_mean_in_azure() {
        assert_eq!(answer(answered(200, COMPLETION)), Completion::Framed(Frame::text(COMPLETION)));
        assert_eq!(answer(answered(200, "")), Completion::Void);
        assert_eq!(answer(answered(204, "")), Completion::Void);
        for status in [500, 404, 401, 302, 202] {
            let expected = failed(&format!("Invocation failed, status code {status}"));
            assert_eq!(answer(answered(status, COMPLETION)), expected);
        }
        let too_large = Ok(WebhookResponse { status: 200, body: Body::TooLarge });
        assert_eq!(answer(too_large), failed("Invocation failed, response too large."));
        assert_eq!(answer(Err(WebhookError::TimedOut)), failed("Invocation failed, status code 500"));
        let unreachable = WebhookError::Unreachable("Connection refused".to_owned());
        assert_eq!(answer(Err(unreachable)), failed("Invocation failed, status code 500"));
    }

    #[test]
    fn a_body_that_is_not_a_completion_is_an_error() {
        let Completion::Error(error) = answer(answered(200, "hello")) else { panic!("hello is not a completion") };
        assert!(error.contains("0x1E"), "{error}");
    }

    #[test]
    fn a_client_that_awaits_nothing_gets_nothing() {
        for outcome in
            [answered(200, COMPLETION), answered(500, ""), Err(WebhookError::TimedOut), Err(WebhookError::QueueFull)]
        {
            assert_eq!(Completion::new(outcome, &message(None)), Completion::NotAwaited);
        }
        assert_eq!(Completion::unmatched(&message(None), "why"), Completion::NotAwaited);
    }

    #[test]
    fn case_80_an_unmatched_invocation_is_an_error() {
        let answer = Completion::unmatched(&message(Some("1")), "no upstream is configured");
        assert_eq!(answer, failed("No upstream serves 'Foo': no upstream is configured."));
    }

    fn json(body: &str) -> Result<Frame, CompletionError> {
        parse(Bytes::copy_from_slice(body.as_bytes()), Protocol::Json, "1")
    }

    fn message_pack(body: &[u8]) -> Result<Frame, CompletionError> {
        parse(Bytes::copy_from_slice(body), Protocol::MessagePack, "1")
    }

    #[test]
    fn case_76_completions_in_json_are_accepted() {
        for body in [
            "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\x1e",
            "{\"type\":3,\"invocationId\":\"1\",\"result\":{\"deep\":[1,{}]},\"error\":null}\x1e",
            "{\"invocationId\":\"1\",\"error\":\"no\",\"type\":3}\x1e",
            "{\"headers\":{},\"type\":3,\"invocationId\":\"\\u0031\"}\x1e",
        ] {
            assert_eq!(json(body), Ok(Frame::text(body)), "{body}");
        }
    }

    #[test]
    fn other_json_is_rejected() {
        for body in [
            "{\"type\":3,\"invocationId\":\"1\"}",
            "hello",
            "hello\x1e",
            "{\"type\":3\x1e",
            "[3,\"1\",null,null]\x1e",
            "{}\x1e",
            "{\"type\":3}\x1e",
            "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"no\"}\x1e",
            "{\"type\":3,\"invocationId\":\"1\"}\x1e{\"type\":6}\x1e",
        ] {
            assert!(matches!(json(body), Err(CompletionError::Framing(_))), "{body}");
        }
        assert_eq!(json("{\"type\":1,\"target\":\"x\",\"arguments\":[]}\x1e"), Err(CompletionError::OtherType));
        assert_eq!(json("{\"type\":3,\"invocationId\":\"2\"}\x1e"), Err(CompletionError::OtherInvocation));
    }

    #[test]
    fn case_76_completions_in_message_pack_are_accepted() {
        for body in [
            &b"\x06\x94\x03\x80\xa1\x31\x02"[..],
            b"\x07\x95\x03\x80\xa1\x31\x03\x2a",
            b"\x09\x95\x03\x80\xa1\x31\x01\xa2\x6e\x6f",
        ] {
            assert_eq!(message_pack(body), Ok(Frame::binary(body)), "{body:02x?}");
        }
    }

    #[test]
    fn other_message_pack_is_rejected() {
        for body in [
            &b"\x94\x03\x80\xa1\x31\x02"[..],
            b"\xff\xff\xff\xff\xff\x01",
            b"\x07\x94\x03\x80\xa1\x31\x02",
            b"\x06\x94\x03\x80\xa1\x31\x02\x02\x91\x06",
            b"\x05hello",
            b"\x00",
            b"\x06\x94\x03\x80\xa1\x31\x03",
            b"\x06\x95\x03\x80\xa1\x31\x03",
            b"\x07\x95\x03\x80\xa1\x31\x01\x2a",
            b"\x0b\x95\x03\x80\xa1\x31\x03\xdd\xff\xff\xff\xff",
        ] {
            assert!(matches!(message_pack(body), Err(CompletionError::Framing(_))), "{body:02x?}");
        }
        assert_eq!(message_pack(b"\x02\x91\x06"), Err(CompletionError::OtherType));
        assert_eq!(message_pack(b"\x06\x94\x03\x80\xa1\x32\x02"), Err(CompletionError::OtherInvocation));
    }
}
