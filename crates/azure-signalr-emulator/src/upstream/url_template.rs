//! [`UrlTemplate`]: a URL with the parameters `{hub}`, `{category}` and `{event}`.
//!
//! Clients choose the names of events, so a value stays inside its path segment or query value: it cannot add a segment, leave its
//! folder, or change the host.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::settings::shortened;

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The start of a reference to a secret of Azure Key Vault.
const KEY_VAULT: &str = "@Microsoft.KeyVault(";

/// A valid template of a URL. No `Debug`: it may hold a function key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UrlTemplate(Vec<Part>);

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hub,
    Category,
    Event,
}

/// Why a URL template is invalid. Never repeats it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidUrl {
    #[error("a secret of Azure Key Vault (`{{@Microsoft.KeyVault(…)}}`) is not emulated: write the secret itself")]
    KeyVault,
    #[error("`{{{}}}` is unknown: there are `{{hub}}`, `{{category}}` and `{{event}}`", shortened(.0))]
    UnknownParameter(String),
    #[error("an expression of an ARM template (`[…]`) is not evaluated: write the URL itself")]
    Expression,
    #[error("a `{{` is not closed")]
    Unclosed,
    #[error("it must be an absolute URL, http or https")]
    NotAbsolute,
    #[error("a user name or password before the host is not sent: leave it out")]
    Credentials,
    #[error("parameters may stand in the path and in the query, not in the host, since clients choose the event")]
    ParameterInHost,
    #[error("write its path without `.` and `..`")]
    DotSegment,
}

impl UrlTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.trim_start().starts_with('[') {
            return Err(InvalidUrl::Expression);
        }
        let template = Self(parts(text)?);
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

    /// The URL for an event; `None` if a name makes a segment `.` or `..`, which cannot be escaped.
    pub(super) fn fill(&self, hub: &str, category: &str, event: &str) -> Option<Url> {
        let text = self.text(hub, category, event);
        if has_dot_segment(&text) {
            return None;
        }
        let mut url = Url::parse(&text).ok()?;
        // Fragments are never sent.
        url.set_fragment(None);
        Some(url)
    }

    fn text(&self, hub: &str, category: &str, event: &str) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Hub => text.extend(utf8_percent_encode(hub, ESCAPED)),
                Part::Category => text.extend(utf8_percent_encode(category, ESCAPED)),
                Part::Event => text.extend(utf8_percent_encode(event, ESCAPED)),
            }
        }
        text
    }

    fn why_unusable(&self) -> InvalidUrl {
        if has_dot_segment(&self.text("a", "a", "a")) {
            InvalidUrl::DotSegment
        } else if Url::parse(&self.text("1", "1", "1")).is_ok() {
            // Only a port accepts digits and no letters.
            InvalidUrl::ParameterInHost
        } else {
            InvalidUrl::NotAbsolute
        }
    }
}

fn parts(text: &str) -> Result<Vec<Part>, InvalidUrl> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while let Some((literal, after)) = rest.split_once('{') {
        if after.starts_with(KEY_VAULT) {
            return Err(InvalidUrl::KeyVault);
        }
        let (name, after) = after.split_once('}').ok_or(InvalidUrl::Unclosed)?;
        parts.push(Part::Text(literal.to_owned()));
        parts.push(match name {
            "hub" => Part::Hub,
            "category" => Part::Category,
            "event" => Part::Event,
            name => return Err(InvalidUrl::UnknownParameter(name.to_owned())),
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// In URLs `%2e` is a dot too, and a backslash a slash.
fn has_dot_segment(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).any(|segment| {
        let max_len = "%2e%2e".len();
        segment.len() <= max_len && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str, event: &str) -> Option<String> {
        UrlTemplate::parse(template).unwrap().fill("chat", "messages", event).map(String::from)
    }

    fn error_of(template: &str) -> InvalidUrl {
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
    fn unsupported_parameters_are_named() {
        let reference = "https://h/?code={@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s/)}";
        assert_eq!(error_of(reference), InvalidUrl::KeyVault);
        assert!(InvalidUrl::KeyVault.to_string().contains("Key Vault"));
        assert_eq!(error_of("[concat('https://', parameters('host'))]"), InvalidUrl::Expression);
        assert_eq!(error_of("http://h/{Hub}"), InvalidUrl::UnknownParameter("Hub".to_owned()));
        assert!(error_of("http://h/{user}").to_string().starts_with("`{user}` is unknown"));
        assert_eq!(error_of("http://h/{hub"), InvalidUrl::Unclosed);
    }

    #[test]
    fn invalid_urls_are_rejected() {
        for text in ["", "/api", "h/api", "ftp://h/", "http://", "mailto:a@b", "{hub}://h/"] {
            assert_eq!(error_of(text), InvalidUrl::NotAbsolute, "{text}");
        }
        assert_eq!(error_of("http://user:secret@h/"), InvalidUrl::Credentials);
        assert_eq!(error_of("http://h/a/../b"), InvalidUrl::DotSegment);
        for text in ["http://{event}/", "http://h{hub}/", "http://{category}.h/", "http://h:8{event}/"] {
            assert_eq!(error_of(text), InvalidUrl::ParameterInHost, "{text}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
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
        fn any_names_stay_inside_their_own_segments(hub in ".*", category in ".*", event in ".*") {
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
        fn any_text_parses_or_has_an_error_message(text in ".*", event in ".*") {
            match UrlTemplate::parse(&text) {
                Ok(template) => { let _ = template.fill("chat", "messages", &event); }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }

        #[test]
        fn text_around_parameters_stays_as_it_is(text in r"(http|https)://[a-z]{1,3}(:[0-9]{1,4})?[/\\?#{}a-z.%@]{0,20}", event in ".*") {
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
