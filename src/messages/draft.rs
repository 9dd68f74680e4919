//! A draft: the body of `POST /api/messages`, and the rules for its fields.

use azure_signalr::UserId;
use serde_json::{Map, Value};

use crate::auth::parse_user_id;
use crate::error::Error;
use crate::rooms::{RoomName, RoomNameError};
use crate::text::{is_inline, is_visible, normalize_line_breaks};

/// In characters, after trimming.
const MAX_TEXT_CHARS: usize = 4_096;
/// In characters, after trimming.
const MAX_NICKNAME_CHARS: usize = 64;
const MAX_ID_CHARS: usize = 64;

/// The body of the request.
#[derive(Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) recipient: Option<UserId>,
    pub(super) room: Option<RoomName>,
    pub(super) id: Option<String>,
    /// The fields from which a guest's nickname is taken. Unvalidated: they count only for guests.
    pub(super) names: Names,
}

/// `nickname`, and the `sender` that the page of the tutorial sends.
#[derive(Debug, PartialEq)]
pub(super) struct Names {
    nickname: Value,
    sender: Value,
}

impl Draft {
    /// Reads the fields of a JSON object; others are ignored.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| Error::InvalidMessage("body", "must be a JSON object"))?;
        let mut take = |name| fields.remove(name).unwrap_or_default();
        let (text, recipient, room) = (text(take("text"))?, recipient(take("recipient"))?, room(take("room"))?);
        if recipient.is_some() && room.is_some() {
            return Err(Error::InvalidMessage("room", "must be left out of a message to one person"));
        }
        Ok(Self {
            text,
            recipient,
            room,
            id: id(take("id"))?,
            names: Names { nickname: take("nickname"), sender: take("sender") },
        })
    }
}

impl Names {
    /// The nickname of a guest: `nickname`, or without one `sender`. A `sender` that is no text is ignored, as that of a user is.
    pub(super) fn nickname(self) -> Result<Option<String>, Error> {
        let own = match self.nickname {
            Value::Null => None,
            Value::String(name) => nickname("nickname", &name)?,
            _ => return Err(Error::InvalidMessage("nickname", NICKNAME_RULE)),
        };
        match self.sender {
            Value::String(sender) if own.is_none() => nickname("sender", &sender),
            _ => Ok(own),
        }
    }
}

const NICKNAME_RULE: &str =
    "must be at most 64 characters in one line, one of them visible, and no text direction controls";

/// The nickname in `field`, if it is not empty.
fn nickname(field: &'static str, name: &str) -> Result<Option<String>, Error> {
    match name.trim() {
        "" => Ok(None),
        name if name.chars().count() <= MAX_NICKNAME_CHARS && is_inline(name) && is_visible(name) => {
            Ok(Some(name.to_owned()))
        }
        _ => Err(Error::InvalidMessage(field, NICKNAME_RULE)),
    }
}

fn text(value: Value) -> Result<String, Error> {
    const WRONG: Error = Error::InvalidMessage(
        "text",
        "must be 1 to 4,096 characters, one of them visible, without control characters but tab and line feed",
    );
    let Value::String(text) = value else { return Err(WRONG) };
    let text = normalize_line_breaks(&text);
    let text = text.trim();
    let is_allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n');
    let right = text.chars().count() <= MAX_TEXT_CHARS && text.chars().all(is_allowed) && is_visible(text);
    right.then(|| text.to_owned()).ok_or(WRONG)
}

/// A recipient of spaces is invalid rather than everyone: what was meant to be private is not published to all.
fn recipient(value: Value) -> Result<Option<UserId>, Error> {
    const WRONG: Error = Error::InvalidMessage("recipient", "must be a user id, or null for everyone");
    match value {
        Value::Null => Ok(None),
        Value::String(user) if user.is_empty() => Ok(None),
        Value::String(user) => parse_user_id(&user).map(Some).ok_or(WRONG),
        _ => Err(WRONG),
    }
}

