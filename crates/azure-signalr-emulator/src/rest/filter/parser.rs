//! Parses a filter into its tree, by recursive descent: `or`, `and`, comparison, `not`, values.

use super::expression::{Boolean, Comparison, Condition, Number, Operator, Text};
use super::tokenizer::{InvalidFilter, PositionedToken, Token, Tokens};

const VALUE: &str = "a value: a text in quotes, a number, true, false, null, userId, connectionId or a function";
const LIST: &str = "`groups` or a list in parentheses";
const FUNCTION: &str = "startswith, endswith, contains, indexof, length, concat, substring, tolower, toupper or trim";

/// How deep parentheses, `not` and calls may nest, so that no filter exhausts the stack.
pub(super) const MAX_DEPTH: usize = 64;

/// Parses a whole filter.
pub(super) fn parse(text: &str) -> Result<Condition, InvalidFilter> {
    let mut tokens = Tokens::new(text);
    let next = tokens.next()?;
    let mut parser = Parser { tokens, next, depth: 0 };
    let term = parser.or()?;
    match (&parser.next.token, &term.kind) {
        (Token::End, _) => term.condition(),
        (_, Kind::Condition(_) | Kind::Boolean(_)) => Err(parser.next.unexpected("`and`, `or` or the end")),
        _ => Err(parser.next.unexpected("`eq`, `ne`, `gt`, `ge`, `lt`, `le` or `in`")),
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    next: PositionedToken<'a>,
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
        let start = first.start.clone();
        let mut conditions = vec![first.condition()?];
        while self.next.token == Token::Word(word) {
            self.advance()?;
            conditions.push(part(self)?.condition()?);
        }
        Ok(Term { kind: Kind::Condition(join(conditions)), start })
    }

    fn comparison(&mut self) -> Result<Term<'a>, InvalidFilter> {
        let left = self.not()?;
        let start = left.start.clone();
        let condition = match self.next.token {
            Token::Word("in") => {
                let left = left.comparable()?;
                self.advance()?;
                self.membership(left)?
            }
            Token::Word(word) => {
                let Some(operator) = Operator::ALL.into_iter().find(|operator| operator.name() == word) else {
                    return Ok(left);
                };
                let left = left.comparable()?;
                self.advance()?;
                compare(left, operator, self.not()?.comparable()?)?
            }
            _ => return Ok(left),
        };
        Ok(Term { kind: Kind::Condition(condition), start })
    }

    /// What follows `in`. `(groups)` is the collection too.
    fn membership(&mut self, left: Term<'a>) -> Result<Condition, InvalidFilter> {
        let start = self.next.clone();
        if self.next.token != Token::Open {
            return match self.primary()?.kind {
                Kind::Groups => Ok(Condition::InGroups(left.text(TEXT)?)),
                _ => Err(start.unexpected(LIST)),
            };
        }
        let mut list = self.arguments()?;
        if let [Term { kind: Kind::Groups, .. }] = list[..] {
            return Ok(Condition::InGroups(left.text(TEXT)?));
        }
        list.insert(0, left);
        membership_of(list)
    }

    fn not(&mut self) -> Result<Term<'a>, InvalidFilter> {
        if self.next.token != Token::Word("not") {
            return self.primary();
        }
        let start = self.advance()?;
        let condition = self.nested(|parser| parser.not()?.condition())?;
        Ok(Term { kind: Kind::Condition(Condition::Not(Box::new(condition))), start })
    }

    /// A value, `groups`, a call, or anything in parentheses.
    fn primary(&mut self) -> Result<Term<'a>, InvalidFilter> {
        let start = self.advance()?;
        let kind = match &start.token {
            Token::Open => {
                let inner = self.nested(Self::or)?;
                self.expect(Token::Close, "`)`")?;
                inner.kind
            }
            Token::Text(text) => Kind::Text(Text::Literal(text.clone())),
            Token::Number(number) => Kind::Number(Number::Literal(*number)),
            Token::Word(word) if self.next.token == Token::Open => self.call(word, &start)?,
            Token::Word(word) => named(word).ok_or_else(|| start.unexpected(VALUE))?,
            Token::Close | Token::Comma | Token::End => return Err(start.unexpected(VALUE)),
        };
        Ok(Term { kind, start })
    }

    fn call(&mut self, function: &str, start: &PositionedToken<'a>) -> Result<Kind, InvalidFilter> {
        let arguments = &mut Arguments::new(self.arguments()?, start);
        let kind = match function {
            "startswith" => Kind::Boolean(Boolean::StartsWith(arguments.text()?, arguments.text()?)),
            "endswith" => Kind::Boolean(Boolean::EndsWith(arguments.text()?, arguments.text()?)),
            "contains" => Kind::Boolean(Boolean::Contains(arguments.text()?, arguments.text()?)),
            "indexof" => Kind::Number(Number::IndexOf(arguments.text()?, arguments.text()?)),
            "length" => Kind::Number(arguments.length()?),
            "tolower" => Kind::Text(Text::Lower(arguments.text()?.into())),
            "toupper" => Kind::Text(Text::Upper(arguments.text()?.into())),
            "trim" => Kind::Text(Text::Trim(arguments.text()?.into())),
            "concat" => Kind::Text(Text::Concat(arguments.text()?.into(), arguments.text()?.into())),
            "substring" => {
                Kind::Text(Text::Substring(arguments.text()?.into(), arguments.index()?, arguments.optional_index()?))
            }
            _ => return Err(start.unexpected(FUNCTION)),
        };
        arguments.no_more()?;
        Ok(kind)
    }

    /// One or more terms in parentheses, with commas between them.
    fn arguments(&mut self) -> Result<Vec<Term<'a>>, InvalidFilter> {
        self.expect(Token::Open, "`(`")?;
        let mut arguments = vec![self.nested(Self::primary)?];
        while self.next.token == Token::Comma {
            self.advance()?;
            arguments.push(self.nested(Self::primary)?);
        }
        self.expect(Token::Close, "`,` or `)`")?;
        Ok(arguments)
    }

    fn expect(&mut self, token: Token<'static>, expected: &'static str) -> Result<(), InvalidFilter> {
        if self.next.token == token { self.advance().map(drop) } else { Err(self.next.unexpected(expected)) }
    }

    /// Takes the next token.
    fn advance(&mut self) -> Result<PositionedToken<'a>, InvalidFilter> {
        let next = self.tokens.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, InvalidFilter>) -> Result<T, InvalidFilter> {
        if self.depth == MAX_DEPTH {
            return Err(InvalidFilter::TooDeep { at: self.next.at, limit: MAX_DEPTH });
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}

const CONDITION: &str = "a condition, such as `userId eq 'a'` or `'g' in groups`";
const COMPARABLE: &str =
    "a value that can be compared (what follows `not` stands in parentheses, as in `not (a eq b)`)";
const TEXT: &str = "a text, userId, connectionId or null";
const SAME_TYPE: &str = "a value of the type it is compared with";
const ORDERED: &str = "texts or numbers: other values have no order";

/// A part of a filter, with its first token.
struct Term<'a> {
    kind: Kind,
    start: PositionedToken<'a>,
}

