//! Filters as typed trees: their values for a connection, and how they are written.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// A connection as filters see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) connection: &'a str,
    /// `None` for an anonymous connection.
    pub(crate) user: Option<&'a str>,
    /// All groups of the connection, those of its user included.
    pub(crate) groups: &'a [&'a str],
}

/// What is true, false or null. Chains of `and` and `or` are lists, so that a long filter is not deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Boolean(Boolean),
    Not(Box<Condition>),
    /// Two or more.
    And(Vec<Condition>),
    /// Two or more.
    Or(Vec<Condition>),
    Texts(Comparison<Text>),
    Numbers(Comparison<Number>),
    Booleans(Comparison<Boolean>),
    InGroups(Text),
}

/// A comparison of values of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison<T> {
    Compare(T, Operator, T),
    /// One or more.
    In(T, Vec<T>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A boolean that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Boolean {
    /// Only in comparisons: alone it is not a filter.
    Null,
    Literal(bool),
    StartsWith(Text, Text),
    EndsWith(Text, Text),
    Contains(Text, Text),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Null,
    Literal(String),
    UserId,
    ConnectionId,
    Lower(Box<Text>),
    Upper(Box<Text>),
    Trim(Box<Text>),
    /// The first UTF-16 unit, and how many at most.
    Substring(Box<Text>, usize, Option<usize>),
    Concat(Box<Text>, Box<Text>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    Null,
    Literal(i64),
    /// In UTF-16 units.
    Length(Text),
    IndexOf(Text, Text),
    GroupCount,
}

impl Operator {
    pub(super) const ALL: [Self; 6] =
        [Self::Equal, Self::NotEqual, Self::Greater, Self::GreaterOrEqual, Self::Less, Self::LessOrEqual];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }
}

impl Condition {
    /// Writes a part, in parentheses unless it binds tightly enough.
    fn part(f: &mut Formatter<'_>, part: &Self, binds: bool) -> fmt::Result {
        if binds { write!(f, "{part}") } else { write!(f, "({part})") }
    }

    fn chain(f: &mut Formatter<'_>, parts: &[Self], word: &str, binds: fn(&Self) -> bool) -> fmt::Result {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            Self::part(f, part, binds(part))?;
        }
        Ok(())
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(flag) => flag.fmt(f),
            Self::Not(part) => {
                f.write_str("not ")?;
                Self::part(f, part, matches!(**part, Self::Boolean(_) | Self::Not(_)))
            }
            Self::And(parts) => Self::chain(f, parts, " and ", |part| !matches!(part, Self::And(_) | Self::Or(_))),
            Self::Or(parts) => Self::chain(f, parts, " or ", |part| !matches!(part, Self::Or(_))),
            Self::Texts(test) => test.fmt(f),
            Self::Numbers(test) => test.fmt(f),
            Self::Booleans(test) => test.fmt(f),
            Self::InGroups(text) => write!(f, "{text} in groups"),
        }
    }
}

impl<T: Display> Display for Comparison<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(left, operator, right) => write!(f, "{left} {} {right}", operator.name()),
            Self::In(value, list) => {
                write!(f, "{value} in (")?;
                for (index, item) in list.iter().enumerate() {
                    let separator = if index > 0 { ", " } else { "" };
                    write!(f, "{separator}{item}")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Display for Boolean {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Literal(value) => value.fmt(f),
            Self::StartsWith(text, part) => write!(f, "startswith({text}, {part})"),
            Self::EndsWith(text, part) => write!(f, "endswith({text}, {part})"),
            Self::Contains(text, part) => write!(f, "contains({text}, {part})"),
        }
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Literal(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::UserId => f.write_str("userId"),
            Self::ConnectionId => f.write_str("connectionId"),
            Self::Lower(text) => write!(f, "tolower({text})"),
            Self::Upper(text) => write!(f, "toupper({text})"),
            Self::Trim(text) => write!(f, "trim({text})"),
            Self::Substring(text, start, None) => write!(f, "substring({text}, {start})"),
            Self::Substring(text, start, Some(length)) => write!(f, "substring({text}, {start}, {length})"),
            Self::Concat(first, second) => write!(f, "concat({first}, {second})"),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Literal(number) => number.fmt(f),
            Self::Length(text) => write!(f, "length({text})"),
            Self::IndexOf(text, part) => write!(f, "indexof({text}, {part})"),
            Self::GroupCount => f.write_str("length(groups)"),
        }
    }
}

