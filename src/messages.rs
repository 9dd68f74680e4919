//! `POST /api/messages`: validates a draft and publishes it as a message, to everyone or to one user.
//!
//! The sender is the authenticated caller: a `sender` in the body is ignored, like every unknown field.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use azure_signalr::{Hub, Recipient, UserId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::auth::{AuthConfig, Caller};
use crate::error::Error;
use crate::json_body::{JsonBody, body_error};
use crate::limits::Limits;

/// The client method that receives a message.
const TARGET: &str = "newMessage";
/// After trimming.
const MAX_TEXT_CHARS: usize = 4_096;
const MAX_NICKNAME_CHARS: usize = 64;
const MAX_ID_CHARS: usize = 64;

pub(crate) async fn send(
    State(hub): State<Hub>,
    Sender(caller): Sender,
    _: JsonBody,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Error> {
    let draft = Draft::parse(&body.map_err(|rejection| body_error(&rejection, Error::InvalidMessage))?)?;
    let now = SystemTime::now();
    let message = Message::new(draft, caller, now)?;
    let recipient = message.recipient.as_ref().map_or(Recipient::Everyone, Recipient::User);
    let invocation = azure_signalr::Message::new(TARGET, &[&message])?.idempotent();
    let sent = hub.send(recipient, &invocation, now).await?;
    // For the access log.
    Ok((StatusCode::ACCEPTED, Extension(sent), Json(message)))
}

/// A caller who may send a message now. As an extractor it counts the message, before its body is read: an invalid one counts too.
pub(crate) struct Sender(Caller);

impl<S> FromRequestParts<S> for Sender
where
    S: Send + Sync,
    AuthConfig: FromRef<S>,
    Limits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Limits::from_ref(state).check_message(&caller, Instant::now())?;
        Ok(Self(caller))
    }
}

/// The body of the request.
#[derive(Debug, PartialEq)]
struct Draft {
    text: String,
    recipient: Option<UserId>,
    id: Option<String>,
    /// Unvalidated: it counts only for guests.
    nickname: Value,
}

impl Draft {
    fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| Error::InvalidMessage("body", "must be a JSON object"))?;
        let mut take = |name| fields.remove(name).unwrap_or_default();
        Ok(Self {
            text: text(take("text"))?,
            recipient: recipient(take("recipient"))?,
            id: id(take("id"))?,
            nickname: take("nickname"),
        })
    }
}

fn text(value: Value) -> Result<String, Error> {
    const WRONG: Error =
        Error::InvalidMessage("text", "must be 1 to 4,096 characters, and no control characters but tab and line feed");
    let Value::String(text) = value else { return Err(WRONG) };
    let text = text.trim();
    let visible = !text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\n'));
    let right = visible && (1..=MAX_TEXT_CHARS).contains(&text.chars().count());
    right.then(|| text.to_owned()).ok_or(WRONG)
}

fn recipient(value: Value) -> Result<Option<UserId>, Error> {
    const WRONG: Error = Error::InvalidMessage("recipient", "must be a user id, or null for everyone");
    match value {
        Value::Null => Ok(None),
        Value::String(user) if user.is_empty() => Ok(None),
        Value::String(user) => user.parse().map(Some).map_err(|_| WRONG),
        _ => Err(WRONG),
    }
}

fn id(value: Value) -> Result<Option<String>, Error> {
    const WRONG: Error = Error::InvalidMessage("id", "must be 1 to 64 of A-Z, a-z, 0-9, _ and -");
    let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match value {
        Value::Null => Ok(None),
        Value::String(id) if (1..=MAX_ID_CHARS).contains(&id.len()) && plain(&id) => Ok(Some(id)),
        _ => Err(WRONG),
    }
}

fn nickname(value: Value) -> Result<Option<String>, Error> {
    const WRONG: Error = Error::InvalidMessage("nickname", "must be at most 64 characters, and no control characters");
    match value {
        Value::Null => Ok(None),
        Value::String(name) if name.contains(char::is_control) => Err(WRONG),
        Value::String(name) => match name.trim() {
            "" => Ok(None),
            name if name.chars().count() <= MAX_NICKNAME_CHARS => Ok(Some(name.to_owned())),
            _ => Err(WRONG),
        },
        _ => Err(WRONG),
    }
}

/// A message as clients receive it, and as the response repeats it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    /// Empty for a guest.
    #[serde(serialize_with = "user_or_empty")]
    sender: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    text: String,
    sent_at: String,
    #[serde(serialize_with = "user_or_empty", skip_serializing_if = "Option::is_none")]
    recipient: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_private: Option<bool>,
}

impl Message {
    fn new(draft: Draft, caller: Caller, now: SystemTime) -> Result<Self, Error> {
        let Draft { text, recipient, id, nickname: name } = draft;
        let (sender, nickname) = match caller {
            Caller::User(user) => (Some(user), None),
            Caller::Anonymous if recipient.is_some() => return Err(Error::Unauthenticated("write to one person")),
            Caller::Anonymous => (None, nickname(name)?),
        };
        Ok(Self {
            id: id.unwrap_or_else(|| time_ordered_id(now)),
            sender,
            nickname,
            text,
            sent_at: rfc_3339(now),
            is_private: recipient.is_some().then_some(true),
            recipient,
        })
    }
}

