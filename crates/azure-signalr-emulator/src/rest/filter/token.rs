//! Words, texts, numbers and signs of a filter.
//!
//! A sign belongs to the digits that follow it at once: nothing is ever added or subtracted in a filter.

use super::invalid::InvalidFilter;

/// What a filter is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    /// Its quotes are taken off, and those inside it are single again.
    Text(String),
    Number(i64),
    Open,
    Close,
    Comma,
    End,
}

/// A token, and the character it begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    /// Counted from 1.
    pub(super) at: usize,
    /// The filter from this token on.
    pub(super) rest: &'a str,
}

impl Placed<'_> {
    pub(super) fn unexpected(&self, expected: &'static str) -> InvalidFilter {
        InvalidFilter::unexpected(self.at, expected, self.rest)
    }
}

/// Cuts a filter into tokens, one at a time.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(filter: &'a str) -> Self {
        Self { rest: filter, at: 1 }
    }

    /// The next token; at the end, the end again and again.
    pub(super) fn next(&mut self) -> Result<Placed<'a>, InvalidFilter> {
        self.skip(length_of(self.rest, char::is_whitespace));
        let (at, rest) = (self.at, self.rest);
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some('(') => (Token::Open, 1),
            Some(')') => (Token::Close, 1),
            Some(',') => (Token::Comma, 1),
            Some('\'') => self.text()?,
            Some(c) if c.is_ascii_digit() || "+-".contains(c) => self.number()?,
            Some(c) if c.is_ascii_alphabetic() => {
                let length = length_of(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                (Token::Word(&rest[..length]), length)
            }
            Some(_) => return Err(InvalidFilter::unexpected(at, "a word, a text or a number", rest)),
        };
        self.skip(length);
        Ok(Placed { token, at, rest })
    }

    /// The text at the beginning of the rest, and how many bytes it is written with.
    fn text(&self) -> Result<(Token<'a>, usize), InvalidFilter> {
        let (mut text, mut length) = (String::new(), 1);
        while let Some((part, more)) = self.rest[length..].split_once('\'') {
            text.push_str(part);
            length += part.len() + 1;
            if !more.starts_with('\'') {
                return Ok((Token::Text(text), length));
            }
            text.push('\'');
            length += 1;
        }
        Err(InvalidFilter::Unclosed { at: self.at })
    }

    fn number(&self) -> Result<(Token<'a>, usize), InvalidFilter> {
        let length = 1 + length_of(&self.rest[1..], |c| c.is_ascii_alphanumeric() || "._".contains(c));
        let number = self.rest[..length].parse();
        let number = number.map_err(|_| {
            InvalidFilter::unexpected(self.at, "a whole number of at most 64 bits", self.rest)
        })?;
        Ok((Token::Number(number), length))
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.at += skipped.chars().count();
        self.rest = rest;
    }
}

/// How many bytes at the beginning of a text have all their characters fit.
fn length_of(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(filter: &str) -> Result<Vec<Token<'_>>, InvalidFilter> {
        let mut tokens = Tokens::new(filter);
        let mut read = Vec::new();
        loop {
            match tokens.next()?.token {
                Token::End => return Ok(read),
                token => read.push(token),
            }
        }
    }

    #[test]
    fn a_quote_in_a_text_is_written_twice() {
        assert_eq!(tokens("'it''s' ''''").unwrap(), [Token::Text("it's".into()), Token::Text("'".into())]);
    }

    #[test]
    fn numbers_have_a_sign_and_no_point() {
        let numbers = tokens("-1,+2 9223372036854775807").unwrap();
        assert_eq!(
            numbers,
            [Token::Number(-1), Token::Comma, Token::Number(2), Token::Number(9_223_372_036_854_775_807)]
        );
        for filter in ["1.5", "9223372036854775808", "-", "1a"] {
            assert!(tokens(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        let mut tokens = Tokens::new("'é' eq ü");
        assert_eq!(tokens.next().unwrap().at, 1);
        assert_eq!(tokens.next().unwrap().at, 5);
        let error = tokens.next().unwrap_err().to_string();
        assert_eq!(error, "character 8 of the filter: expected a word, a text or a number, found `ü`");
    }

    #[test]
    fn a_text_without_an_end_says_where_it_began() {
        assert_eq!(tokens("a 'b''"), Err(InvalidFilter::Unclosed { at: 3 }));
    }
}
