//! From the text of a filter to its tree, by recursive descent: `or`, `and`, comparison, `not`, and what stands alone.
//!
//! It moves along the tokens and leaves the types to the terms. Every way down a level counts, so no text can exhaust the stack.

use super::DEEPEST;
use super::expression::{Condition, Flag, Number, Operator, Text};
use super::invalid::InvalidFilter;
use super::term::{Arguments, Kind, TEXT, Term, compare, named, one_of};
use super::token::{Placed, Token, Tokens};

const VALUE: &str =
    "a value: a text in quotes, a number, true, false, null, userId, connectionId or a function";
const LIST: &str = "`groups` or a list in parentheses";
const FUNCTION: &str =
    "startswith, endswith, contains, indexof, length, concat, substring, tolower, toupper or trim";

/// Reads a whole filter.
pub(super) fn filter(text: &str) -> Result<Condition, InvalidFilter> {
    let mut tokens = Tokens::new(text);
    let next = tokens.next()?;
    let mut parser = Parser { tokens, next, depth: 0 };
    let term = parser.or()?;
    match (&parser.next.token, &term.kind) {
        (Token::End, _) => term.condition(),
        (_, Kind::Condition(_) | Kind::Flag(_)) => Err(parser.next.unexpected("`and`, `or` or the end")),
        _ => Err(parser.next.unexpected("`eq`, `ne`, `gt`, `ge`, `lt`, `le` or `in`")),
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    next: Placed<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Term<'a>, InvalidFilter> {
        self.chain("or", Self::and, Condition::Or)
    }

    fn and(&mut self) -> Result<Term<'a>, InvalidFilter> {
        self.chain("and", Self::comparison, Condition::And)
    }

    /// One part, or several conditions with the word between them.
    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Term<'a>, InvalidFilter>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Term<'a>, InvalidFilter> {
        let first = part(self)?;
        if self.next.token != Token::Word(word) {
            return Ok(first);
        }
        let place = first.place.clone();
        let mut conditions = vec![first.condition()?];
        while self.next.token == Token::Word(word) {
            self.advance()?;
            conditions.push(part(self)?.condition()?);
        }
        Ok(Term { kind: Kind::Condition(join(conditions)), place })
    }

    fn comparison(&mut self) -> Result<Term<'a>, InvalidFilter> {
        let left = self.not()?;
        let place = left.place.clone();
        let condition = match self.next.token {
            Token::Word("in") => {
                let left = left.comparable()?;
                self.advance()?;
                self.membership(left)?
            }
            Token::Word(word) => {
                let Some(operator) = Operator::ALL.into_iter().find(|operator| operator.name() == word)
                else {
                    return Ok(left);
                };
                let left = left.comparable()?;
                self.advance()?;
                compare(left, operator, self.not()?.comparable()?)?
            }
            _ => return Ok(left),
        };
        Ok(Term { kind: Kind::Condition(condition), place })
    }

    /// What follows `in`. `(groups)` is the collection as well.
    fn membership(&mut self, left: Term<'a>) -> Result<Condition, InvalidFilter> {
        let place = self.next.clone();
        if self.next.token != Token::Open {
            return match self.alone()?.kind {
                Kind::Groups => Ok(Condition::InGroups(left.text(TEXT)?)),
                _ => Err(place.unexpected(LIST)),
            };
        }
        let mut list = self.arguments()?;
        if let [Term { kind: Kind::Groups, .. }] = list[..] {
            return Ok(Condition::InGroups(left.text(TEXT)?));
        }
        list.insert(0, left);
        one_of(list)
    }

    fn not(&mut self) -> Result<Term<'a>, InvalidFilter> {
        if self.next.token != Token::Word("not") {
            return self.alone();
        }
        let place = self.advance()?;
        let condition = self.deeper(|parser| parser.not()?.condition())?;
        Ok(Term { kind: Kind::Condition(Condition::Not(Box::new(condition))), place })
    }

    /// A value, the collection, a call, or anything in parentheses.
    fn alone(&mut self) -> Result<Term<'a>, InvalidFilter> {
        let place = self.advance()?;
        let kind = match &place.token {
            Token::Open => {
                let inner = self.deeper(Self::or)?;
                self.expect(Token::Close, "`)`")?;
                inner.kind
            }
            Token::Text(text) => Kind::Text(Text::Literal(text.clone())),
            Token::Number(number) => Kind::Number(Number::Literal(*number)),
            Token::Word(word) if self.next.token == Token::Open => self.call(word, &place)?,
            Token::Word(word) => named(word).ok_or_else(|| place.unexpected(VALUE))?,
            Token::Close | Token::Comma | Token::End => return Err(place.unexpected(VALUE)),
        };
        Ok(Term { kind, place })
    }

    fn call(&mut self, function: &str, place: &Placed<'a>) -> Result<Kind, InvalidFilter> {
        let arguments = &mut Arguments::new(self.arguments()?, place);
        let kind = match function {
            "startswith" => Kind::Flag(Flag::StartsWith(arguments.text()?, arguments.text()?)),
            "endswith" => Kind::Flag(Flag::EndsWith(arguments.text()?, arguments.text()?)),
            "contains" => Kind::Flag(Flag::Contains(arguments.text()?, arguments.text()?)),
            "indexof" => Kind::Number(Number::IndexOf(arguments.text()?, arguments.text()?)),
            "length" => Kind::Number(arguments.length()?),
            "tolower" => Kind::Text(Text::Lower(arguments.text()?.into())),
            "toupper" => Kind::Text(Text::Upper(arguments.text()?.into())),
            "trim" => Kind::Text(Text::Trim(arguments.text()?.into())),
            "concat" => Kind::Text(Text::Concat(arguments.text()?.into(), arguments.text()?.into())),
            "substring" => Kind::Text(Text::Substring(
                arguments.text()?.into(),
                arguments.place()?,
                arguments.optional_place()?,
            )),
            _ => return Err(place.unexpected(FUNCTION)),
        };
        arguments.no_more()?;
        Ok(kind)
    }

    /// One or more terms in parentheses, with commas between them.
    fn arguments(&mut self) -> Result<Vec<Term<'a>>, InvalidFilter> {
        self.expect(Token::Open, "`(`")?;
        let mut arguments = vec![self.deeper(Self::alone)?];
        while self.next.token == Token::Comma {
            self.advance()?;
            arguments.push(self.deeper(Self::alone)?);
        }
        self.expect(Token::Close, "`,` or `)`")?;
        Ok(arguments)
    }

    fn expect(&mut self, token: Token<'static>, expected: &'static str) -> Result<(), InvalidFilter> {
        if self.next.token == token { self.advance().map(drop) } else { Err(self.next.unexpected(expected)) }
    }

    /// The token that is next, which the one behind it then is.
    fn advance(&mut self) -> Result<Placed<'a>, InvalidFilter> {
        let next = self.tokens.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, InvalidFilter>,
    ) -> Result<T, InvalidFilter> {
        if self.depth == DEEPEST {
            return Err(InvalidFilter::TooDeep { at: self.next.at, limit: DEEPEST });
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}