/// The kinds of terms. `null` has no type until it is compared.
enum Kind {
    Condition(Condition),
    Boolean(Boolean),
    Text(Text),
    Number(Number),
    Null,
    Groups,
}

impl Term<'_> {
    fn condition(self) -> Result<Condition, InvalidFilter> {
        match self.kind {
            Kind::Condition(condition) => Ok(condition),
            Kind::Boolean(flag) => Ok(Condition::Boolean(flag)),
            _ => Err(self.start.unexpected(CONDITION)),
        }
    }

    fn text(self, expected: &'static str) -> Result<Text, InvalidFilter> {
        match self.kind {
            Kind::Text(text) => Ok(text),
            Kind::Null => Ok(Text::Null),
            _ => Err(self.start.unexpected(expected)),
        }
    }

    fn number(self) -> Result<Number, InvalidFilter> {
        match self.kind {
            Kind::Number(number) => Ok(number),
            Kind::Null => Ok(Number::Null),
            _ => Err(self.start.unexpected(SAME_TYPE)),
        }
    }

    fn boolean(self) -> Result<Boolean, InvalidFilter> {
        match self.kind {
            Kind::Boolean(flag) => Ok(flag),
            Kind::Null => Ok(Boolean::Null),
            _ => Err(self.start.unexpected(SAME_TYPE)),
        }
    }

    /// This term, if it is a value: neither `groups` nor a compound condition.
    fn comparable(self) -> Result<Self, InvalidFilter> {
        match self.kind {
            Kind::Condition(_) | Kind::Groups => Err(self.start.unexpected(COMPARABLE)),
            _ => Ok(self),
        }
    }
}

