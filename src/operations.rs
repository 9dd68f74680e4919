//! The operations of the app: the functions in Azure, by the paths of their routes.
//!
//! The host matches the fixed segments of a path in any letter case and with one trailing slash, and forwards the path as the caller wrote
//! it. The value of a parameter, such as a connection id, is the caller's: its letter case counts, and it is not logged.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The paths of the app's routes, with the names that they have in the access log.
#[derive(Default)]
pub(crate) struct Operations {
    named: Vec<Operation>,
    /// Routes that are in the log as unknown paths.
    unnamed: Vec<PathTemplate>,
}

/// A name and its path.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) route: PathTemplate,
}

/// A path whose segments are fixed, or parameters in braces: `/api/rooms/{room}/members`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTemplate(String);

/// The operation of unknown paths. They share one name, so that callers cannot create names.
pub(crate) const UNMATCHED: &str = "unmatched";
/// The operation of the host's health check.
pub(crate) const PROBE: &str = "probe";

/// What an unknown path is not logged beyond: a mistyped path of a room can contain a connection id.
const WORDS_OF_ROOMS: [&str; 2] = ["room", "member"];

impl Operations {
    /// The operations with the given names and paths, and the host's probe. Paths of `unnamed` are routes without a name of their own.
    pub(crate) fn new<'a>(
        named: impl IntoIterator<Item = (&'static str, &'a str)>,
        unnamed: impl IntoIterator<Item = String>,
    ) -> Self {
        let probe = std::iter::once((PROBE, "/"));
        let named = probe.chain(named).map(|(name, route)| Operation { name, route: PathTemplate(route.to_owned()) });
        Self { named: named.collect(), unnamed: unnamed.into_iter().map(PathTemplate).collect() }
    }

    /// The operation at `path`, as the host matches it.
    pub(crate) fn at(&self, path: &str) -> Option<&Operation> {
        let path = without_slash(path);
        self.named.iter().find(|operation| operation.route.matches(path))
    }

    /// `path` with the fixed segments of its route as they are declared there, its parameters as they are, and without a trailing slash.
    pub(crate) fn normalize<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let path = without_slash(path);
        let mut routes = self.named.iter().map(|operation| &operation.route).chain(&self.unnamed);
        routes.find(|route| route.matches(path)).map_or(Cow::Borrowed(path), |route| route.fill(path))
    }
}

impl PathTemplate {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn has_parameters(&self) -> bool {
        self.0.contains('{')
    }

    fn matches(&self, path: &str) -> bool {
        if !self.has_parameters() {
            return self.0.eq_ignore_ascii_case(path);
        }
        let (mut declared, mut segments) = (self.0.split('/'), path.split('/'));
        loop {
            match (declared.next(), segments.next()) {
                (None, None) => return true,
                (Some(declared), Some(segment)) if is_parameter(declared) && !segment.is_empty() => {}
                (Some(declared), Some(segment)) if declared.eq_ignore_ascii_case(segment) => {}
                _ => return false,
            }
        }
    }

    /// This path with the parameters of `path`, which matches it.
    fn fill<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if !self.has_parameters() {
            return if self.0 == path { Cow::Borrowed(path) } else { Cow::Owned(self.0.clone()) };
        }
        let segments = self.0.split('/').zip(path.split('/'));
        let filled = segments.map(|(declared, segment)| if is_parameter(declared) { segment } else { declared });
        Cow::Owned(filled.collect::<Vec<_>>().join("/"))
    }
}

fn is_parameter(declared: &str) -> bool {
    declared.starts_with('{')
}

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
}

/// The part of `path` that is logged: all of it if its operation has no parameters; else the route of the operation. An unknown path ends
/// after the first word that could belong to the path of a room.
pub(crate) fn loggable_path<'a>(operation: Option<&'a Operation>, path: &'a str) -> &'a str {
    match operation {
        Some(operation) if operation.route.has_parameters() => operation.route.as_str(),
        Some(_) => path,
        None => up_to_a_room(path),
    }
}