fn room(value: Value) -> Result<Option<RoomName>, Error> {
    let wrong = |rule| Err(Error::InvalidMessage("room", rule));
    const RULE: &str = "must be 1 to 64 of A-Z, a-z, 0-9, _ and -, or null for everyone";
    match value {
        Value::Null => Ok(None),
        Value::String(room) if room.is_empty() => Ok(None),
        Value::String(room) => match room.parse() {
            Ok(room) => Ok(Some(room)),
            Err(RoomNameError::Malformed) => wrong(RULE),
            Err(RoomNameError::Reserved) => wrong("must not be everyone, which is reserved: leave it out for everyone"),
        },
        _ => wrong(RULE),
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    fn parse(draft: &Value) -> Result<Draft, Error> {
        Draft::parse(draft.to_string().as_bytes())
    }

    /// The field for which the draft of a guest is rejected.
    fn rejected_field(draft: &Value) -> &'static str {
        match parse(draft).and_then(|draft| draft.names.nickname()) {
            Err(Error::InvalidMessage(field, _)) => field,
            other => panic!("{draft} should be rejected, not {other:?}"),
        }
    }

    /// A row of `tests/data/message-texts.json`. The page has `page` in addition, where it sends what the handler rejects.
    #[derive(Deserialize)]
    struct TextCase {
        case: String,
        input: String,
        /// `None`: rejected.
        text: Option<String>,
    }

    #[test]
    fn line_breaks_and_invisible_text_are_treated_as_in_the_table() {
        let table = include_bytes!("../../tests/data/message-texts.json");
        let table: Vec<TextCase> = serde_json::from_slice(table).unwrap();
        assert!(table.len() >= 25);
        for TextCase { case, input, text } in table {
            let parsed = parse(&json!({ "text": input }));
            assert_eq!(parsed.as_ref().ok().map(|draft| draft.text.clone()), text, "{case}");
            assert!(matches!(parsed, Ok(_) | Err(Error::InvalidMessage("text", _))), "{case}");
        }
    }

    #[test]
    fn the_length_of_a_text_is_counted_in_characters_after_normalizing_and_trimming() {
        for (text, expected) in [
            ("ä".repeat(4_096), Some(4_096)),
            ("😀".repeat(4_096), Some(4_096)),
            (format!("{}ä{}", " ".repeat(5_000), "\r\n".repeat(5_000)), Some(1)),
            (format!("{}a", "a\r\n".repeat(2_047)), Some(4_095)),
            ("ä".repeat(4_097), None),
            (format!("{}a", "a\r\n".repeat(2_048)), None),
            (format!("a{}", "\u{200b}".repeat(4_096)), None),
        ] {
            let length = parse(&json!({ "text": text })).ok().map(|draft| draft.text.chars().count());
            assert_eq!(length, expected, "{text:.20}");
        }
    }

    #[test]
    fn each_field_has_its_limits() {
        for (draft, field) in [
            (json!([]), "body"),
            (json!("text"), "body"),
            (json!({}), "text"),
            (json!({"text": 7}), "text"),
            (json!({"text": null}), "text"),
            (json!({"text": "a", "recipient": 7}), "recipient"),
            (json!({"text": "a", "recipient": ".."}), "recipient"),
            (json!({"text": "a", "recipient": " .. "}), "recipient"),
            (json!({"text": "a", "recipient": "a\nb"}), "recipient"),
            (json!({"text": "a", "recipient": " "}), "recipient"),
            (json!({"text": "a", "recipient": "\u{200b}"}), "recipient"),
            (json!({"text": "a", "room": 7}), "room"),
            (json!({"text": "a", "room": ["a"]}), "room"),
            (json!({"text": "a", "room": " "}), "room"),
            (json!({"text": "a", "room": " a"}), "room"),
            (json!({"text": "a", "room": "a b"}), "room"),
            (json!({"text": "a", "room": "ä"}), "room"),
            (json!({"text": "a", "room": "a".repeat(65)}), "room"),
            (json!({"text": "a", "room": "everyone"}), "room"),
            (json!({"text": "a", "room": "Everyone"}), "room"),
            (json!({"text": "a", "room": "a", "recipient": "bob"}), "room"),
            (json!({"text": "a", "id": ""}), "id"),
            (json!({"text": "a", "id": 7}), "id"),
            (json!({"text": "a", "id": "a b"}), "id"),
            (json!({"text": "a", "id": "a".repeat(65)}), "id"),
            (json!({"text": "a", "nickname": 7}), "nickname"),
            (json!({"text": "a", "nickname": "a\nb"}), "nickname"),
            (json!({"text": "a", "nickname": "a\u{2028}b"}), "nickname"),
            (json!({"text": "a", "nickname": "\u{200b}"}), "nickname"),
            (json!({"text": "a", "nickname": "\u{202e}deZ"}), "nickname"),
            (json!({"text": "a", "nickname": "a".repeat(65)}), "nickname"),
            (json!({"text": "a", "sender": "a".repeat(65)}), "sender"),
            (json!({"text": "a", "sender": "\u{3164}"}), "sender"),
        ] {
            assert_eq!(rejected_field(&draft), field, "{draft}");
        }
    }

    #[test]
    fn values_at_the_limits_are_accepted() {
        let draft = json!({"text": "a", "id": "a".repeat(64), "nickname": "ä".repeat(64), "recipient": ""});
        let draft = parse(&draft).unwrap();
        assert_eq!((draft.id.map(|id| id.len()), draft.recipient), (Some(64), None));
        assert_eq!(draft.names.nickname().unwrap().map(|name| name.chars().count()), Some(64));
    }

    #[test]
    fn a_recipient_is_trimmed_and_its_letter_case_is_kept() {
        for (recipient, expected) in [
            (json!(" Bob@Contoso.com\t"), Some("Bob@Contoso.com")),
            (json!("\u{a0}bob\u{3000}"), Some("bob")),
            (json!("a b"), Some("a b")),
            (json!("github:Ann"), Some("github:Ann")),
            (json!(""), None),
            (json!(null), None),
        ] {
            let parsed = parse(&json!({"text": "a", "recipient": recipient})).unwrap();
            assert_eq!(parsed.recipient.as_ref().map(UserId::as_str), expected, "{recipient}");
        }
    }

    #[test]
    fn a_room_is_in_lower_case_and_an_empty_one_is_everyone() {
        let longest = "A".repeat(64);
        for (room, recipient, expected) in [
            (json!("Games"), json!(null), Some("games".to_owned())),
            (json!("games"), json!(""), Some("games".to_owned())),
            (json!(longest), json!(null), Some(longest.to_ascii_lowercase())),
            (json!(""), json!("bob"), None),
            (json!(null), json!("bob"), None),
            (json!(null), json!(null), None),
        ] {
            let draft = parse(&json!({"text": "a", "room": room, "recipient": recipient})).unwrap();
            assert_eq!(draft.room.as_ref().map(|room| room.as_str().to_owned()), expected, "{room}");
        }
    }

    #[test]
    fn a_guests_sender_is_the_nickname_where_there_is_no_other() {
        for (names, expected) in [
            (json!({"sender": "Zed"}), Some("Zed")),
            (json!({"sender": " Zed "}), Some("Zed")),
            (json!({"sender": "Zed", "nickname": null}), Some("Zed")),
            (json!({"sender": "Zed", "nickname": ""}), Some("Zed")),
            (json!({"sender": "Zed", "nickname": "  "}), Some("Zed")),
            (json!({"sender": "Zed", "nickname": "Zoë"}), Some("Zoë")),
            (json!({"sender": "a\nb", "nickname": "Zoë"}), Some("Zoë")),
            (json!({"sender": 7, "nickname": "Zoë"}), Some("Zoë")),
            (json!({"sender": ""}), None),
            (json!({"sender": " "}), None),
            (json!({"sender": null}), None),
            (json!({"sender": 7}), None),
            (json!({"sender": {"name": "Zed"}}), None),
            (json!({}), None),
        ] {
            let mut draft = names.clone();
            draft["text"] = json!("a");
            assert_eq!(parse(&draft).unwrap().names.nickname().unwrap().as_deref(), expected, "{names}");
        }
    }

    #[test]
    fn case_35_a_body_that_is_not_json_is_rejected() {
        for body in
            [&b""[..], b"{", b"nonsense", b"{\"text\":\"\xff\"}", b"{\"text\":\"a\"}}", b"{\"text\":\"\\ud800\"}"]
        {
            assert!(matches!(Draft::parse(body), Err(Error::InvalidMessage("body", _))));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(body: Vec<u8>) {
            let _ = Draft::parse(&body);
        }
    }
}
