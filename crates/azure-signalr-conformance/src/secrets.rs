//! What must not be seen in a result: the access key, and anything that looks like a token.
//!
//! Cases take care themselves; this is for what a service puts into its own words.

use crate::outcome::Outcome;
use crate::token::Key;

const HIDDEN: &str = "***";

/// How much of what a service says is worth showing, in characters.
const SHOWN: usize = 400;

impl Outcome {
    /// The same, fit to be shown.
    pub(crate) fn without_secrets(self, key: &Key) -> Self {
        let clean = |text: String| shortened(&without_ids(&without_tokens(&text.replace(&key.0, HIDDEN))));
        match self {
            Self::Refused { said } => Self::Refused { said: clean(said) },
            Self::Failed { expected, came } => Self::Failed { expected: clean(expected), came: clean(came) },
            other => other,
        }
    }
}

/// The ids that open a connection stand in the answer to a negotiation.
fn without_ids(text: &str) -> String {
    const BEFORE: &str = "\"connectionToken\":";
    let mut pieces = text.split(BEFORE);
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        clean.push_str(BEFORE);
        clean.push_str(HIDDEN);
        // What follows the value: the text behind its closing quote.
        clean.push_str(
            piece.trim_start().trim_start_matches('"').split_once('"').map_or("", |(_, rest)| rest),
        );
    }
    clean
}

/// Tokens are three runs of base64url with dots between them, and the first begins as every JSON object does.
fn without_tokens(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("eyJ") {
        let (before, token) = rest.split_at(begin);
        let part_of_it = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        clean.push_str(before);
        clean.push_str(HIDDEN);
        rest = token.trim_start_matches(part_of_it);
    }
    clean.push_str(rest);
    clean
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_key_nor_token_is_shown() {
        let key = Key("hush".to_owned());
        let token = key.sign(crate::token::HEADER, "{}").0;
        let came = format!("401 key hush, token \"{token}\", and {token}");
        let outcome = Outcome::Failed { expected: "200".to_owned(), came }.without_secrets(&key);
        let came = "401 key ***, token \"***\", and ***".to_owned();
        assert_eq!(outcome, Outcome::Failed { expected: "200".to_owned(), came });
    }

    #[test]
    fn ids_that_open_connections_are_not_shown() {
        let key = Key("hush".to_owned());
        let said = r#"{"connectionId":"a","connectionToken":"b","x":["connectionToken": "c"#.to_owned();
        let said = Outcome::Refused { said }.without_secrets(&key);
        let clean = r#"{"connectionId":"a","connectionToken":***,"x":["connectionToken":***"#.to_owned();
        assert_eq!(said, Outcome::Refused { said: clean });
    }

    #[test]
    fn long_words_are_cut() {
        let said = "ä".repeat(SHOWN + 1);
        let Outcome::Refused { said } = (Outcome::Refused { said }).without_secrets(&Key("k".to_owned()))
        else {
            panic!()
        };
        assert_eq!(said.chars().count(), SHOWN + 1);
        assert!(said.ends_with("ä…"));
    }
}
