//! The record of one post, for whoever keeps a journal.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::posting::Failure;

/// Characters of names and addresses that are kept.
const LONGEST_SHOWN: usize = 256;

/// What was posted where, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) category: &'static str,
    /// `connected`, `disconnected`, or a hub method as its client spells it; cut where it is very long.
    pub(crate) event: String,
    /// The address without its query, where function keys live, and cut as well; `None` if there was none.
    pub(crate) url: Option<String>,
    pub(crate) outcome: Outcome,
    /// From the event to the last byte of the answer, waiting included.
    pub(crate) took: Duration,
}

/// What came of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The status of the answer.
    Answered(u16),
    Failed(Failure),
}

impl Outcome {
    /// Whether the upstream took the event.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }

    /// What it usually means where the upstream is a Functions host, as the end of a sentence.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Answered(401) => {
                " (does the upstream have an access key of this service in its connection string?)"
            }
            Self::Answered(403) => " (has the function of this event failed?)",
            Self::Answered(404) => " (is there a function for this hub, category and event?)",
            _ => "",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "answered {status}"),
            Self::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

/// A name of a client's choosing, cut to a length that logs and journals bear.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => [&name[..end], "…"].concat(),
        None => name.to_owned(),
    }
}

/// What of an address may be shown. The name of an event may be part of it.
pub(super) fn shown_address(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    shown(url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shown("größer"), "größer");
        assert_eq!(shown(&"ü".repeat(LONGEST_SHOWN)), "ü".repeat(LONGEST_SHOWN));
        assert_eq!(shown(&"ü".repeat(1 << 20)), ["ü".repeat(LONGEST_SHOWN).as_str(), "…"].concat());
    }

    #[test]
    fn an_address_is_shown_without_its_query() {
        let url = Url::parse("http://h:7071/api/x?code=hush").unwrap();
        assert_eq!(shown_address(&url), "http://h:7071/api/x");
    }

    #[test]
    fn defect_13_the_usual_causes_are_hinted_at() {
        assert!(Outcome::Answered(401).hint().contains("access key"));
        assert!(Outcome::Answered(404).hint().contains("function"));
        assert!(Outcome::Answered(403).hint().contains("function"));
        assert_eq!(Outcome::Failed(Failure::TimedOut).hint(), "");
    }
}
