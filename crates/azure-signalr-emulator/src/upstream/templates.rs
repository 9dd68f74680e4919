//! [`Templates`]: which event goes to which URL.
//!
//! The file is the official emulator's `settings.json`: property names ignore letter case, and other sections are ignored. In a
//! template an unknown property is an error: a misspelt `EventPattern` would match everything.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use url::Url;

use super::url_template::{InvalidUrl, UrlTemplate};

/// The upstream templates of a service, in the order they are tried.
///
/// Parsed from the settings of the official emulator:
///
/// ```
/// use azure_signalr_emulator::Templates;
///
/// let templates: Templates = r#"{"UpstreamSettings": {"Templates": [
///     {"UrlTemplate": "http://localhost:7071/runtime/webhooks/signalr", "EventPattern": "connected, disconnected"},
///     {"UrlTemplate": "http://localhost:7071/{hub}/{event}", "HubPattern": "chat", "CategoryPattern": "messages"}
/// ]}}"#.parse()?;
/// # Ok::<(), azure_signalr_emulator::InvalidTemplates>(())
/// ```
///
/// The first template whose patterns all match is used. A pattern is `*`, one name, or names with commas between
/// them; left out, it is `*`. Names of hubs ignore letter case, those of categories and events do not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Templates(Vec<Template>);

/// A URL, and the events that are sent there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Template {
    url: UrlTemplate,
    hub: Pattern,
    category: Pattern,
    event: Pattern,
}

/// All problems of the templates in a settings file. Never repeats a URL.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct InvalidTemplates(Vec<String>);

impl Templates {
    /// The first template that matches an event.
    pub(super) fn find(&self, hub: &str, category: &str, event: &str) -> Option<&Template> {
        self.0.iter().find(|template| template.matches(hub, category, event))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Template {
    fn matches(&self, hub: &str, category: &str, event: &str) -> bool {
        self.hub.matches_hub(hub) && self.category.matches(category) && self.event.matches(event)
    }

    /// The URL for an event; `None` if its names give no valid one.
    pub(super) fn url(&self, hub: &str, category: &str, event: &str) -> Option<Url> {
        self.url.fill(hub, category, event)
    }
}

/// Hides URLs, which may hold function keys.
impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Templates({})", self.len())
    }
}

impl FromStr for Templates {
    type Err = InvalidTemplates;

    fn from_str(settings: &str) -> Result<Self, InvalidTemplates> {
        // .NET writes a byte order mark.
        let settings = settings.strip_prefix('\u{feff}').unwrap_or(settings);
        let settings: Value = serde_json::from_str(settings).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            InvalidTemplates(vec![format!("line {line}, column {column}: this is not JSON")])
        })?;
        let templates = templates_of(&settings).map_err(|problem| InvalidTemplates(vec![problem.to_owned()]))?;
        let mut problems = Vec::new();
        let mut read = Vec::with_capacity(templates.len());
        for (index, template) in templates.iter().enumerate() {
            let mut report = |problem| problems.push(format!("template {}: {problem}", index + 1));
            read.extend(read_template(template, &mut report));
        }
        if problems.is_empty() { Ok(Self(read)) } else { Err(InvalidTemplates(problems)) }
    }
}

fn templates_of(settings: &Value) -> Result<&[Value], &'static str> {
    let settings = settings.as_object().ok_or("the settings must be a JSON object")?;
    let Some(upstream) = property(settings, "UpstreamSettings").filter(|upstream| !upstream.is_null()) else {
        return Ok(&[]);
    };
    let upstream = upstream.as_object().ok_or("`UpstreamSettings` must be an object")?;
    match property(upstream, "Templates") {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(templates)) => Ok(templates),
        Some(_) => Err("`Templates` must be an array"),
    }
}