/// A constant or a property. Names of properties ignore letter case.
fn named(word: &str) -> Option<Kind> {
    Some(match word {
        "true" => Kind::Boolean(Boolean::Literal(true)),
        "false" => Kind::Boolean(Boolean::Literal(false)),
        "null" => Kind::Null,
        _ if word.eq_ignore_ascii_case("userId") => Kind::Text(Text::UserId),
        _ if word.eq_ignore_ascii_case("connectionId") => Kind::Text(Text::ConnectionId),
        _ if word.eq_ignore_ascii_case("groups") => Kind::Groups,
        _ => return None,
    })
}

fn compare(left: Term<'_>, operator: Operator, right: Term<'_>) -> Result<Condition, InvalidFilter> {
    let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
    Ok(match (&left.kind, &right.kind) {
        (Kind::Boolean(_), _) | (_, Kind::Boolean(_)) if ordered => {
            return Err(left.start.unexpected(ORDERED));
        }
        (Kind::Boolean(_), _) | (Kind::Null, Kind::Boolean(_)) => {
            Condition::Booleans(Comparison::Compare(left.boolean()?, operator, right.boolean()?))
        }
        (Kind::Number(_), _) | (Kind::Null, Kind::Number(_)) => {
            Condition::Numbers(Comparison::Compare(left.number()?, operator, right.number()?))
        }
        _ => Condition::Texts(Comparison::Compare(left.text(SAME_TYPE)?, operator, right.text(SAME_TYPE)?)),
    })
}

/// Tests whether the first term is among the others. All have the type of the first that is not null.
fn membership_of(terms: Vec<Term<'_>>) -> Result<Condition, InvalidFilter> {
    let typed = terms.iter().find(|term| !matches!(term.kind, Kind::Null));
    Ok(match typed.map(|term| &term.kind) {
        Some(Kind::Boolean(_)) => Condition::Booleans(first_in_others(terms, Term::boolean)?),
        Some(Kind::Number(_)) => Condition::Numbers(first_in_others(terms, Term::number)?),
        _ => Condition::Texts(first_in_others(terms, |term| term.text(SAME_TYPE))?),
    })
}

fn first_in_others<'a, T>(
    terms: Vec<Term<'a>>,
    typed: impl Fn(Term<'a>) -> Result<T, InvalidFilter>,
) -> Result<Comparison<T>, InvalidFilter> {
    let mut values = terms.into_iter().map(typed).collect::<Result<Vec<_>, _>>()?;
    let value = values.remove(0);
    Ok(Comparison::In(value, values))
}

/// The arguments of a function, taken one by one.
struct Arguments<'p, 'a> {
    given: std::vec::IntoIter<Term<'a>>,
    /// The name of the function.
    start: &'p PositionedToken<'a>,
}

impl<'p, 'a> Arguments<'p, 'a> {
    fn new(given: Vec<Term<'a>>, start: &'p PositionedToken<'a>) -> Self {
        Self { given: given.into_iter(), start }
    }

    fn one(&mut self) -> Result<Term<'a>, InvalidFilter> {
        self.given.next().ok_or_else(|| self.start.unexpected("more arguments for this function"))
    }

    fn text(&mut self) -> Result<Text, InvalidFilter> {
        self.one()?.text(TEXT)
    }

    fn length(&mut self) -> Result<Number, InvalidFilter> {
        let argument = self.one()?;
        match argument.kind {
            Kind::Groups => Ok(Number::GroupCount),
            _ => Ok(Number::Length(argument.text("a text, userId, connectionId or groups")?)),
        }
    }

    /// A literal index or length.
    fn index(&mut self) -> Result<usize, InvalidFilter> {
        let argument = self.one()?;
        let start = match argument.kind {
            Kind::Number(Number::Literal(number)) => usize::try_from(number).ok(),
            _ => None,
        };
        start.ok_or_else(|| argument.start.unexpected("a number of 0 or more"))
    }

    fn optional_index(&mut self) -> Result<Option<usize>, InvalidFilter> {
        if self.given.len() == 0 { Ok(None) } else { self.index().map(Some) }
    }

    fn no_more(&mut self) -> Result<(), InvalidFilter> {
        self.given
            .next()
            .map_or(Ok(()), |argument| Err(argument.start.unexpected("no further argument for this function")))
    }
}
