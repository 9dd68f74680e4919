//! The result of a case: `CaseResult` and `Failure` within a case, `Outcome` in the report, and the redaction of secrets.
//!
//! A case ends at its first failure, which says what was expected and what was received. Cases show no secrets themselves;
//! redaction covers what a service writes into its responses.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::credentials::AccessKey;

const REDACTED: &str = "***";

/// The maximum length of a text in a result, in characters.
const MAX_TEXT_CHARS: usize = 400;

/// The outcome of a case: passed, failed, known to differ, not implemented by the service, or not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service behaves as expected.
    Passed,
    /// The service says that it does not implement the feature: status 501.
    NotImplemented {
        /// The body of the response.
        message: String,
    },
    /// The service behaves differently.
    Failed {
        /// What was expected.
        expected: String,
        /// What was received.
        actual: String,
    },
    /// The service behaves differently, and the list of known differences has the case.
    KnownToDiffer {
        /// The reason in the list.
        reason: String,
    },
    /// The case was not run.
    NotRun {
        /// What is missing.
        reason: String,
    },
}

impl Outcome {
    /// Removes the access key, tokens and connection tokens, and shortens long texts.
    pub(crate) fn redacted(self, key: &AccessKey) -> Self {
        let redact = |text: String| shorten(&redact_connection_tokens(&redact_tokens(&text.replace(&key.0, REDACTED))));
        match self {
            Self::NotImplemented { message } => Self::NotImplemented { message: redact(message) },
            Self::Failed { expected, actual } => Self::Failed { expected: redact(expected), actual: redact(actual) },
            other => other,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::NotImplemented { .. } => "not implemented",
            Self::Failed { .. } => "FAILED",
            Self::KnownToDiffer { .. } => "known to differ",
            Self::NotRun { .. } => "not run",
        })
    }
}

/// The outcome of a case that ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) Outcome);

/// The result of a case or of one of its steps.
pub(crate) type CaseResult<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(expected: impl Display, actual: impl Display) -> Self {
        Self(Outcome::Failed { expected: expected.to_string(), actual: actual.to_string() })
    }

    /// The case cannot run without `requirement`.
    pub(crate) fn needs(requirement: impl Display) -> Self {
        Self(Outcome::NotRun { reason: format!("needs {requirement}") })
    }
}

/// Adds the step of the case to the failure of a result.
pub(crate) trait AtStep {
    /// Prefixes the expectation of a failure with the step of the case.
    fn at(self, step: impl Display) -> Self;
}

impl<T> AtStep for CaseResult<T> {
    fn at(self, step: impl Display) -> Self {
        self.map_err(|failure| match failure.0 {
            Outcome::Failed { expected, actual } => Failure::new(format_args!("{step}: {expected}"), actual),
            other => Failure(other),
        })
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The URL of a request can contain a token.
        Self::new("a response", error_chain(&error.without_url()))
    }
}

/// An error with all its sources.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Fails unless the values are equal; the failure shows both as JSON.
pub(crate) fn expect_eq<T: PartialEq + Serialize>(what: impl Display, expected: T, actual: T) -> CaseResult {
    if expected == actual {
        return Ok(());
    }
    let json = |value: &T| serde_json::to_string(value).unwrap_or_default();
    Err(Failure::new(format_args!("{what}: {}", json(&expected)), json(&actual)))
}

/// Fails unless the condition is true.
pub(crate) fn expect(condition: bool, expected: impl Display, actual: impl Display) -> CaseResult {
    if condition { Ok(()) } else { Err(Failure::new(expected, actual)) }
}

/// Redacts the values of `connectionToken` in the JSON of a negotiate response.
fn redact_connection_tokens(text: &str) -> String {
    const PROPERTY: &str = "\"connectionToken\":";
    let mut pieces = text.split(PROPERTY);
    let mut redacted = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        redacted.push_str(PROPERTY);
        redacted.push_str(REDACTED);
        let rest = piece.trim_start().trim_start_matches('"').split_once('"').map_or("", |(_, rest)| rest);
        redacted.push_str(rest);
    }
    redacted
}

/// Redacts JWTs: base64url with dots, beginning as every base64url of a JSON object does.
fn redact_tokens(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, token) = rest.split_at(start);
        redacted.push_str(before);
        redacted.push_str(REDACTED);
        rest = token.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    }
    redacted.push_str(rest);
    redacted
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_redacted() {
        let key = AccessKey("hush".to_owned());
        let token = key.sign(crate::credentials::HEADER, "{}").0;
        let actual = format!("401 key hush, token \"{token}\", and {token}");
        let outcome = Outcome::Failed { expected: "200".to_owned(), actual }.redacted(&key);
        let actual = "401 key ***, token \"***\", and ***".to_owned();
        assert_eq!(outcome, Outcome::Failed { expected: "200".to_owned(), actual });
    }

    #[test]
    fn connection_tokens_are_redacted() {
        let key = AccessKey("hush".to_owned());
        let message = r#"{"connectionId":"a","connectionToken":"b","x":["connectionToken": "c"#.to_owned();
        let outcome = Outcome::NotImplemented { message }.redacted(&key);
        let message = r#"{"connectionId":"a","connectionToken":***,"x":["connectionToken":***"#.to_owned();
        assert_eq!(outcome, Outcome::NotImplemented { message });
    }

    #[test]
    fn long_texts_are_shortened() {
        let message = "ä".repeat(MAX_TEXT_CHARS + 1);
        let Outcome::NotImplemented { message } =
            (Outcome::NotImplemented { message }).redacted(&AccessKey("k".to_owned()))
        else {
            panic!()
        };
        assert_eq!(message.chars().count(), MAX_TEXT_CHARS + 1);
        assert!(message.ends_with("ä…"));
    }
}
