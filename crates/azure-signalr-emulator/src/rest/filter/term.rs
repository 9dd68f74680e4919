//! Parts of a filter while it is read: what each has turned out to be, and where it stands.
//!
//! Types are settled here, where the place of what does not fit is still known. `null` has no type until it meets one.

use super::expression::{Condition, Flag, Number, Operator, Test, Text};
use super::invalid::InvalidFilter;
use super::token::Placed;

const CONDITION: &str = "a condition, such as `userId eq 'a'` or `'g' in groups`";
const COMPARABLE: &str =
    "a value that can be compared (what follows `not` stands in parentheses, as in `not (a eq b)`)";
pub(super) const TEXT: &str = "a text, userId, connectionId or null";
const SAME_TYPE: &str = "a value of the type it is compared with";
const ORDERED: &str = "texts or numbers: other values have no order";

/// Something read, with the place it was read at.
pub(super) struct Term<'a> {
    pub(super) kind: Kind,
    pub(super) place: Placed<'a>,
}

/// What a part of a filter can turn out to be. A null has no type yet.
pub(super) enum Kind {
    Condition(Condition),
    Flag(Flag),
    Text(Text),
    Number(Number),
    Null,
    Groups,
}

impl Term<'_> {
    pub(super) fn condition(self) -> Result<Condition, InvalidFilter> {
        match self.kind {
            Kind::Condition(condition) => Ok(condition),
            Kind::Flag(flag) => Ok(Condition::Flag(flag)),
            _ => Err(self.place.unexpected(CONDITION)),
        }
    }

    pub(super) fn text(self, expected: &'static str) -> Result<Text, InvalidFilter> {
        match self.kind {
            Kind::Text(text) => Ok(text),
            Kind::Null => Ok(Text::Null),
            _ => Err(self.place.unexpected(expected)),
        }
    }

    fn number(self) -> Result<Number, InvalidFilter> {
        match self.kind {
            Kind::Number(number) => Ok(number),
            Kind::Null => Ok(Number::Null),
            _ => Err(self.place.unexpected(SAME_TYPE)),
        }
    }

    fn flag(self) -> Result<Flag, InvalidFilter> {
        match self.kind {
            Kind::Flag(flag) => Ok(flag),
            Kind::Null => Ok(Flag::Null),
            _ => Err(self.place.unexpected(SAME_TYPE)),
        }
    }

    /// A value, that is: not the collection, and not a condition that was put together.
    pub(super) fn comparable(self) -> Result<Self, InvalidFilter> {
        match self.kind {
            Kind::Condition(_) | Kind::Groups => Err(self.place.unexpected(COMPARABLE)),
            _ => Ok(self),
        }
    }
}

/// Names of properties ignore case; the constants do not.
pub(super) fn named(word: &str) -> Option<Kind> {
    Some(match word {
        "true" => Kind::Flag(Flag::Literal(true)),
        "false" => Kind::Flag(Flag::Literal(false)),
        "null" => Kind::Null,
        _ if word.eq_ignore_ascii_case("userId") => Kind::Text(Text::UserId),
        _ if word.eq_ignore_ascii_case("connectionId") => Kind::Text(Text::ConnectionId),
        _ if word.eq_ignore_ascii_case("groups") => Kind::Groups,
        _ => return None,
    })
}

pub(super) fn compare(
    left: Term<'_>,
    operator: Operator,
    right: Term<'_>,
) -> Result<Condition, InvalidFilter> {
    let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
    Ok(match (&left.kind, &right.kind) {
        (Kind::Flag(_), _) | (_, Kind::Flag(_)) if ordered => return Err(left.place.unexpected(ORDERED)),
        (Kind::Flag(_), _) | (Kind::Null, Kind::Flag(_)) => {
            Condition::Flags(Test::Compare(left.flag()?, operator, right.flag()?))
        }
        (Kind::Number(_), _) | (Kind::Null, Kind::Number(_)) => {
            Condition::Numbers(Test::Compare(left.number()?, operator, right.number()?))
        }
        _ => Condition::Texts(Test::Compare(left.text(SAME_TYPE)?, operator, right.text(SAME_TYPE)?)),
    })
}

/// The first of the terms, tested against the others. They have the type of the first that has one.
pub(super) fn one_of(terms: Vec<Term<'_>>) -> Result<Condition, InvalidFilter> {
    let typed = terms.iter().find(|term| !matches!(term.kind, Kind::Null));
    Ok(match typed.map(|term| &term.kind) {
        Some(Kind::Flag(_)) => Condition::Flags(first_in_others(terms, Term::flag)?),
        Some(Kind::Number(_)) => Condition::Numbers(first_in_others(terms, Term::number)?),
        _ => Condition::Texts(first_in_others(terms, |term| term.text(SAME_TYPE))?),
    })
}

fn first_in_others<'a, T>(
    terms: Vec<Term<'a>>,
    typed: impl Fn(Term<'a>) -> Result<T, InvalidFilter>,
) -> Result<Test<T>, InvalidFilter> {
    let mut values = terms.into_iter().map(typed).collect::<Result<Vec<_>, _>>()?;
    let value = values.remove(0);
    Ok(Test::In(value, values))
}

/// What a function was given, taken one by one.
pub(super) struct Arguments<'p, 'a> {
    given: std::vec::IntoIter<Term<'a>>,
    /// Of the function's name.
    place: &'p Placed<'a>,
}

impl<'p, 'a> Arguments<'p, 'a> {
    pub(super) fn new(given: Vec<Term<'a>>, place: &'p Placed<'a>) -> Self {
        Self { given: given.into_iter(), place }
    }

    fn one(&mut self) -> Result<Term<'a>, InvalidFilter> {
        self.given.next().ok_or_else(|| self.place.unexpected("more arguments for this function"))
    }

    pub(super) fn text(&mut self) -> Result<Text, InvalidFilter> {
        self.one()?.text(TEXT)
    }

    pub(super) fn length(&mut self) -> Result<Number, InvalidFilter> {
        let argument = self.one()?;
        match argument.kind {
            Kind::Groups => Ok(Number::GroupCount),
            _ => Ok(Number::Length(argument.text("a text, userId, connectionId or groups")?)),
        }
    }

    /// Where in a text, or how much of it: only a literal will do.
    pub(super) fn place(&mut self) -> Result<usize, InvalidFilter> {
        let argument = self.one()?;
        let place = match argument.kind {
            Kind::Number(Number::Literal(number)) => usize::try_from(number).ok(),
            _ => None,
        };
        place.ok_or_else(|| argument.place.unexpected("a number of 0 or more"))
    }

    pub(super) fn optional_place(&mut self) -> Result<Option<usize>, InvalidFilter> {
        if self.given.len() == 0 { Ok(None) } else { self.place().map(Some) }
    }

    pub(super) fn no_more(&mut self) -> Result<(), InvalidFilter> {
        self.given.next().map_or(Ok(()), |argument| {
            Err(argument.place.unexpected("no further argument for this function"))
        })
    }
}
