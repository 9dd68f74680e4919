//! A filter as a tree in which nothing ill-typed can stand, and how it is written.
//!
//! Chains of `and` and `or` are lists, not towers: a long filter is wide, never deep.

use std::fmt::{self, Display, Formatter};

/// What is true, false, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Flag(Flag),
    Not(Box<Condition>),
    /// Two or more.
    And(Vec<Condition>),
    /// Two or more.
    Or(Vec<Condition>),
    Texts(Test<Text>),
    Numbers(Test<Number>),
    Flags(Test<Flag>),
    InGroups(Text),
}

/// What two values of one type may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test<T> {
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

/// A truth that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flag {
    /// Only ever compared with: alone it is no filter.
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
    /// From this UTF-16 unit on, at most so many.
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
    /// Writes a part of this condition, in parentheses unless it binds tightly enough.
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
            Self::Flag(flag) => flag.fmt(f),
            Self::Not(part) => {
                f.write_str("not ")?;
                Self::part(f, part, matches!(**part, Self::Flag(_) | Self::Not(_)))
            }
            Self::And(parts) => {
                Self::chain(f, parts, " and ", |part| !matches!(part, Self::And(_) | Self::Or(_)))
            }
            Self::Or(parts) => Self::chain(f, parts, " or ", |part| !matches!(part, Self::Or(_))),
            Self::Texts(test) => test.fmt(f),
            Self::Numbers(test) => test.fmt(f),
            Self::Flags(test) => test.fmt(f),
            Self::InGroups(text) => write!(f, "{text} in groups"),
        }
    }
}

impl<T: Display> Display for Test<T> {
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

impl Display for Flag {
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
