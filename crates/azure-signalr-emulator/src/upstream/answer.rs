//! What an upstream's answer means to the client. Pure.
//!
//! Only who awaits an answer gets one. Whatever goes wrong, an invocation is completed: the client would wait for ever.

use super::completion;
use super::posting::{Answered, Body, Failure};
use super::request::Message;
use crate::protocol::{Frame, Protocol};

/// What the caller has to send to the client.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// Nothing: the client awaits no answer.
    Nothing,
    /// A completion of the invocation without a result.
    Void,
    /// This frame as it came: one completion of the invocation in the client's protocol.
    Completion(Frame),
    /// A completion of the invocation with this error.
    Failed(String),
}

impl Answer {
    /// What the answer to a post is worth to who sent the message.
    pub(super) fn of(outcome: Result<Answered, Failure>, message: &Message<'_>) -> Self {
        let Some(invocation_id) = message.invocation_id else { return Self::Nothing };
        match outcome {
            Ok(Answered { status: 200, body }) => Self::of_body(body, message.protocol, invocation_id),
            Ok(Answered { status: 204, .. }) => Self::Void,
            Ok(Answered { status, .. }) => Self::failed_with(status),
            Err(Failure::Busy) => {
                Self::Failed("Invocation failed, too many others are waiting for the upstream.".to_owned())
            }
            // The service has no better word for it.
            Err(_) => Self::failed_with(500),
        }
    }

    /// What becomes of a message that no template matches: `why` says what there is instead.
    pub(super) fn unmatched(message: &Message<'_>, why: &str) -> Self {
        match message.invocation_id {
            Some(_) => Self::Failed(format!("There is nobody to call '{}': {why}.", message.target)),
            None => Self::Nothing,
        }
    }

    fn of_body(body: Body, protocol: Protocol, invocation_id: &str) -> Self {
        match body {
            Body::TooLarge => Self::Failed("Invocation failed, response too large.".to_owned()),
            Body::Whole(body) if body.is_empty() => Self::Void,
            Body::Whole(body) => match completion::read(body, protocol, invocation_id) {
                Ok(frame) => Self::Completion(frame),
                Err(misfit) => Self::Failed(format!(
                    "Invocation failed, the upstream answered with something else than one completion of this invocation: {misfit}."
                )),
            },
        }
    }

    fn failed_with(status: u16) -> Self {
        Self::Failed(format!("Invocation failed, status code {status}"))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const COMPLETION: &str = "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\u{1e}";

    fn message(invocation_id: Option<&str>) -> Message<'_> {
        Message { target: "Foo", invocation_id, protocol: Protocol::Json, forwarded: Bytes::new() }
    }

    fn answered(status: u16, body: &'static str) -> Result<Answered, Failure> {
        Ok(Answered { status, body: Body::Whole(body.into()) })
    }

    fn answer(outcome: Result<Answered, Failure>) -> Answer {
        Answer::of(outcome, &message(Some("1")))
    }

    fn failed(text: &str) -> Answer {
        Answer::Failed(text.to_owned())
    }

    #[test]
    fn case_76_an_answer_means_what_the_service_makes_of_it() {
        assert_eq!(answer(answered(200, COMPLETION)), Answer::Completion(Frame::Text(COMPLETION.into())));
        assert_eq!(answer(answered(200, "")), Answer::Void);
        assert_eq!(answer(answered(204, "")), Answer::Void);
        for status in [500, 404, 401, 302, 202] {
            let expected = failed(&format!("Invocation failed, status code {status}"));
            assert_eq!(answer(answered(status, COMPLETION)), expected);
        }
        let too_large = Ok(Answered { status: 200, body: Body::TooLarge });
        assert_eq!(answer(too_large), failed("Invocation failed, response too large."));
        assert_eq!(answer(Err(Failure::TimedOut)), failed("Invocation failed, status code 500"));
        let unreachable = Failure::Unreachable("Connection refused".to_owned());
        assert_eq!(answer(Err(unreachable)), failed("Invocation failed, status code 500"));
    }

    #[test]
    fn a_body_that_is_no_completion_is_told_to_the_client() {
        let Answer::Failed(error) = answer(answered(200, "hello")) else { panic!("hello is no completion") };
        assert!(error.contains("0x1E"), "{error}");
    }

    #[test]
    fn who_awaits_nothing_gets_nothing() {
        for outcome in
            [answered(200, COMPLETION), answered(500, ""), Err(Failure::TimedOut), Err(Failure::Busy)]
        {
            assert_eq!(Answer::of(outcome, &message(None)), Answer::Nothing);
        }
        assert_eq!(Answer::unmatched(&message(None), "why"), Answer::Nothing);
    }

    #[test]
    fn case_80_who_invokes_what_nobody_serves_is_told() {
        let answer = Answer::unmatched(&message(Some("1")), "no upstream is configured");
        assert_eq!(answer, failed("There is nobody to call 'Foo': no upstream is configured."));
    }
}