fn time_ordered_id(now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = uuid::Timestamp::from_unix(uuid::NoContext, now.as_secs(), now.subsec_nanos());
    Uuid::new_v7(now).to_string()
}

fn rfc_3339(time: SystemTime) -> String {
    format!("{:.3}", Timestamp::try_from(time).unwrap_or_default())
}

fn user_or_empty<S: serde::Serializer>(user: &Option<UserId>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(user.as_ref().map_or("", UserId::as_str))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn user(name: &str) -> Caller {
        Caller::User(name.parse().unwrap())
    }

    fn published(draft: &Value, caller: Caller) -> Result<Value, Error> {
        let draft = Draft::parse(draft.to_string().as_bytes())?;
        Ok(serde_json::to_value(Message::new(draft, caller, NOW + Duration::from_millis(1))?).unwrap())
    }

    /// The field for which a draft is rejected.
    fn rejected_field(draft: &Value) -> &'static str {
        match published(draft, Caller::Anonymous) {
            Err(Error::InvalidMessage(field, _)) => field,
            other => panic!("{draft} should be rejected, not {other:?}"),
        }
    }

    #[test]
    fn a_public_message_has_no_recipient_and_the_callers_own_name() {
        let draft = json!({"id": "a-1", "text": " hi ", "recipient": null, "sender": "root", "nickname": "root"});
        assert_eq!(
            published(&draft, user("ann")).unwrap(),
            json!({"id": "a-1", "sender": "ann", "text": "hi", "sentAt": "1970-01-01T00:00:00.001Z"})
        );
    }

    #[test]
    fn a_private_message_says_so() {
        let message = published(&json!({"text": "hi", "recipient": "bob"}), user("ann")).unwrap();
        assert_eq!((&message["recipient"], &message["isPrivate"]), (&json!("bob"), &json!(true)));
    }

    #[test]
    fn a_guest_has_a_nickname_at_most_and_writes_to_everyone_only() {
        let message = published(&json!({"text": "hi", "nickname": " Zoë "}), Caller::Anonymous).unwrap();
        assert_eq!((&message["sender"], &message["nickname"]), (&json!(""), &json!("Zoë")));
        let private = published(&json!({"text": "hi", "recipient": "bob"}), Caller::Anonymous);
        assert!(matches!(private, Err(Error::Unauthenticated(_))));
    }

    #[test]
    fn a_message_without_an_id_gets_one_that_sorts_by_time() {
        let [first, second] = [1, 2].map(|ms| time_ordered_id(NOW + Duration::from_millis(ms)));
        assert!(first < second);
    }

    #[test]
    fn each_field_has_its_limits() {
        for (draft, field) in [
            (json!([]), "body"),
            (json!("text"), "body"),
            (json!({}), "text"),
            (json!({"text": 7}), "text"),
            (json!({"text": null}), "text"),
            (json!({"text": " \n "}), "text"),
            (json!({"text": "a\u{7}b"}), "text"),
            (json!({"text": "a\r\nb"}), "text"),
            (json!({"text": "ä".repeat(4_097)}), "text"),
            (json!({"text": "a", "recipient": 7}), "recipient"),
            (json!({"text": "a", "recipient": ".."}), "recipient"),
            (json!({"text": "a", "recipient": "a\nb"}), "recipient"),
            (json!({"text": "a", "id": ""}), "id"),
            (json!({"text": "a", "id": 7}), "id"),
            (json!({"text": "a", "id": "a b"}), "id"),
            (json!({"text": "a", "id": "a".repeat(65)}), "id"),
            (json!({"text": "a", "nickname": 7}), "nickname"),
            (json!({"text": "a", "nickname": "a\nb"}), "nickname"),
            (json!({"text": "a", "nickname": "a".repeat(65)}), "nickname"),
        ] {
            assert_eq!(rejected_field(&draft), field, "{draft}");
        }
    }

    #[test]
    fn values_at_the_limits_are_accepted() {
        let draft =
            json!({"text": "😀".repeat(4_096), "id": "a".repeat(64), "nickname": "ä".repeat(64), "recipient": ""});
        let message = published(&draft, Caller::Anonymous).unwrap();
        assert_eq!(message["text"].as_str().unwrap().chars().count(), 4_096);
        published(&json!({"text": "a\tb\nc"}), user("ann")).unwrap();
    }

    #[test]
    fn case_35_a_body_that_is_not_json_is_rejected() {
        for body in [&b""[..], b"{", b"nonsense", b"{\"text\":\"\xff\"}", b"{\"text\":\"a\"}}"] {
            assert!(matches!(Draft::parse(body), Err(Error::InvalidMessage("body", _))));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(body: Vec<u8>) {
            let _ = Draft::parse(&body);
        }
    }
}