/// What has a value for a connection, or null, which is `None`.
///
/// Functions of null are null. Only `eq`, `ne` and `in` compare null as a value; it is neither more nor less than another.
pub(super) trait Expression {
    type Value<'a>: Ord
    where
        Self: 'a;

    fn evaluate<'a>(&'a self, subject: Subject<'a>) -> Option<Self::Value<'a>>;
}

impl Condition {
    pub(super) fn evaluate(&self, subject: Subject<'_>) -> Option<bool> {
        match self {
            Self::Boolean(flag) => flag.evaluate(subject),
            Self::Not(condition) => condition.evaluate(subject).map(|truth| !truth),
            Self::And(conditions) => combine(conditions, subject, false),
            Self::Or(conditions) => combine(conditions, subject, true),
            Self::Texts(test) => Some(test.evaluate(subject)),
            Self::Numbers(test) => Some(test.evaluate(subject)),
            Self::Booleans(test) => Some(test.evaluate(subject)),
            Self::InGroups(text) => {
                let name = text.evaluate(subject);
                Some(name.is_some_and(|name| subject.groups.contains(&&*name)))
            }
        }
    }
}

/// `deciding` if one part is; else null if one part is; else the opposite of `deciding`.
fn combine(conditions: &[Condition], subject: Subject<'_>, deciding: bool) -> Option<bool> {
    let mut outcome = Some(!deciding);
    for condition in conditions {
        match condition.evaluate(subject) {
            Some(truth) if truth == deciding => return Some(deciding),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

impl<T: Expression> Comparison<T> {
    fn evaluate(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::Compare(left, operator, right) => compare(left.evaluate(subject), *operator, right.evaluate(subject)),
            Self::In(value, list) => {
                let value = value.evaluate(subject);
                list.iter().any(|item| item.evaluate(subject) == value)
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

impl Expression for Boolean {
    type Value<'a> = bool;

    fn evaluate<'a>(&'a self, subject: Subject<'a>) -> Option<bool> {
        let both = |text: &'a Text, part: &'a Text| text.evaluate(subject).zip(part.evaluate(subject));
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

    fn evaluate<'a>(&'a self, subject: Subject<'a>) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Literal(text) => text.into(),
            Self::UserId => subject.user?.into(),
            Self::ConnectionId => subject.connection.into(),
            Self::Lower(text) => text.evaluate(subject)?.to_lowercase().into(),
            Self::Upper(text) => text.evaluate(subject)?.to_uppercase().into(),
            Self::Trim(text) => text.evaluate(subject)?.trim().to_owned().into(),
            Self::Substring(text, start, length) => substring(&text.evaluate(subject)?, *start, *length).into(),
            Self::Concat(first, second) => (first.evaluate(subject)? + second.evaluate(subject)?).into_owned().into(),
        })
    }
}

impl Expression for Number {
    type Value<'a> = i64;

    fn evaluate<'a>(&'a self, subject: Subject<'a>) -> Option<i64> {
        match self {
            Self::Null => None,
            Self::Literal(number) => Some(*number),
            Self::Length(text) => text.evaluate(subject).map(|text| units(&text)),
            Self::IndexOf(text, part) => {
                let (text, part) = (text.evaluate(subject)?, part.evaluate(subject)?);
                Some(text.find(&*part).map_or(-1, |index| units(&text[..index])))
            }
            Self::GroupCount => Some(to_i64(subject.groups.len())),
        }
    }
}

/// Length in UTF-16 units, as in .NET.
fn units(text: &str) -> i64 {
    to_i64(text.encode_utf16().count())
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Empty if it begins behind the end. Half a surrogate pair becomes U+FFFD.
fn substring(text: &str, start: usize, length: Option<usize>) -> String {
    let units = text.encode_utf16().skip(start).take(length.unwrap_or(usize::MAX));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