/// Parses a template, and reports every problem of it.
fn read_template(template: &Value, report: &mut impl FnMut(String)) -> Option<Template> {
    let Some(template) = template.as_object() else {
        report("it must be an object".to_owned());
        return None;
    };
    let known = ["UrlTemplate", "HubPattern", "CategoryPattern", "EventPattern", "Auth"];
    for name in template.keys().filter(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        let shown: String = name.chars().take(32).collect();
        report(format!("`{shown}` is unknown: there are {}", known.join(", ")));
    }
    check_auth(property(template, "Auth"), report);
    let mut pattern = |name| read_pattern(template, name, report);
    let (hub, category, event) = (pattern("HubPattern"), pattern("CategoryPattern"), pattern("EventPattern"));
    let url = read_url(template).map_err(|problem| report(format!("`UrlTemplate`: {problem}"))).ok();
    Some(Template { url: url?, hub: hub?, category: category?, event: event? })
}

fn read_url(template: &Map<String, Value>) -> Result<UrlTemplate, String> {
    let text = property(template, "UrlTemplate").ok_or("it is missing")?;
    let text = text.as_str().ok_or("it must be a string")?;
    UrlTemplate::parse(text).map_err(|invalid: InvalidUrl| invalid.to_string())
}

fn read_pattern(template: &Map<String, Value>, name: &str, report: &mut impl FnMut(String)) -> Option<Pattern> {
    match property(template, name) {
        None | Some(Value::Null) => Some(Pattern::Any),
        Some(Value::String(text)) => Pattern::parse(text)
            .map_err(|EmptyPattern| report(format!("`{name}` is empty: use `*` for everything")))
            .ok(),
        Some(_) => {
            report(format!("`{name}` must be a string"));
            None
        }
    }
}

/// A managed identity is not emulated.
fn check_auth(auth: Option<&Value>, report: &mut impl FnMut(String)) {
    let kind = match auth {
        None | Some(Value::Null) => return,
        Some(auth) => auth.as_object().and_then(|auth| property(auth, "Type")).and_then(Value::as_str),
    };
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("None") => {}
        Some(kind) if kind.eq_ignore_ascii_case("ManagedIdentity") => {
            report("`Auth` of type ManagedIdentity is not emulated: use None, and check `X-ASRS-Signature`".to_owned());
        }
        _ => report("`Auth` must be an object with the `Type` None".to_owned()),
    }
}

