//! Which hubs, categories or events a template is for: everything, or the names of a list.
//!
//! There are no wildcards inside names: `*` is either the whole pattern or a name nobody has.

/// One of the three patterns of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Any,
    Names(Vec<String>),
}

/// A pattern of nothing but commas. It would match nothing, which nobody writes on purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoNames;

impl Pattern {
    /// Reads `*`, a name, or names with commas between them. A pattern that is left out or empty matches everything,
    /// as in Azure (the official emulator lets it match nothing).
    pub(super) fn parse(text: &str) -> Result<Self, NoNames> {
        if matches!(text.trim(), "" | "*") {
            return Ok(Self::Any);
        }
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(str::to_owned).collect();
        if names.is_empty() { Err(NoNames) } else { Ok(Self::Names(names)) }
    }

    /// Letter case counts, as in the name of a hub method.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Names(names) => names.iter().any(|own| own == name),
        }
    }

    /// Letter case does not count, as in the name of a hub.
    pub(super) fn matches_hub(&self, hub: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Names(names) => names.iter().any(|own| own.eq_ignore_ascii_case(hub)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_78_names_are_trimmed_and_exact() {
        let pattern = Pattern::parse("connected, disconnected,").unwrap();
        assert!(pattern.matches("connected") && pattern.matches("disconnected"));
        assert!(!pattern.matches("Connected") && !pattern.matches("connect") && !pattern.matches(""));
    }

    #[test]
    fn everything_is_a_star_or_nothing_said() {
        for text in ["*", " * ", "", "  "] {
            assert_eq!(Pattern::parse(text), Ok(Pattern::Any), "{text:?}");
        }
        assert_eq!(Pattern::parse(" , ,"), Err(NoNames));
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
