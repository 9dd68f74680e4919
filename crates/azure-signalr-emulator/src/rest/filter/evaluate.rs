//! What a filter says of one connection.
//!
//! `None` is OData's null: a question about a user who is not there has no answer, and `and`, `or` and `not` carry it
//! on unless the other side decides. Only `eq`, `ne` and `in` see it as a value; it is neither more nor less than anything.

use std::borrow::Cow;

use super::Subject;
use super::expression::{Condition, Flag, Number, Operator, Test, Text};

/// What has a value for a connection, or null.
pub(super) trait Expression {
    type Value<'a>: Ord
    where
        Self: 'a;

    fn of<'a>(&'a self, subject: Subject<'a>) -> Option<Self::Value<'a>>;
}

impl Condition {
    pub(super) fn of(&self, subject: Subject<'_>) -> Option<bool> {
        match self {
            Self::Flag(flag) => flag.of(subject),
            Self::Not(condition) => condition.of(subject).map(|truth| !truth),
            Self::And(conditions) => unless_decided(conditions, subject, false),
            Self::Or(conditions) => unless_decided(conditions, subject, true),
            Self::Texts(test) => Some(test.of(subject)),
            Self::Numbers(test) => Some(test.of(subject)),
            Self::Flags(test) => Some(test.of(subject)),
            Self::InGroups(text) => {
                let name = text.of(subject);
                Some(name.is_some_and(|name| subject.groups.contains(&&*name)))
            }
        }
    }
}

/// One `deciding` part decides; else one null leaves it open; else it is the opposite.
fn unless_decided(conditions: &[Condition], subject: Subject<'_>, deciding: bool) -> Option<bool> {
    let mut outcome = Some(!deciding);
    for condition in conditions {
        match condition.of(subject) {
            Some(truth) if truth == deciding => return Some(deciding),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

impl<T: Expression> Test<T> {
    fn of(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::Compare(left, operator, right) => compare(left.of(subject), *operator, right.of(subject)),
            Self::In(value, list) => {
                let value = value.of(subject);
                list.iter().any(|item| item.of(subject) == value)
            }
        }
    }
}

fn compare<V: Ord>(left: Option<V>, operator: Operator, right: Option<V>) -> bool {
    let both = || left.as_ref().zip(right.as_ref());
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Greater => both().is_some_and(|(left, right)| left > right),
        Operator::GreaterOrEqual => both().is_some_and(|(left, right)| left >= right),
        Operator::Less => both().is_some_and(|(left, right)| left < right),
        Operator::LessOrEqual => both().is_some_and(|(left, right)| left <= right),
    }
}

impl Expression for Flag {
    type Value<'a> = bool;

    fn of<'a>(&'a self, subject: Subject<'a>) -> Option<bool> {
        let both = |text: &'a Text, part: &'a Text| text.of(subject).zip(part.of(subject));
        match self {
            Self::Null => None,
            Self::Literal(value) => Some(*value),
            Self::StartsWith(text, part) => both(text, part).map(|(text, part)| text.starts_with(&*part)),
            Self::EndsWith(text, part) => both(text, part).map(|(text, part)| text.ends_with(&*part)),
            Self::Contains(text, part) => both(text, part).map(|(text, part)| text.contains(&*part)),
        }
    }
}

impl Expression for Text {
    type Value<'a> = Cow<'a, str>;

    fn of<'a>(&'a self, subject: Subject<'a>) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Literal(text) => text.into(),
            Self::UserId => subject.user?.into(),
            Self::ConnectionId => subject.connection.into(),
            Self::Lower(text) => text.of(subject)?.to_lowercase().into(),
            Self::Upper(text) => text.of(subject)?.to_uppercase().into(),
            Self::Trim(text) => text.of(subject)?.trim().to_owned().into(),
            Self::Substring(text, start, length) => substring(&text.of(subject)?, *start, *length).into(),
            Self::Concat(first, second) => (first.of(subject)? + second.of(subject)?).into_owned().into(),
        })
    }
}

impl Expression for Number {
    type Value<'a> = i64;

    fn of<'a>(&'a self, subject: Subject<'a>) -> Option<i64> {
        match self {
            Self::Null => None,
            Self::Literal(number) => Some(*number),
            Self::Length(text) => text.of(subject).map(|text| units(&text)),
            Self::IndexOf(text, part) => {
                let (text, part) = (text.of(subject)?, part.of(subject)?);
                Some(text.find(&*part).map_or(-1, |index| units(&text[..index])))
            }
            Self::GroupCount => Some(whole(subject.groups.len())),
        }
    }
}

/// Characters as .NET counts them.
fn units(text: &str) -> i64 {
    whole(text.encode_utf16().count())
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What begins behind the end is empty. Half a surrogate pair becomes U+FFFD.
fn substring(text: &str, start: usize, length: Option<usize>) -> String {
    let units = text.encode_utf16().skip(start).take(length.unwrap_or(usize::MAX));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
