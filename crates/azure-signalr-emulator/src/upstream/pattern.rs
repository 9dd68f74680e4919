//! [`Pattern`]: the hubs, categories and events of a template, and names in it that can match nothing.

use super::settings::shortened;
use crate::hub::HubName;

const CONNECTIONS: &str = "connections";

/// The category whose events are invocations of hub methods.
const MESSAGES: &str = "messages";

const CATEGORIES: [&str; 2] = [CONNECTIONS, MESSAGES];

/// The events of the category `connections`.
const CONNECTION_EVENTS: [&str; 2] = ["connected", "disconnected"];

/// A pattern of a template. There are no wildcards inside of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Any,
    /// An empty name matches nothing: hubs, categories and events have names.
    Names(Vec<String>),
}

/// A pattern of commas only, which would match nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EmptyPattern;

impl Pattern {
    /// Parses `*`, a name, or names with commas between them. An empty pattern matches everything, as in Azure (in the official
    /// emulator it matches nothing).
    pub(super) fn parse(text: &str) -> Result<Self, EmptyPattern> {
        if matches!(text.trim(), "" | "*") {
            return Ok(Self::Any);
        }
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().all(String::is_empty) { Err(EmptyPattern) } else { Ok(Self::Names(names)) }
    }

    /// Compares with letter case, as for names of hub methods.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Names(names) => names.iter().any(|own| own == name),
        }
    }

    /// Compares without letter case, as for names of hubs.
    pub(super) fn matches_hub(&self, hub: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Names(names) => names.iter().any(|own| own.eq_ignore_ascii_case(hub)),
        }
    }

    /// The names that can be no hub.
    pub(super) fn hub_warnings(&self) -> Vec<String> {
        self.warnings(|name| HubName::of_client(name).is_err().then(|| "no hub can have this name".to_owned()))
    }

    /// The names that are no category.
    pub(super) fn category_warnings(&self) -> Vec<String> {
        self.warnings(|name| unknown_name(name, "there is no such category", &CATEGORIES))
    }

    /// The names that are no event of these categories. Every name can be that of a hub method: where the categories include
    /// `messages`, only those are warned of that resemble an event of a connection.
    pub(super) fn event_warnings(&self, categories: &Self) -> Vec<String> {
        self.warnings(|name| match (categories.matches(CONNECTIONS), categories.matches(MESSAGES)) {
            (true, false) => unknown_name(name, "there is no such event of a connection", &CONNECTION_EVENTS),
            (true, true) => {
                similar_name(name, &CONNECTION_EVENTS)?;
                unknown_name(name, "only a hub method can have this name", &CONNECTION_EVENTS)
            }
            (false, _) => None,
        })
    }

    /// A warning for each name that is empty, has a wildcard, or has a problem.
    fn warnings(&self, problem: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let Self::Names(names) = self else { return Vec::new() };
        let warning = |name: &String| {
            if name.is_empty() {
                return Some("has an empty element, which matches nothing".to_owned());
            }
            let wildcard = name.contains('*').then(|| "`*` matches everything only if it stands alone".to_owned());
            let problem = wildcard.or_else(|| problem(name))?;
            Some(format!("names `{}`: {problem}", shortened(name)))
        };
        names.iter().filter_map(warning).collect()
    }
}

/// The problem with a name that is not one of the known ones, and what was probably meant.
fn unknown_name(name: &str, problem: &str, known: &[&str; 2]) -> Option<String> {
    let [one, other] = known;
    match similar_name(name, known) {
        Some(meant) if meant == name => None,
        Some(meant) if meant.eq_ignore_ascii_case(name) => {
            Some(format!("{problem}, since letter case counts: `{meant}` was probably meant"))
        }
        Some(meant) => Some(format!("{problem}: `{meant}` was probably meant")),
        None => Some(format!("{problem}: there are `{one}` and `{other}`")),
    }
}

/// The known name that differs from `name` in no more than letter case and ending.
fn similar_name<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().find(|known| stem(known) == stem(name))
}

/// `connect` of `OnConnected`, `connect`, `connections`.
fn stem(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("on").unwrap_or(&name);
    let endings = ["ions", "ion", "ing", "ed", "es", "e", "s"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_78_names_are_trimmed_and_exact() {
        let pattern = Pattern::parse("connected, disconnected,").unwrap();
        assert!(pattern.matches("connected") && pattern.matches("disconnected"));
        assert!(!pattern.matches("Connected") && !pattern.matches("connect"));
    }

    #[test]
    fn a_star_and_an_empty_pattern_match_everything() {
        for text in ["*", " * ", "", "  "] {
            assert_eq!(Pattern::parse(text), Ok(Pattern::Any), "{text:?}");
        }
        assert_eq!(Pattern::parse(" , ,"), Err(EmptyPattern));
    }

    #[test]
    fn a_star_inside_a_list_is_a_name() {
        let pattern = Pattern::parse("send*,other").unwrap();
        assert!(!pattern.matches("sendAll") && pattern.matches("send*"));
    }

    #[test]
    fn hubs_are_compared_as_hubs_are() {
        assert!(Pattern::parse("Chat").unwrap().matches_hub("chat"));
        assert!(!Pattern::parse("Chat").unwrap().matches_hub("chats"));
    }
}
