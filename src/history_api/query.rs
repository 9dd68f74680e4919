//! What the query of a history request asks for.
//!
//! A parameter that is there twice is an error, and so is one without a meaning beside the others: a typing mistake must not read another
//! history. Names ignore letter case, as the host's do. Unknown parameters are ignored: the host accepts its own.

use std::collections::HashMap;

use azure_signalr::UserId;
use url::form_urlencoded;

use crate::auth::parse_user_id;
use crate::error::Error;
use crate::history::Cursor;
use crate::rooms::RoomName;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

const EVERYONE: &str = "everyone";
const PARAMETERS: [&str; 6] = ["room", "private", "with", "before", "after", "limit"];

/// Which messages a page has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those in a room, or to everyone.
    Room(RoomName),
    /// The private ones of the caller, or of those the ones from and to a person.
    Private(Option<UserId>),
}

/// What a page is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HistoryQuery {
    pub(super) which: Which,
    pub(super) cursor: Cursor,
    pub(super) limit: usize,
}

impl HistoryQuery {
    /// # Errors
    ///
    /// [`Error::InvalidRequest`], and [`Error::InvalidCursor`] for a malformed position.
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let parameters = Parameters::parse(query)?;
        let which = match (parameters.is_private()?, parameters.get("room"), parameters.get("with")) {
            (true, Some(_), _) => return Err(Error::InvalidRequest("room", "must not be beside private")),
            (true, None, with) => Which::Private(with.map(parse_with).transpose()?),
            (false, _, Some(_)) => return Err(Error::InvalidRequest("with", "must be beside private")),
            (false, room, None) => Which::Room(room_of(room)?),
        };
        let position = |text: &str| text.parse().map_err(|_| Error::InvalidCursor);
        let cursor = match (parameters.get("before"), parameters.get("after")) {
            (None, None) => Cursor::Newest,
            (Some(before), None) => Cursor::Before(position(before)?),
            (None, Some(after)) => Cursor::After(position(after)?),
            (Some(_), Some(_)) => return Err(Error::InvalidRequest("before", "must not be beside after")),
        };
        let limit = parameters.get("limit").map_or(Some(DEFAULT_LIMIT), parse_limit);
        let limit = limit.ok_or(Error::InvalidRequest("limit", "must be a whole number from 1 to 100"))?;
        Ok(Self { which, cursor, limit })
    }
}

/// Checks that the query of an erasure names the private messages: no others can be erased.
///
/// # Errors
///
/// [`Error::InvalidRequest`].
pub(super) fn check_erase(query: &str) -> Result<(), Error> {
    let parameters = Parameters::parse(query)?;
    if !parameters.is_private()? {
        return Err(Error::InvalidRequest("query", "must be `?private`: only your private messages can be erased"));
    }
    let another = PARAMETERS.into_iter().find(|name| *name != "private" && parameters.get(name).is_some());
    another.map_or(Ok(()), |name| Err(Error::InvalidRequest(name, "must not be here: all private messages are erased")))
}

/// The room in the query of a removal; `everyone` without one.
///
/// # Errors
///
/// [`Error::InvalidRequest`].
pub(super) fn parse_room(query: &str) -> Result<RoomName, Error> {
    let parameters = Parameters::parse(query)?;
    if parameters.get("private").is_some() {
        return Err(Error::InvalidRequest("private", "must not be here: private messages cannot be removed"));
    }
    room_of(parameters.get("room"))
}

/// The parameters that are known.
struct Parameters(HashMap<&'static str, String>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, Error> {
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = PARAMETERS.into_iter().find(|known| known.eq_ignore_ascii_case(&name)) else { continue };
            if parameters.insert(name, value.into_owned()).is_some() {
                return Err(Error::InvalidRequest(name, "must be there once"));
            }
        }
        Ok(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn is_private(&self) -> Result<bool, Error> {
        match self.get("private") {
            None => Ok(false),
            Some("" | "true") => Ok(true),
            Some(_) => Err(Error::InvalidRequest("private", "must have no value")),
        }
    }
}

