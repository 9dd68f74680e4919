//! [`Templates`]: which event goes to which URL.
//!
//! The file is the official emulator's `settings.json`, or has the property `upstream` of the resource in Azure. Other sections are
//! ignored. In a template an unknown property is an error: a misspelt `EventPattern` would match everything.

use std::fmt;
use std::str::FromStr;

use url::Url;

use super::pattern::{EmptyPattern, Pattern};
use super::settings::{Object, Setting, shortened};
use super::url_template::{InvalidUrl, UrlTemplate};

/// Where a file has its templates: in the form of the official emulator, and in that of the resource type
/// [`Microsoft.SignalRService/signalR`](https://learn.microsoft.com/azure/templates/microsoft.signalrservice/signalr), with or without
/// its `properties`.
const PLACES: [&[&str]; 3] =
    [&["UpstreamSettings", "Templates"], &["upstream", "templates"], &["properties", "upstream", "templates"]];

/// The upstream templates of a service, in the order they are tried.
///
/// Parsed from the settings of the official emulator:
///
/// ```
/// use azure_signalr_emulator::Templates;
///
/// let templates: Templates = r#"{"UpstreamSettings": {"Templates": [
///     {"UrlTemplate": "http://localhost:7071/runtime/webhooks/signalr", "EventPattern": "connected, disconnected"},
///     {"UrlTemplate": "http://localhost:7071/{hub}/{event}", "HubPattern": "chat", "CategoryPattern": "messages"},
/// ]}}"#.parse()?;
/// # Ok::<(), azure_signalr_emulator::InvalidTemplates>(())
/// ```
///
/// or from the properties of the resource in Azure, as `{"properties": {"upstream": {"templates": […]}}}` or
/// `{"upstream": {"templates": […]}}`. As in .NET configuration, there may be comments and trailing commas, and property names ignore
/// letter case.
///
/// The first template whose patterns all match is used. A pattern is `*`, one name, or names with commas between
/// them; left out, it is `*`. Names of hubs ignore letter case, those of categories and events do not. A name that can match nothing
/// is a warning in the log when the emulator starts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Templates {
    templates: Vec<Template>,
    warnings: Vec<String>,
}

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
        self.templates.iter().find(|template| template.matches(hub, category, event))
    }

    /// The names in patterns that can match nothing.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn len(&self) -> usize {
        self.templates.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }
}

impl Template {
    fn matches(&self, hub: &str, category: &str, event: &str) -> bool {
        self.hub.matches_hub(hub) && self.category.matches(category) && self.event.matches(event)
    }

    /// What can match nothing in the patterns.
    fn warnings(&self) -> impl Iterator<Item = String> {
        let warnings = [
            ("HubPattern", self.hub.hub_warnings()),
            ("CategoryPattern", self.category.category_warnings()),
            ("EventPattern", self.event.event_warnings(&self.category)),
        ];
        let named = |(pattern, warnings): (_, Vec<String>)| {
            warnings.into_iter().map(move |warning| format!("`{pattern}` {warning}"))
        };
        warnings.into_iter().flat_map(named)
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
        let only = |problem| InvalidTemplates(vec![problem]);
        let settings = Setting::parse(settings).map_err(only)?;
        let settings = templates_of(&settings).map_err(only)?;
        let (mut templates, mut problems, mut warnings) = (Vec::with_capacity(settings.len()), Vec::new(), Vec::new());
        for (index, setting) in settings.iter().enumerate() {
            let place = |text: String| format!("template {}: {text}", index + 1);
            let template = read_template(setting, &mut |problem| problems.push(place(problem)));
            if let Some(template) = template {
                warnings.extend(template.warnings().map(place));
                templates.push(template);
            }
        }
        if problems.is_empty() { Ok(Self { templates, warnings }) } else { Err(InvalidTemplates(problems)) }
    }
}

