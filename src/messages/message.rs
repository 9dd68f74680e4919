//! A message as clients receive it.

use std::ops::Not;
use std::time::{SystemTime, UNIX_EPOCH};

use azure_signalr::{Recipient, UserId};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::draft::Draft;
use crate::auth::Caller;
use crate::error::Error;
use crate::rooms::RoomName;

/// A message as clients receive it, and as the response repeats it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    id: String,
    /// A user id; for a guest a text that the page of the tutorial can show.
    sender: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    /// Tells a guest from a user whose id looks like the `sender` of a guest.
    #[serde(skip_serializing_if = "Not::not")]
    is_guest: bool,
    text: String,
    sent_at: String,
    #[serde(serialize_with = "user_id", skip_serializing_if = "Option::is_none")]
    recipient: Option<UserId>,
    #[serde(skip_serializing_if = "Not::not")]
    is_private: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<RoomName>,
}

impl Message {
    /// The message that `caller` publishes with `draft`: to a recipient, in a room, or to everyone.
    pub(super) fn new(draft: Draft, caller: &Caller, now: SystemTime) -> Result<Self, Error> {
        let Draft { text, recipient, room, id, names } = draft;
        let (sender, nickname, is_guest) = match caller {
            Caller::User(user) => (user.as_str().to_owned(), None, false),
            Caller::Anonymous if recipient.is_some() => return Err(Error::Unauthenticated("write to one person")),
            Caller::Anonymous => {
                let nickname = names.nickname()?;
                let sender = nickname.as_ref().map_or_else(|| "Guest".to_owned(), |name| format!("{name} (guest)"));
                (sender, nickname, true)
            }
        };
        Ok(Self {
            id: id.unwrap_or_else(|| time_ordered_id(now)),
            sender,
            nickname,
            is_guest,
            text,
            sent_at: rfc_3339(now),
            is_private: recipient.is_some(),
            recipient,
            room,
        })
    }

    /// The room; `None` for everyone, or one person.
    pub(super) fn room(&self) -> Option<&RoomName> {
        self.room.as_ref()
    }

    /// Everyone, or the group of the room.
    pub(super) fn group(&self) -> Recipient<'_> {
        self.room.as_ref().map_or(Recipient::Everyone, |room| Recipient::Group(room.group()))
    }

    /// The recipient; `None` for a room, or everyone.
    pub(super) fn recipient(&self) -> Option<&UserId> {
        self.recipient.as_ref()
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

fn user_id<S: serde::Serializer>(user: &Option<UserId>, serializer: S) -> Result<S::Ok, S::Error> {
    user.as_ref().map(UserId::as_str).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn user(name: &str) -> Caller {
        Caller::User(name.parse().unwrap())
    }

    fn published(draft: &Value, caller: &Caller) -> Result<Value, Error> {
        let draft = Draft::parse(draft.to_string().as_bytes())?;
        Ok(serde_json::to_value(Message::new(draft, caller, NOW + Duration::from_millis(1))?).unwrap())
    }

    #[test]
    fn a_public_message_has_no_recipient_and_the_callers_own_name() {
        let draft = json!({"id": "a-1", "text": " hi ", "recipient": null, "sender": "root", "nickname": "root"});
        assert_eq!(
            published(&draft, &user("ann")).unwrap(),
            json!({"id": "a-1", "sender": "ann", "text": "hi", "sentAt": "1970-01-01T00:00:00.001Z"})
        );
    }

    #[test]
    fn the_names_in_a_users_draft_are_ignored_even_if_they_are_invalid() {
        for names in [json!({"sender": 7, "nickname": 7}), json!({"sender": "\u{202e}", "nickname": "a".repeat(65)})] {
            let mut draft = names.clone();
            draft["text"] = json!("hi");
            let message = published(&draft, &user("ann")).unwrap();
            assert_eq!((&message["sender"], message.get("nickname")), (&json!("ann"), None), "{names}");
        }
    }

    #[test]
    fn a_private_message_says_so() {
        let message = published(&json!({"text": "hi", "recipient": "bob"}), &user("ann")).unwrap();
        assert_eq!((&message["recipient"], &message["isPrivate"]), (&json!("bob"), &json!(true)));
    }

    #[test]
    fn a_message_in_a_room_has_its_name_in_lower_case() {
        for caller in [user("ann"), Caller::Anonymous] {
            let message = published(&json!({"text": "hi", "room": "Games"}), &caller).unwrap();
            assert_eq!((&message["room"], message.get("isPrivate")), (&json!("games"), None));
        }
    }

    #[test]
    fn a_guest_is_marked_as_one() {
        for (draft, sender, nickname) in [
            (json!({"nickname": " Zoë "}), "Zoë (guest)", Some("Zoë")),
            (json!({"sender": "Zed"}), "Zed (guest)", Some("Zed")),
            (json!({"sender": "ann@contoso.com"}), "ann@contoso.com (guest)", Some("ann@contoso.com")),
            (json!({"sender": "Zed (guest)"}), "Zed (guest) (guest)", Some("Zed (guest)")),
            (json!({}), "Guest", None),
        ] {
            let mut with_text = draft.clone();
            with_text["text"] = json!("hi");
            let message = published(&with_text, &Caller::Anonymous).unwrap();
            assert_eq!((&message["sender"], &message["isGuest"]), (&json!(sender), &json!(true)), "{draft}");
            assert_eq!(message.get("nickname").and_then(Value::as_str), nickname, "{draft}");
        }
    }

    #[test]
    fn a_user_whose_id_looks_like_a_guest_is_not_marked_as_one() {
        let message = published(&json!({"text": "hi"}), &user("Zed (guest)")).unwrap();
        assert_eq!((&message["sender"], message.get("isGuest")), (&json!("Zed (guest)"), None));
    }

    #[test]
    fn a_guest_writes_to_everyone_only() {
        let private = published(&json!({"text": "hi", "recipient": "bob"}), &Caller::Anonymous);
        assert!(matches!(private, Err(Error::Unauthenticated(_))));
    }

    #[test]
    fn a_message_without_an_id_gets_one_that_sorts_by_time() {
        let [first, second] = [1, 2].map(|ms| time_ordered_id(NOW + Duration::from_millis(ms)));
        assert!(first < second);
    }
}