fn room_of(room: Option<&str>) -> Result<RoomName, Error> {
    let room = room.filter(|room| !room.is_empty()).unwrap_or(EVERYONE);
    RoomName::or_everyone(room).map_err(|_| Error::InvalidRequest("room", "must be 1 to 64 of A-Z, a-z, 0-9, _ and -"))
}

fn parse_with(user: &str) -> Result<UserId, Error> {
    parse_user_id(user.trim()).ok_or(Error::InvalidRequest("with", "must be a user id"))
}

fn parse_limit(text: &str) -> Option<usize> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "00000017.0000000689";

    fn room(name: &str) -> Which {
        Which::Room(RoomName::or_everyone(name).unwrap())
    }

    fn with(user: &str) -> Which {
        Which::Private(Some(user.parse().unwrap()))
    }

    #[test]
    fn a_query_names_a_history_a_place_in_it_and_a_limit() {
        let at = AT.parse().unwrap();
        for (query, which, cursor, limit) in [
            ("", room("everyone"), Cursor::Newest, 50),
            ("code=x&rooms=y", room("everyone"), Cursor::Newest, 50),
            ("ROOM=y&Limit=2", room("y"), Cursor::Newest, 2),
            ("Private", Which::Private(None), Cursor::Newest, 50),
            ("room=", room("everyone"), Cursor::Newest, 50),
            ("room=Everyone&limit=1", room("everyone"), Cursor::Newest, 1),
            ("room=Games&limit=100", room("games"), Cursor::Newest, 100),
            (&format!("before={AT}"), room("everyone"), Cursor::Before(at), 50),
            (&format!("after={AT}&private"), Which::Private(None), Cursor::After(at), 50),
            ("private=", Which::Private(None), Cursor::Newest, 50),
            ("private=true", Which::Private(None), Cursor::Newest, 50),
            ("private&with=b%2Fo+b", with("b/o b"), Cursor::Newest, 50),
            ("private&with=%20Bob%40x%20", with("Bob@x"), Cursor::Newest, 50),
        ] {
            assert_eq!(HistoryQuery::parse(query).unwrap(), HistoryQuery { which, cursor, limit }, "{query}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (query, expected) in [
            ("room=a%20b", Some("room")),
            ("room=a&room=a", Some("room")),
            ("room=a&private", Some("room")),
            ("room=&private", Some("room")),
            ("with=bob", Some("with")),
            ("with=bob&room=a", Some("with")),
            ("private&with=", Some("with")),
            ("private&with=%00", Some("with")),
            ("private=false", Some("private")),
            ("private=bob", Some("private")),
            ("private&Private", Some("private")),
            ("limit=0", Some("limit")),
            ("limit=101", Some("limit")),
            ("limit=%2B5", Some("limit")),
            ("limit=", Some("limit")),
            ("limit=5.0", Some("limit")),
            (&format!("before={AT}&after={AT}"), Some("before")),
            ("before=", None),
            ("after=null", None),
            ("after=00000017.689", None),
            (&format!("after={AT}%20"), None),
        ] {
            let field = match HistoryQuery::parse(query).unwrap_err() {
                Error::InvalidRequest(field, _) => Some(field),
                Error::InvalidCursor => None,
                error => panic!("{query}: {error}"),
            };
            assert_eq!(field, expected, "{query}");
        }
    }

    #[test]
    fn only_all_private_messages_are_erased_and_only_others_are_removed() {
        for (query, is_valid) in [
            ("private", true),
            ("private=true&code=x", true),
            ("", false),
            ("private=false", false),
            ("room=a", false),
            ("private&with=bob", false),
            ("private&before=x", false),
        ] {
            assert_eq!(check_erase(query).is_ok(), is_valid, "{query}");
        }
        assert_eq!(parse_room("").unwrap(), RoomName::or_everyone("everyone").unwrap());
        assert_eq!(parse_room("room=Games").unwrap(), RoomName::or_everyone("games").unwrap());
        assert!(parse_room("room=a%2Fb").is_err() && parse_room("private").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_parsed_without_a_panic(query: String) {
            let _ = (HistoryQuery::parse(&query), check_erase(&query), parse_room(&query));
        }
    }
}