fn up_to_a_room(path: &str) -> &str {
    let end_of_word = |text: &str| {
        let text = text.to_ascii_lowercase();
        WORDS_OF_ROOMS.iter().filter_map(|word| Some(text.find(word)? + word.len())).min()
    };
    if let Some(end) = end_of_word(path) {
        return &path[..end];
    }
    match path.find('%') {
        Some(start) if end_of_word(&percent_decode_str(path).decode_utf8_lossy()).is_some() => &path[..start],
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = "/v2/rooms/{room}/members/{connectionId}";

    fn operations() -> Operations {
        let named =
            [("SendMessage", "/v2/messages"), ("RoomMembers", "/v2/rooms/{room}/members"), ("RoomMember", MEMBER)];
        Operations::new(named, ["/SendMessage".to_owned()])
    }

    #[test]
    fn a_path_has_its_name_in_every_form_the_host_lets_through() {
        let operations = operations();
        let name = |path| operations.at(path).map(|operation| operation.name);
        for path in ["/v2/messages", "/V2/Messages", "/v2/messages/"] {
            assert_eq!(name(path), Some("SendMessage"), "{path}");
        }
        for path in ["/v2/rooms/games/members", "/V2/ROOMS/Games/Members/", "/v2/rooms/%7Broom%7D/members"] {
            assert_eq!(name(path), Some("RoomMembers"), "{path}");
        }
        for path in ["/v2/rooms/games/members/Ab-9", "/V2/Rooms/Games/MEMBERS/members/"] {
            assert_eq!(name(path), Some("RoomMember"), "{path}");
        }
        assert_eq!((name("/"), name("//")), (Some(PROBE), Some(PROBE)));
        for path in [
            "", "/v2", "/v2/messages//", "/v2/messages/x", "*", "/SendMessage", "/v2/rooms//members", "/v2/rooms",
            "/v2/rooms/games/members//", "/v2/rooms/games/members/a/b", "/x/v2/rooms/games/members",
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn only_the_fixed_segments_of_a_path_lose_their_letter_case() {
        for (path, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/v2/messages", "/v2/messages"),
            ("/V2/Messages/", "/v2/messages"),
            ("/sendmessage", "/SendMessage"),
            ("/SENDMESSAGE/", "/SendMessage"),
            ("/V2/Rooms/Games/Members/", "/v2/rooms/Games/members"),
            ("/V2/Rooms/Games/Members/Ab-_9Z", "/v2/rooms/Games/members/Ab-_9Z"),
            ("/V2/rooms/ROOMS/MEMBERS/MEMBERS/", "/v2/rooms/ROOMS/members/MEMBERS"),
            ("/v2/rooms/a%2FB/members/%41b", "/v2/rooms/a%2FB/members/%41b"),
            ("/V2/Unknown/Path/", "/V2/Unknown/Path"),
            ("/v2/rooms/Games/members/A/", "/v2/rooms/Games/members/A"),
            ("/v2/Rooms/Games/members/A//", "/v2/Rooms/Games/members/A/"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(operations().normalize(path), expected, "{path}");
        }
    }

    #[test]
    fn a_normalized_path_stays_as_it_is() {
        for path in ["/", "/v2/messages", "/v2/rooms/Games/members/Ab", "/V2/Unknown"] {
            assert_eq!(operations().normalize(path), path);
        }
    }

    #[test]
    fn no_part_of_a_path_that_could_be_a_connection_id_is_logged() {
        let operations = operations();
        for (path, expected) in [
            ("/v2/messages", "/v2/messages"),
            ("/V2/Messages/", "/V2/Messages/"),
            ("/v2/rooms/games/members", "/v2/rooms/{room}/members"),
            ("/V2/Rooms/games/Members/SECRET/", MEMBER),
            ("/v2/rooms/SECRET/members/games", MEMBER),
            ("/v2/rooms/games/members/SECRET/x", "/v2/room"),
            ("/v2/Room/games/member/SECRET", "/v2/Room"),
            ("/members/SECRET", "/member"),
            ("/v2/%72ooms/games/%6Dembers/SECRET", "/v2/"),
            ("/v2%2Frooms%2Fgames%2Fmembers%2FSECRET", "/v2%2Froom"),
            ("/v2/gr%C3%BC%C3%9Fe", "/v2/gr%C3%BC%C3%9Fe"),
            ("/.env", "/.env"),
        ] {
            assert_eq!(loggable_path(operations.at(path), path), expected, "{path}");
        }
    }
}
