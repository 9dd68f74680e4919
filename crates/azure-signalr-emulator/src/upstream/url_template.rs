//! Addresses with `{hub}`, `{category}` and `{event}` in them.
//!
//! Clients choose the name of an event, so whatever is put in stays inside its segment or its value of the query: it
//! cannot add a segment, climb out of its folder, or name another host.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// What RFC 3986 reserves for no purpose, and so is left as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a secret of Azure Key Vault is referred to.
const KEY_VAULT: &str = "@Microsoft.KeyVault(";

/// An address that was found good, whatever is put in. It may hold a function key, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UrlTemplate(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hub,
    Category,
    Event,
}

/// Why a text is no template of an address. Says what is wrong, never what the address was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InvalidUrl {
    KeyVault,
    UnknownParameter(String),
    Unclosed,
    NotAbsolute,
    Credentials,
    ParameterInHost,
    DotSegment,
}

impl UrlTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let template = Self(pieces(text)?);
        let one = template.fill("a", "a", "a").ok_or_else(|| template.why_unusable())?;
        let other = template.fill("b", "b", "b").ok_or(InvalidUrl::ParameterInHost)?;
        if !matches!(one.scheme(), "http" | "https") || one.host_str().is_none() {
            return Err(InvalidUrl::NotAbsolute);
        }
        if !one.username().is_empty() || one.password().is_some() {
            return Err(InvalidUrl::Credentials);
        }
        if one.authority() != other.authority() || one.scheme() != other.scheme() {
            return Err(InvalidUrl::ParameterInHost);
        }
        Ok(template)
    }

    /// The address for one event. `None` when a name makes a segment `.` or `..`, which no escaping can carry.
    pub(super) fn fill(&self, hub: &str, category: &str, event: &str) -> Option<Url> {
        let text = self.text(hub, category, event);
        if has_dot_segment(&text) {
            return None;
        }
        let mut url = Url::parse(&text).ok()?;
        // It is never sent.
        url.set_fragment(None);
        Some(url)
    }

    fn text(&self, hub: &str, category: &str, event: &str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Hub => text.extend(utf8_percent_encode(hub, ESCAPED)),
                Piece::Category => text.extend(utf8_percent_encode(category, ESCAPED)),
                Piece::Event => text.extend(utf8_percent_encode(event, ESCAPED)),
            }
        }
        text
    }

    fn why_unusable(&self) -> InvalidUrl {
        if has_dot_segment(&self.text("a", "a", "a")) {
            InvalidUrl::DotSegment
        } else if Url::parse(&self.text("1", "1", "1")).is_ok() {
            // Only a port takes digits and no letters.
            InvalidUrl::ParameterInHost
        } else {
            InvalidUrl::NotAbsolute
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, InvalidUrl> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while let Some((literal, after)) = rest.split_once('{') {
        if after.starts_with(KEY_VAULT) {
            return Err(InvalidUrl::KeyVault);
        }
        let (name, after) = after.split_once('}').ok_or(InvalidUrl::Unclosed)?;
        pieces.push(Piece::Text(literal.to_owned()));
        pieces.push(match name {
            "hub" => Piece::Hub,
            "category" => Piece::Category,
            "event" => Piece::Event,
            name => return Err(InvalidUrl::UnknownParameter(name.to_owned())),
        });
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// URLs are read so that `%2e` is a dot too, and so that a backslash is a slash.
fn has_dot_segment(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|segment| {
        let longest = "%2e%2e".len();
        segment.len() <= longest
            && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    })
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyVault => f.write_str(
                "a secret of Azure Key Vault (`{@Microsoft.KeyVault(…)}`) is not emulated: put the secret itself there",
            ),
            Self::UnknownParameter(name) => {
                let shown: String = name.chars().take(32).collect();
                write!(f, "`{{{shown}}}` is unknown: there are `{{hub}}`, `{{category}}` and `{{event}}`")
            }
            Self::Unclosed => f.write_str("a `{` is never closed"),
            Self::NotAbsolute => f.write_str("it must be an absolute address, http or https"),
            Self::Credentials => f.write_str("a user name or password before the host is not sent: leave it out"),
            Self::ParameterInHost => {
                f.write_str("parameters may stand in the path and in the query, not in the host, since clients choose the event")
            }
            Self::DotSegment => f.write_str("write its path without `.` and `..`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str, event: &str) -> Option<String> {
        UrlTemplate::parse(template).unwrap().fill("chat", "messages", event).map(String::from)
    }

    fn refused(template: &str) -> InvalidUrl {
        UrlTemplate::parse(template).err().unwrap()
    }

    #[test]
    fn case_78_parameters_are_filled_in_and_escaped() {
        assert_eq!(
            filled("http://h:7071/{hub}/api/{category}/{event}?code=k&e={event}", "a/b c?&ü").unwrap(),
            "http://h:7071/chat/api/messages/a%2Fb%20c%3F%26%C3%BC?code=k&e=a%2Fb%20c%3F%26%C3%BC"
        );
        assert_eq!(filled("https://h/hook", "x").unwrap(), "https://h/hook");
    }

    #[test]
    fn what_is_not_emulated_is_named() {
        let reference =
            "https://h/?code={@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s/)}";
        assert_eq!(refused(reference), InvalidUrl::KeyVault);
        assert!(InvalidUrl::KeyVault.to_string().contains("Key Vault"));
        assert_eq!(refused("http://h/{Hub}"), InvalidUrl::UnknownParameter("Hub".to_owned()));
        assert!(refused("http://h/{user}").to_string().starts_with("`{user}` is unknown"));
        assert_eq!(refused("http://h/{hub"), InvalidUrl::Unclosed);
    }

    #[test]
    fn what_is_no_address_of_a_webhook_is_refused() {
        for text in ["", "/api", "h/api", "ftp://h/", "http://", "mailto:a@b", "{hub}://h/"] {
            assert_eq!(refused(text), InvalidUrl::NotAbsolute, "{text}");
        }
        assert_eq!(refused("http://user:secret@h/"), InvalidUrl::Credentials);
        assert_eq!(refused("http://h/a/../b"), InvalidUrl::DotSegment);
        for text in ["http://{event}/", "http://h{hub}/", "http://{category}.h/", "http://h:8{event}/"] {
            assert_eq!(refused(text), InvalidUrl::ParameterInHost, "{text}");
        }
    }

    #[test]
    fn a_name_cannot_climb_out_of_its_folder() {
        for event in [".", ".."] {
            assert_eq!(filled("http://h/api/{event}", event), None);
            assert_eq!(filled("http://h/api/{event}/x", event), None);
        }
        assert_eq!(filled("http://h/api/.{event}", "."), None);
        assert_eq!(filled("http://h/api/{event}", "%2e%2E").unwrap(), "http://h/api/%252e%252E");
        assert_eq!(filled("http://h/api?{event}", "..").unwrap(), "http://h/api?..");
    }

    proptest! {
        #[test]
        fn whatever_the_names_they_come_back_out_of_their_own_segment(hub in ".*", category in ".*", event in ".*") {
            let template = UrlTemplate::parse("http://h:1/a/{hub}/{category}/{event}?e={event}&z=1").unwrap();
            let dots = |name: &String| name == "." || name == "..";
            let Some(url) = template.fill(&hub, &category, &event) else {
                prop_assert!([&hub, &category, &event].into_iter().any(dots));
                return Ok(());
            };
            let segments: Vec<_> = url.path_segments().unwrap()
                .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned())
                .collect();
            prop_assert_eq!(segments, ["a", &hub, &category, &event]);
            let query: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(query, [event.as_str(), "1"]);
            prop_assert_eq!(url.authority(), "h:1");
        }

        #[test]
        fn any_text_is_a_template_or_a_sentence(text in ".*", event in ".*") {
            match UrlTemplate::parse(&text) {
                Ok(template) => { let _ = template.fill("chat", "messages", &event); }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }

        #[test]
        fn text_around_parameters_is_no_surprise(text in r"(http|https)://[a-z]{1,3}(:[0-9]{1,4})?[/\\?#{}a-z.%@]{0,20}", event in ".*") {
            if let Ok(template) = UrlTemplate::parse(&text)
                && let Some(url) = template.fill("chat", "messages", &event)
            {
                let usual = template.fill("a", "a", "a").unwrap();
                prop_assert_eq!(url.authority(), usual.authority());
                let segments = |url: &Url| url.path_segments().map(Iterator::count);
                prop_assert_eq!(segments(&url), segments(&usual));
            }
        }
    }
}
