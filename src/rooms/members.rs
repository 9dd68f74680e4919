//! The members of one room, from the pages of the service's list.

use std::collections::BTreeSet;
use std::time::SystemTime;

use axum::body::Bytes;
use azure_http::CALL_TIMEOUT;
use azure_signalr::{GroupMember, GroupPage, Hub, UserId};
use serde_json::json;
use tokio::time::timeout_at;

use super::RoomName;
use super::member_lists::Outcome;

/// The most people and guests in a list.
const MAX_MEMBERS: usize = 1_000;
/// The most pages of a listing. Those beyond `MAX_MEMBERS / 200` are for people who have several connections.
const MAX_PAGES: usize = 10;

/// Lists who is in a room, page by page: `{"people":[…],"guests":0,"more":false}`. It ends within about the time of one call; if that is not
/// enough for all pages, there are `more` members than listed.
pub(super) async fn list(hub: Hub, room: RoomName, now: SystemTime) -> Outcome {
    let deadline = tokio::time::Instant::now() + CALL_TIMEOUT;
    let (mut members, mut next) = (Members::default(), None);
    for number in 0..MAX_PAGES {
        let page = hub.list_group(room.group(), next.as_ref(), now);
        // The first page has the time of a call by itself.
        let page = if number == 0 { Ok(page.await) } else { timeout_at(deadline, page).await };
        let Ok(page) = page else { break };
        let GroupPage { members: listed, next: following } = page?;
        next = following;
        members.more = !listed.into_iter().all(|member| members.add(member));
        if members.more || next.is_none() {
            return Ok(members.to_json());
        }
    }
    members.more = true;
    Ok(members.to_json())
}

/// Each person once, by user id, and the number of connections without a user. Connection ids are not part of it.
#[derive(Default)]
struct Members {
    people: BTreeSet<String>,
    guests: usize,
    more: bool,
}

impl Members {
    /// Adds a member; `false` if there is no space for it.
    fn add(&mut self, member: GroupMember) -> bool {
        let user = member.user.as_ref().map(UserId::as_str);
        if user.is_some_and(|user| self.people.contains(user)) {
            return true;
        }
        if self.people.len() + self.guests >= MAX_MEMBERS {
            return false;
        }
        match user {
            Some(user) => drop(self.people.insert(user.to_owned())),
            None => self.guests += 1,
        }
        true
    }

    fn to_json(&self) -> Bytes {
        json!({"people": self.people, "guests": self.guests, "more": self.more}).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn member(user: Option<&str>) -> GroupMember {
        GroupMember { connection: "SECRET".parse().unwrap(), user: user.map(|user| user.parse().unwrap()) }
    }

    fn json_of(members: &Members) -> Value {
        serde_json::from_slice(&members.to_json()).unwrap()
    }

    #[test]
    fn people_are_listed_once_in_order_and_guests_are_counted() {
        let mut members = Members::default();
        assert_eq!(json_of(&members), json!({"people": [], "guests": 0, "more": false}));
        for user in [Some("bob"), None, Some("Ann"), Some("bob"), None, Some("ann"), Some("Zoë \"Z\"")] {
            assert!(members.add(member(user)));
        }
        let expected = json!({"people": ["Ann", "Zoë \"Z\"", "ann", "bob"], "guests": 2, "more": false});
        assert_eq!(json_of(&members), expected);
    }

    #[test]
    fn a_thousand_people_and_guests_are_listed_and_further_connections_of_them_need_no_space() {
        let mut members = Members::default();
        for number in 0..MAX_MEMBERS - 1 {
            assert!(members.add(member(Some(&number.to_string()))));
        }
        assert!(members.add(member(None)));
        for (user, fits) in [(Some("0"), true), (Some("another"), false), (None, false), (Some("998"), true)] {
            assert_eq!(members.add(member(user)), fits, "{user:?}");
        }
        assert_eq!((members.people.len(), members.guests), (MAX_MEMBERS - 1, 1));
    }
}
