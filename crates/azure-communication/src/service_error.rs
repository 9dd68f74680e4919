//! The service's own words about a refusal: for logs, as the cause of an error.
//!
//! They may repeat what was sent, addresses with the id of a person in them included. So only what looks like a word is kept.

use std::fmt;

use serde::Deserialize;

/// More than any message seen.
const LONGEST_MESSAGE: usize = 500;

/// `ExpiresInMinutes` and `'x-ms-content-sha256'` are words; ids, tokens, hashes and addresses are longer.
const LONGEST_WORD: usize = 32;

/// What the service says about a refusal, fit for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceError {
    code: String,
    message: String,
    target: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    error: Described,
}

#[derive(Deserialize)]
struct Described {
    code: String,
    #[serde(default)]
    message: String,
    target: Option<String>,
}

impl ServiceError {
    /// What `body` says, if it is of the service's form.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let Body { error } = serde_json::from_slice(body).ok()?;
        Some(Self {
            code: name(error.code)?,
            message: without_secrets(&error.message),
            target: error.target.and_then(name),
        })
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service says {}: {}", self.code, self.message)?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, " (about {target})"))
    }
}

impl std::error::Error for ServiceError {}

/// A code or the name of a field.
fn name(text: String) -> Option<String> {
    let plain = (1..=LONGEST_WORD).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    plain.then_some(text)
}

/// The words of `message`, with `***` for what is none.
fn without_secrets(message: &str) -> String {
    let words = message.split_whitespace().map(|word| if is_word(word) { word } else { "***" });
    let mut kept = String::new();
    for word in words {
        if kept.len() + word.len() >= LONGEST_MESSAGE {
            kept.push('…');
            break;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    kept
}

/// Punctuation around it aside: letters and digits, joined by nothing an address or an escape needs.
fn is_word(text: &str) -> bool {
    let core = text.trim_matches(|c: char| c.is_ascii_punctuation());
    core.len() <= LONGEST_WORD
        && core.chars().all(|c| c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<ServiceError> {
        ServiceError::parse(json.as_bytes())
    }

    #[test]
    fn the_services_words_are_kept() {
        let error = parse(
            r#"{"error":{"code":"ValidationError","message":"ExpiresInMinutes value 59 is invalid. Value must be within the [60, 1440] interval.","target":"ExpiresInMinutes","details":[{"code":"a"}],"innererror":{}}}"#,
        )
        .unwrap();
        assert_eq!((error.code(), error.target()), ("ValidationError", Some("ExpiresInMinutes")));
        assert_eq!(
            error.to_string(),
            "the service says ValidationError: ExpiresInMinutes value 59 is invalid. Value must be within the [60, 1440] interval. (about ExpiresInMinutes)"
        );
        let error = parse(
            r#"{"error":{"code":"Denied","message":"Request 'x-ms-content-sha256' differs from generated content hash."}}"#,
        );
        assert_eq!(
            error.unwrap().to_string(),
            "the service says Denied: Request 'x-ms-content-sha256' differs from generated content hash."
        );
    }

    #[test]
    fn what_the_service_repeats_of_a_request_is_not_kept() {
        for secret in [
            "http://h/identities/8:acs:a?api-version=1",
            "'8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081'",
            "8%3Aacs%3Aa,",
            "8:acs:a",
            "(11111111-2222-3333-4444-555555555555)",
            "eyJhbGciOiJIUzI1NiJ9.e30.9dUncTnmjixej-DT7yliIx7bOvrq8qPlLFT4mdoWfXk",
            "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs=",
        ] {
            let json =
                serde_json::json!({"error": {"code": "X", "message": format!("it is {secret}\u{1b} here")}});
            assert_eq!(parse(&json.to_string()).unwrap().message, "it is *** here", "{secret}");
        }
    }

    #[test]
    fn a_message_has_an_end() {
        let json = serde_json::json!({"error": {"code": "X", "message": "word ".repeat(1_000)}});
        let message = parse(&json.to_string()).unwrap().message;
        assert!(message.len() < 510 && message.ends_with('…'), "{message}");
    }

    #[test]
    fn what_is_not_of_the_services_form_says_nothing() {
        for body in [
            "",
            "busy",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"error":"busy"}"#,
            r#"{"error":{"message":"no code"}}"#,
            r#"{"error":{"code":7,"message":"m"}}"#,
            r#"{"error":{"code":"8:acs:a","message":"m"}}"#,
            r#"{"error":{"code":"a\nb","message":"m"}}"#,
            r#"{"error":{"code":"Denied","message":"cut o"#,
        ] {
            assert_eq!(parse(body), None, "{body}");
        }
        let deep = r#"{"error":{"code":"X","innererror":"#.to_owned() + &r#"{"a":"#.repeat(10_000);
        assert_eq!(parse(&deep), None);
    }
}