fn property<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A pattern of a template. There are no wildcards inside of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Any,
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
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(str::to_owned).collect();
        if names.is_empty() { Err(EmptyPattern) } else { Ok(Self::Names(names)) }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(templates: &Value) -> Result<Templates, InvalidTemplates> {
        json!({"UpstreamSettings": {"Templates": templates}}).to_string().parse()
    }

    fn errors_of(templates: &Value) -> String {
        read(templates).unwrap_err().to_string()
    }

    fn goes_to(templates: &Templates, hub: &str, category: &str, event: &str) -> Option<String> {
        templates.find(hub, category, event)?.url(hub, category, event).map(String::from)
    }

    #[test]
    fn case_78_the_first_match_wins() {
        let templates = read(&json!([
            {"UrlTemplate": "http://h/1", "EventPattern": "connected, disconnected", "CategoryPattern": "connections"},
            {"UrlTemplate": "http://h/2", "HubPattern": "chat,game", "CategoryPattern": "messages"},
            {"UrlTemplate": "http://h/3", "HubPattern": "*", "CategoryPattern": "messages", "EventPattern": "send"},
        ]))
        .unwrap();
        let to = |hub, category, event| goes_to(&templates, hub, category, event);
        assert_eq!(to("chat", "connections", "connected").unwrap(), "http://h/1");
        assert_eq!(to("other", "connections", "disconnected").unwrap(), "http://h/1");
        assert_eq!(to("chat", "messages", "send").unwrap(), "http://h/2");
        assert_eq!(to("other", "messages", "send").unwrap(), "http://h/3");
        assert_eq!(to("other", "messages", "Send"), None);
        // A hub method may be named like an event of a connection.
        assert_eq!(to("other", "messages", "connected"), None);
    }

    #[test]
    fn a_pattern_left_out_matches_everything() {
        let templates = read(&json!([{"UrlTemplate": "http://h/", "HubPattern": null, "EventPattern": ""}])).unwrap();
        assert!(goes_to(&templates, "any", "messages", "thing").is_some());
    }

    #[test]
    fn property_names_ignore_letter_case_and_other_sections_are_ignored() {
        let settings = r#"{"Logging":{"LogLevel":"x"},"upstreamsettings":{"TEMPLATES":[{"urlTemplate":"http://h/","auth":{"type":"none"}}]}}"#;
        assert_eq!(settings.parse::<Templates>().unwrap().len(), 1);
        let marked = ["\u{feff}", settings].concat();
        assert_eq!(marked.parse::<Templates>().unwrap().len(), 1);
    }

    #[test]
    fn settings_may_have_no_templates() {
        for settings in ["{}", r#"{"UpstreamSettings":{}}"#, r#"{"UpstreamSettings":{"Templates":[]}}"#] {
            assert!(settings.parse::<Templates>().unwrap().is_empty(), "{settings}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let errors = errors_of(&json!([
            {"UrlTemplate": "http://h/?code=hush", "EventPatern": "x", "HubPattern": 1},
            {"UrlTemplate": "nowhere", "CategoryPattern": ","},
            {},
            "http://h/",
        ]));
        let expected = [
            "template 1: `EventPatern` is unknown",
            "template 1: `HubPattern` must be a string",
            "template 2: `CategoryPattern` is empty",
            "template 2: `UrlTemplate`: it must be an absolute URL",
            "template 3: `UrlTemplate`: it is missing",
            "template 4: it must be an object",
        ];
        for problem in expected {
            assert!(errors.contains(problem), "{problem} in {errors}");
        }
        assert!(!errors.contains("hush"), "{errors}");
    }

    #[test]
    fn unsupported_features_are_named() {
        let url = "http://h/";
        assert!(
            errors_of(&json!([{"UrlTemplate": url, "Auth": {"Type": "ManagedIdentity"}}])).contains("ManagedIdentity")
        );
        assert!(errors_of(&json!([{"UrlTemplate": url, "Auth": "None"}])).contains("`Auth` must be"));
        assert!(
            errors_of(&json!([{"UrlTemplate": "http://h/?code={@Microsoft.KeyVault(SecretUri=s)}"}]))
                .contains("Key Vault")
        );
    }

    #[test]
    fn invalid_settings_are_located() {
        let error = |settings: &str| settings.parse::<Templates>().unwrap_err().to_string();
        assert_eq!(error(""), "line 1, column 0: this is not JSON");
        assert_eq!(error("{\n\"hush\": oops}"), "line 2, column 9: this is not JSON");
        assert_eq!(error("[]"), "the settings must be a JSON object");
        assert_eq!(error(r#"{"UpstreamSettings":{"Templates":{}}}"#), "`Templates` must be an array");
    }

    #[test]
    fn templates_do_not_print_their_urls() {
        let templates = read(&json!([{"UrlTemplate": "http://h/?code=hush"}])).unwrap();
        assert_eq!(format!("{templates:?}"), "Templates(1)");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_has_an_error_message(text in ".*") {
            if let Err(error) = text.parse::<Templates>() {
                prop_assert!(!error.to_string().is_empty());
            }
        }

        #[test]
        fn a_named_event_is_found_and_no_other(names in prop::collection::hash_set("[a-zA-Z]{1,8}", 1..5), other in "[a-zA-Z]{1,8}") {
            let list = names.iter().map(String::as_str).collect::<Vec<_>>().join(" , ");
            let templates = read(&json!([{"UrlTemplate": "http://h/{event}", "EventPattern": list}])).unwrap();
            for name in &names {
                prop_assert!(templates.find("chat", "messages", name).is_some());
            }
            prop_assert_eq!(templates.find("chat", "messages", &other).is_some(), names.contains(&other));
        }
    }

    #[test]
    fn case_78_names_are_trimmed_and_exact() {
        let pattern = Pattern::parse("connected, disconnected,").unwrap();
        assert!(pattern.matches("connected") && pattern.matches("disconnected"));
        assert!(!pattern.matches("Connected") && !pattern.matches("connect") && !pattern.matches(""));
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
