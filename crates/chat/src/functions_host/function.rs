//! One HTTP function, parsed from its `function.json`.
//!
//! Accepted is only what the host forwards as plain HTTP: exactly one `httpTrigger` in and one `http` out. With other bindings the host
//! silently switches to another protocol, so here that is an error at start.

use axum::http::Method;
use serde::Deserialize;

/// The name and the `function.json` of each function of this repository.
pub(crate) const REPOSITORY_FILES: [(&str, &str); 11] = [
    ("negotiate", include_str!("../../../../negotiate/function.json")),
    ("SendMessage", include_str!("../../../../SendMessage/function.json")),
    ("SignalRInfo", include_str!("../../../../SignalRInfo/function.json")),
    ("AccessToken", include_str!("../../../../AccessToken/function.json")),
    ("Me", include_str!("../../../../Me/function.json")),
    ("Features", include_str!("../../../../Features/function.json")),
    ("Rooms", include_str!("../../../../Rooms/function.json")),
    ("RoomMembers", include_str!("../../../../RoomMembers/function.json")),
    ("RoomMember", include_str!("../../../../RoomMember/function.json")),
    ("History", include_str!("../../../../History/function.json")),
    ("RemoveMessage", include_str!("../../../../RemoveMessage/function.json")),
];

/// The name, route and methods of a function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The route below `/api/`, as written. A segment in braces is a parameter: it matches any text.
    pub(crate) route: String,
    /// The allowed methods; `None` is all.
    pub(crate) methods: Option<Vec<Method>>,
}

/// Why a `function.json` is invalid. `Display` names the function and the change to make.
#[derive(Debug, thiserror::Error)]
#[error("{function}/function.json: {reason}")]
pub(crate) struct FunctionError {
    function: String,
    reason: String,
}

#[derive(Deserialize)]
struct File {
    bindings: Vec<Binding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    r#type: String,
    direction: String,
    auth_level: Option<String>,
    methods: Option<Vec<String>>,
    route: Option<String>,
}

impl Binding {
    fn is(&self, r#type: &str, direction: &str) -> bool {
        self.r#type.eq_ignore_ascii_case(r#type) && self.direction.eq_ignore_ascii_case(direction)
    }
}

impl Function {
    /// The functions of this repository, compiled in so that the binary can be started anywhere.
    pub(crate) fn of_repository() -> Vec<Self> {
        REPOSITORY_FILES.map(|(name, json)| Self::parse(name, json).expect("a test parses these files")).into()
    }

    /// Parses `json`, the text of `function.json` in the folder `name`. Function keys are errors too, and of route templates all but plain
    /// parameters (constraints, defaults, optional and catch-all parameters): they are not emulated.
    pub(crate) fn parse(name: &str, json: &str) -> Result<Self, FunctionError> {
        read(name, json).map_err(|reason| FunctionError { function: name.to_owned(), reason })
    }

    /// Whether `path` is the function's, in any letter case, with or without a trailing slash.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        let prefix = "/api/";
        let is_below = path.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        is_below && self.matches(&path[prefix.len()..])
    }

    /// Whether `path`, without the prefix, has the fixed segments of the route and a text for each parameter.
    fn matches(&self, path: &str) -> bool {
        let (mut declared, mut segments) = (self.route.split('/'), path.split('/'));
        loop {
            match (declared.next(), segments.next()) {
                (None, None) => return true,
                (Some(declared), Some(segment)) if is_parameter(declared) && !segment.is_empty() => {}
                (Some(declared), Some(segment)) if declared.eq_ignore_ascii_case(segment) => {}
                _ => return false,
            }
        }
    }

    /// Where the parameters of the route are. Of two functions at a path, the host calls the one whose value is lower: it prefers fixed
    /// segments, the first ones most.
    pub(crate) fn parameters(&self) -> impl Ord + use<> {
        self.route.split('/').map(is_parameter).collect::<Vec<_>>()
    }

    /// Whether `method` is allowed.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|listed| listed.contains(method))
    }

    /// Checks that no two functions have a route and a method in common.
    pub(crate) fn check_conflicts(functions: &[Self]) -> Result<(), FunctionError> {
        for (index, function) in functions.iter().enumerate() {
            if let Some(other) = functions[..index].iter().find(|other| function.conflicts_with(other)) {
                let reason = format!("it has a route and a method in common with `{}`", other.name);
                return Err(FunctionError { function: function.name.clone(), reason });
            }
        }
        Ok(())
    }

    fn conflicts_with(&self, other: &Self) -> bool {
        let same_method = match (&self.methods, &other.methods) {
            (Some(methods), _) => methods.iter().any(|method| other.allows(method)),
            (None, Some(methods)) => !methods.is_empty(),
            (None, None) => true,
        };
        same_method && self.has_route_of(other)
    }

    /// Whether both match the same paths: the names of parameters make no difference.
    fn has_route_of(&self, other: &Self) -> bool {
        let without_names = |function: &Self| {
            let segments = function.route.split('/').map(|segment| if is_parameter(segment) { "{}" } else { segment });
            segments.collect::<Vec<_>>().join("/")
        };
        without_names(self).eq_ignore_ascii_case(&without_names(other))
    }
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

