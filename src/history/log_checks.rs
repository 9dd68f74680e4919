//! Checks of a log after a test: its parts form a chain, what was acknowledged is in it once, and readers see it so.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use test_support::random::Random;
use tokio::time::Instant;

use super::appender::Place;
use super::line::{FirstLine, Head, MessageFields, complete_lines};
use super::log::HistoryLog;
use super::page::{Cursor, Filter, Page};
use super::position::{PartNumber, Position};
use super::stream::Stream;

/// A message that was in the log.
pub(super) struct Said {
    pub(super) id: String,
    pub(super) place: Place,
    /// Its part was not deleted.
    pub(super) is_there: bool,
}

/// All messages that there ever were, in the order of their positions. Checks that the parts form a chain.
///
/// The parts are in the order of their numbers: number, bytes, and whether it is there.
pub(super) fn said(context: &str, parts: &[(PartNumber, Vec<u8>, bool)]) -> Vec<Said> {
    let (mut messages, mut previous_end) = (Vec::new(), None::<(Position, bool)>);
    for (part, bytes, is_there) in parts {
        let (part, is_there, head) = (*part, *is_there, Head::parse(*part, bytes));
        if bytes.is_empty() || head.length == bytes.len() as u64 {
            continue;
        }
        assert!(head.length > 0, "{context}: part {part} has no first line");
        let is_chained = match (head.previous, previous_end) {
            (Some(previous), Some((end, _))) => previous == end,
            (Some(_), None) => false,
            (None, previous_end) => previous_end.is_none_or(|(_, is_there)| !is_there),
        };
        assert!(is_chained, "{context}: part {part} follows {:?}, not {previous_end:?}", head.previous);
        for line in complete_lines(&bytes[usize::try_from(head.length).unwrap()..], head.length) {
            assert!(serde_json::from_slice::<FirstLine>(line.content).is_err(), "{context}: two heads");
            let message = MessageFields::parse(line.content).expect("a message");
            let next = Position::new(part, line.end());
            let place = Place { at: head.begin(part, line.offset), next };
            messages.push(Said { id: message.id.into_owned(), place, is_there });
        }
        previous_end = Some((Position::new(part, bytes.len() as u64), is_there));
    }
    messages
}

/// Each acknowledged message is at its position, and no earlier line says the same.
pub(super) fn check_acknowledged(context: &str, said: &[Said], acknowledged: &BTreeMap<String, Place>) {
    let mut places: HashMap<&str, Vec<(Place, bool)>> = HashMap::new();
    for said in said {
        places.entry(&said.id).or_default().push((said.place, said.is_there));
    }
    for (id, place) in acknowledged {
        let there = places.get(&**id).map_or(&[][..], |places| places);
        assert!(there.iter().any(|(other, _)| other == place), "{context}: {id} is not at {place:?} but {there:?}");
        // A line that was deleted before it was found is said again.
        let earlier = there.iter().find(|(other, is_there)| other.at < place.at && *is_there);
        assert_eq!(earlier, None, "{context}: {id} is at {place:?} and earlier");
    }
}

/// Readers from the end and from the beginning find what is there, each message once, without a seam.
pub(super) async fn check_readers(context: &str, said: &[Said], log: &HistoryLog, stream: &Stream, random: &Random) {
    let there: Vec<Place> = said.iter().filter(|said| said.is_there).map(|said| said.place).collect();
    let read = async |cursor| -> Page {
        let limit = 1 + usize::try_from(random.below(20)).unwrap();
        let page = log.page(stream, cursor, limit, Filter::All, Instant::now()).await;
        page.unwrap_or_else(|error| panic!("{context}: {cursor:?}: {error}"))
    };
    let (mut cursor, mut backward) = (Cursor::Newest, Vec::new());
    loop {
        let page = read(cursor).await;
        backward.splice(0..0, page.messages.iter().map(|message| parse(message)));
        assert!(!page.lost);
        match page.before {
            Some(before) => cursor = Cursor::Before(before),
            None => break,
        }
    }
    let Some(first) = there.first() else { return assert!(backward.is_empty()) };
    let (mut forward, mut after) = (Vec::new(), first.at);
    loop {
        let page = read(Cursor::After(after)).await;
        forward.extend(page.messages.iter().map(|message| parse(message)));
        assert_eq!(page.before, Some(after));
        after = page.after.unwrap();
        if !page.more {
            break;
        }
    }
    for (messages, direction) in [(backward, "backward"), (forward, "forward")] {
        let mut left = messages.iter().map(place).peekable();
        for place in &there {
            let is_seen = left.next_if_eq(place).is_some();
            // A line may be left out only because an earlier one on the same page says the same.
            let id = |place: &Place| said.iter().find(|said| said.place == *place).map(|said| &said.id);
            let is_double = || there.iter().any(|other| other.at < place.at && id(other) == id(place));
            assert!(is_seen || is_double(), "{context}: {place:?} is not read {direction}");
        }
        assert_eq!(left.next(), None, "{context}: read {direction}");
    }
}

pub(super) fn parse(message: &str) -> Value {
    serde_json::from_str(message).unwrap()
}

pub(super) fn place(message: &Value) -> Place {
    let position = |name: &str| message[name].as_str().unwrap().parse().unwrap();
    Place { at: position("at"), next: position("next") }
}