/// The templates in a settings file.
fn templates_of(settings: &Setting) -> Result<&[Setting], String> {
    let Setting::Object(settings) = settings else { return Err("the settings must be a JSON object".to_owned()) };
    let mut found = None;
    for place in PLACES {
        let Some(templates) = array_at(settings, place)? else { continue };
        if let Some((_, earlier)) = found.replace((templates, place)) {
            return Err(format!("`{}` and `{}` are both given: remove one", earlier.join("."), place.join(".")));
        }
    }
    Ok(found.map_or(&[], |(templates, _)| templates))
}

/// The array at a path, if there is one.
fn array_at<'a>(settings: &'a Object, path: &[&str]) -> Result<Option<&'a [Setting]>, String> {
    let mut object = settings;
    for (index, key) in path.iter().enumerate() {
        let is_last = index + 1 == path.len();
        match object.get(key) {
            None => return Ok(None),
            Some(Setting::Array(array)) if is_last => return Ok(Some(array)),
            Some(Setting::Object(inner)) if !is_last => object = inner,
            Some(_) => {
                let wanted = if is_last { "array" } else { "object" };
                return Err(format!("`{}` must be an {wanted}", path[..=index].join(".")));
            }
        }
    }
    Ok(None)
}

/// Parses a template, and reports every problem of it.
fn read_template(template: &Setting, report: &mut impl FnMut(String)) -> Option<Template> {
    let Setting::Object(template) = template else {
        report("it must be an object".to_owned());
        return None;
    };
    let known = ["UrlTemplate", "HubPattern", "CategoryPattern", "EventPattern", "Auth"];
    for name in template.keys().filter(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        report(format!("`{}` is unknown: there are {}", shortened(name), known.join(", ")));
    }
    check_auth(template.get("Auth"), report);
    let mut pattern = |name| read_pattern(template, name).map_err(|problem| report(format!("`{name}` {problem}"))).ok();
    let (hub, category, event) = (pattern("HubPattern"), pattern("CategoryPattern"), pattern("EventPattern"));
    let url = read_url(template).map_err(|problem| report(format!("`UrlTemplate`: {problem}"))).ok();
    Some(Template { url: url?, hub: hub?, category: category?, event: event? })
}
fn read_url(template: &Object) -> Result<UrlTemplate, String> {
    match template.get("UrlTemplate") {
        None => Err("it is missing".to_owned()),
        Some(Setting::Text(text)) => UrlTemplate::parse(text).map_err(|invalid: InvalidUrl| invalid.to_string()),
        Some(_) => Err("it must be a string".to_owned()),
    }
}

fn read_pattern(template: &Object, name: &str) -> Result<Pattern, String> {
    match template.get(name) {
        None => Ok(Pattern::Any),
        Some(Setting::Text(text)) if text.starts_with('[') => {
            Err("is an expression of an ARM template, which is not evaluated: write the pattern itself".to_owned())
        }
        Some(Setting::Text(text)) => {
            Pattern::parse(text).map_err(|EmptyPattern| "is empty: use `*` for everything".to_owned())
        }
        Some(_) => Err("must be a string".to_owned()),
    }
}

/// A managed identity is not emulated.
fn check_auth(auth: Option<&Setting>, report: &mut impl FnMut(String)) {
    let kind = match auth {
        None => return,
        Some(Setting::Object(auth)) => auth.get("Type"),
        Some(_) => None,
    };
    match kind {
        Some(Setting::Text(kind)) if kind.eq_ignore_ascii_case("None") => {}
        Some(Setting::Text(kind)) if kind.eq_ignore_ascii_case("ManagedIdentity") => {
            report("`Auth` of type ManagedIdentity is not emulated: use None, and check `X-ASRS-Signature`".to_owned());
        }
        _ => report("`Auth` must be an object with the `Type` None".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

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
        assert_eq!(error("{\n\"hush\": oops}"), "line 2, column 9: expected value");
        assert_eq!(error("[]"), "the settings must be a JSON object");
        assert_eq!(error(r#"{"UpstreamSettings":{"Templates":{}}}"#), "`UpstreamSettings.Templates` must be an array");
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
}