fn read(name: &str, json: &str) -> Result<Function, String> {
    check_name(name)?;
    let file: File = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let trigger = match file.bindings.as_slice() {
        [a, b] if a.is("httpTrigger", "in") && b.is("http", "out") => a,
        [a, b] if b.is("httpTrigger", "in") && a.is("http", "out") => b,
        _ => return Err("needs exactly two bindings, one `httpTrigger` in and one `http` out".to_owned()),
    };
    check_level(trigger.auth_level.as_deref())?;
    let route = trigger.route.as_deref().unwrap_or(name);
    check_route(route)?;
    let methods = trigger.methods.as_ref().map(|listed| listed.iter().map(read_method).collect()).transpose()?;
    Ok(Function { name: name.to_owned(), route: route.to_owned(), methods })
}

fn check_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let only_allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if starts_well && only_allowed && name.len() <= 128 && !name.eq_ignore_ascii_case("host") {
        return Ok(());
    }
    Err("a function's folder is named by a letter and up to 127 letters, digits, `-` and `_`, and not `host`"
        .to_owned())
}

fn check_level(level: Option<&str>) -> Result<(), String> {
    match level {
        Some(level) if level.eq_ignore_ascii_case("anonymous") => Ok(()),
        Some(_) => {
            Err("`authLevel` must be `anonymous`: the page has no function key to send, and keys are not emulated"
                .to_owned())
        }
        None => Err("without `authLevel` the host asks for a function key: set it to `anonymous`".to_owned()),
    }
}

fn check_route(route: &str) -> Result<(), String> {
    let first = route.split('/').next().unwrap_or_default();
    if route.split('/').any(str::is_empty) {
        return Err("`route` needs a name between its slashes, and none at its ends".to_owned());
    }
    if ["admin", "runtime"].iter().any(|reserved| first.eq_ignore_ascii_case(reserved)) {
        return Err("`route` may not begin with `admin` or `runtime`, which the host reserves".to_owned());
    }
    if !route.split('/').all(is_plain_segment) {
        let rule = "`route` may hold letters, digits, `-_.~/`, and whole segments that are parameters, such as `{id}`; other templates \
                    are not emulated";
        return Err(rule.to_owned());
    }
    Ok(())
}

fn is_plain_segment(segment: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => !name.is_empty() && name.bytes().all(is_name),
        None => segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)),
    }
}

