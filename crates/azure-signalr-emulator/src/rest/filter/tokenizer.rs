//! Splits a filter into words, texts, numbers and signs; and [`InvalidFilter`], the error of all steps.

/// A token of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    /// Without its quotes, and with doubled quotes inside made single.
    Text(String),
    Number(i64),
    Open,
    Close,
    Comma,
    End,
}

/// A token and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PositionedToken<'a> {
    pub(super) token: Token<'a>,
    /// The number of its first character, from 1.
    pub(super) at: usize,
    /// The filter from this token on.
    pub(super) rest: &'a str,
}

impl PositionedToken<'_> {
    pub(super) fn unexpected(&self, expected: &'static str) -> InvalidFilter {
        InvalidFilter::unexpected(self.at, expected, self.rest)
    }
}

/// Splits a filter into tokens, one at a time.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(filter: &'a str) -> Self {
        Self { rest: filter, at: 1 }
    }

    /// The next token; at the end, always [`Token::End`].
    pub(super) fn next(&mut self) -> Result<PositionedToken<'a>, InvalidFilter> {
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
        Ok(PositionedToken { token, at, rest })
    }

    /// The text at the start of the rest, and its length in bytes with quotes.
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

    /// The number at the start of the rest. A sign is part of it, since filters have no arithmetic.
    fn number(&self) -> Result<(Token<'a>, usize), InvalidFilter> {
        let length = 1 + length_of(&self.rest[1..], |c| c.is_ascii_alphanumeric() || "._".contains(c));
        let number = self.rest[..length].parse();
        let number =
            number.map_err(|_| InvalidFilter::unexpected(self.at, "a whole number of at most 64 bits", self.rest))?;
        Ok((Token::Number(number), length))
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.at += skipped.chars().count();
        self.rest = rest;
    }
}

/// The length in bytes of the longest prefix whose characters all fit.
fn length_of(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

/// How much of an unexpected text an error repeats, in characters.
const MAX_QUOTE_CHARS: usize = 24;

/// Why a filter cannot be parsed. Positions count characters of the decoded filter from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidFilter {
    #[error("the filter is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the filter nests deeper than {limit} levels at character {at}")]
    TooDeep { at: usize, limit: usize },
    #[error(
        "the text that begins at character {at} of the filter has no closing quote; a quote in a text is written twice"
    )]
    Unclosed { at: usize },
    #[error("character {at} of the filter: expected {expected}, found {found}")]
    Unexpected { at: usize, expected: &'static str, found: String },
}

impl InvalidFilter {
    /// `rest` is the filter from the unexpected character on.
    pub(super) fn unexpected(at: usize, expected: &'static str, rest: &str) -> Self {
        let end = rest.char_indices().nth(MAX_QUOTE_CHARS).map_or(rest.len(), |(end, _)| end);
        let found = if rest.is_empty() { "the end".to_owned() } else { format!("`{}`", &rest[..end]) };
        Self::Unexpected { at, expected, found }
    }
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
    fn positions_are_counted_in_characters() {
        let mut tokens = Tokens::new("'é' eq ü");
        assert_eq!(tokens.next().unwrap().at, 1);
        assert_eq!(tokens.next().unwrap().at, 5);
        let error = tokens.next().unwrap_err().to_string();
        assert_eq!(error, "character 8 of the filter: expected a word, a text or a number, found `ü`");
    }

    #[test]
    fn an_unclosed_text_is_named_by_its_start() {
        assert_eq!(tokens("a 'b''"), Err(InvalidFilter::Unclosed { at: 3 }));
    }
}