fn read_method(text: &String) -> Result<Method, String> {
    let known =
        "GET POST PUT DELETE PATCH HEAD OPTIONS TRACE".split(' ').find(|known| known.eq_ignore_ascii_case(text));
    let known = known.ok_or_else(|| format!("`methods` lists `{text}`, which is not an HTTP method"))?;
    Ok(known.parse().expect("these are HTTP methods"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(fields: &str) -> String {
        format!(
            r#"{{"bindings":[{{"type":"httpTrigger","direction":"in","name":"req"{fields}}},
                {{"type":"http","direction":"out","name":"res"}}]}}"#
        )
    }

    fn parse_error(name: &str, json: &str) -> String {
        Function::parse(name, json).unwrap_err().to_string()
    }

    #[test]
    fn a_file_names_the_route_and_the_methods() {
        let json = trigger(r#","authLevel":"anonymous","methods":["post"],"route":"messages""#);
        let function = Function::parse("SendMessage", &json).unwrap();
        assert_eq!((&*function.name, &*function.route), ("SendMessage", "messages"));
        assert!(function.allows(&Method::POST));
        assert!(
            !function.allows(&Method::GET) && !function.allows(&Method::HEAD) && !function.allows(&Method::OPTIONS)
        );
    }

    #[test]
    fn the_default_is_the_folder_as_route_and_every_method() {
        let function = Function::parse("negotiate", &trigger(r#","authLevel":"Anonymous""#)).unwrap();
        assert_eq!(function.route, "negotiate");
        assert!(function.allows(&Method::GET) && function.allows(&Method::DELETE));
    }

    #[test]
    fn paths_match_in_any_case_with_one_trailing_slash() {
        let json = trigger(r#","authLevel":"anonymous","route":"SignalRInfo""#);
        let function = Function::parse("SignalRInfo", &json).unwrap();
        for path in ["/api/SignalRInfo", "/api/signalrinfo", "/API/SIGNALRINFO/"] {
            assert!(function.is_at(path), "{path}");
        }
        for path in [
            "/", "/api", "/api/", "/SignalRInfo", "/api/SignalRInfo//", "/api//SignalRInfo", "/api/SignalRInfo/x",
            "/äpi/SignalRInfo", "/apiä",
        ] {
            assert!(!function.is_at(path), "{path}");
        }
    }

    #[test]
    fn bindings_that_are_not_forwarded_as_plain_http_are_rejected() {
        let incomplete = r#"{"bindings":[{"type":"httpTrigger","direction":"in","authLevel":"anonymous"}]}"#;
        assert!(parse_error("x", incomplete).contains("exactly two bindings"));
        let reversed = r#"{"bindings":[{"type":"httpTrigger","direction":"out"},{"type":"http","direction":"in"}]}"#;
        assert!(parse_error("x", reversed).contains("exactly two bindings"));
        assert!(parse_error("x", "{}").contains("bindings"));
        assert!(parse_error("x", "not json").starts_with("x/function.json: "));
    }

    #[test]
    fn keys_and_route_templates_beyond_plain_parameters_are_not_emulated() {
        assert!(parse_error("x", &trigger("")).contains("authLevel"));
        assert!(parse_error("x", &trigger(r#","authLevel":"function""#)).contains("not emulated"));
        for route in ["x/{id:int}", "x/{id?}", "{*rest}", "x/{id=1}", "x/a{id}", "x/{a}{b}", "x/{}", "x/{id", "x/id}"] {
            let json = trigger(&format!(r#","authLevel":"anonymous","route":"{route}""#));
            assert!(parse_error("x", &json).contains("not emulated"), "{route}");
        }
    }

    fn at(name: &str, route: &str) -> Function {
        Function::parse(name, &trigger(&format!(r#","authLevel":"anonymous","route":"{route}""#))).unwrap()
    }

    #[test]
    fn a_parameter_is_any_text_in_one_segment() {
        let function = at("f", "rooms/{room}/Members/{id}");
        for path in [
            "/api/rooms/games/members/Ab",
            "/API/Rooms/G/MEMBERS/a/",
            "/api/rooms/%7Broom%7D/members/{id}",
            "/api/rooms/rooms/members/members",
        ] {
            assert!(function.is_at(path), "{path}");
        }
        for path in [
            "/api/rooms/games/members", "/api/rooms/games/members/", "/api/rooms//members/a", "/api/rooms/a/b/c",
            "/api/rooms/games/members/a/b", "/api/rooms/games/members/a//", "/rooms/games/members/a",
        ] {
            assert!(!function.is_at(path), "{path}");
        }
    }

    #[test]
    fn a_fixed_segment_is_preferred_to_a_parameter_and_earlier_ones_count_more() {
        let order = ["a/b/c", "a/b/{x}", "a/{x}/c", "a/{x}/{y}", "{x}/b/c"].map(|route| at("f", route));
        assert!(order.is_sorted_by(|one, next| one.parameters() < next.parameters()));
    }

    #[test]
    fn routes_conflict_whatever_their_parameters_are_called() {
        for (one, other, is_conflict) in [
            ("rooms/{room}", "Rooms/{id}", true),
            ("rooms/{room}", "rooms/mine", false),
            ("rooms/{room}", "rooms/{room}/members", false),
            ("{a}/x", "{b}/y", false),
        ] {
            let functions = [at("f", one), at("g", other)];
            assert_eq!(Function::check_conflicts(&functions).is_err(), is_conflict, "{one} {other}");
        }
    }

    #[test]
    fn invalid_names_routes_and_methods_are_rejected() {
        let good = trigger(r#","authLevel":"anonymous","route":"x""#);
        for name in ["", "1x", "a b", "host", "HOST", "a/b", &"a".repeat(129)] {
            assert!(Function::parse(name, &good).is_err(), "{name}");
        }
        for route in ["", "/x", "x/", "a//b", "admin", "Admin/x", "runtime/x", "a b"] {
            let json = trigger(&format!(r#","authLevel":"anonymous","route":"{route}""#));
            assert!(Function::parse("x", &json).is_err(), "{route}");
        }
        assert!(parse_error("x", &trigger(r#","authLevel":"anonymous","methods":["fetch"]"#)).contains("`fetch`"));
    }

    #[test]
    fn two_functions_may_share_a_route_only_with_different_methods() {
        let at_x = |name: &str, methods: &str| {
            let fields = format!(r#","authLevel":"anonymous","route":"{name}","methods":{methods}"#);
            Function::parse("f", &trigger(&fields)).unwrap()
        };
        assert!(Function::check_conflicts(&[at_x("x", r#"["get"]"#), at_x("X", r#"["post"]"#)]).is_ok());
        assert!(Function::check_conflicts(&[at_x("x", r#"["get"]"#), at_x("X", r#"["post","get"]"#)]).is_err());
        assert!(Function::check_conflicts(&[at_x("x", "null"), at_x("x", r#"["post"]"#)]).is_err());
        assert!(Function::check_conflicts(&[at_x("x", "null"), at_x("y", "null")]).is_ok());
    }
}
