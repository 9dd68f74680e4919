//! All operations of the REST API: path, method, and the versions that have them.

use std::fmt;

use axum::http::Method;

use crate::api_error::ApiError;
use crate::request::Query;

/// A hub or a part of it, by unchecked names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Hub,
    Group(&'a str),
    User(&'a str),
    Connection(&'a str),
}

/// A group, and a user or a connection, by unchecked names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membership<'a> {
    pub(super) group: &'a str,
    pub(super) member: &'a str,
}

/// A stream to a connection, by unchecked names. The client need not have opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream<'a> {
    pub(super) connection: &'a str,
    pub(super) id: &'a str,
}

/// An operation. A name that stands alone is that of a connection, a group or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Health,
    CreateAccessKey,
    GenerateToken,
    Send(Target<'a>),
    Exists(Target<'a>),
    /// Closes all connections of the target, if there are any.
    CloseConnections(Target<'a>),
    /// Closes one connection, which has to exist.
    CloseConnection(&'a str),
    ListConnections(&'a str),
    AddConnection(Membership<'a>),
    RemoveConnection(Membership<'a>),
    RemoveConnectionFromAll(&'a str),
    HasUser(Membership<'a>),
    AddUser(Membership<'a>),
    RemoveUser(Membership<'a>),
    RemoveUserFromAll(&'a str),
    Execute,
    Invoke(&'a str),
    SendItem(Stream<'a>),
    CompleteStream(Stream<'a>),
}

/// A known path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// Whether the path names v1; else the query has to name the version.
    pub(super) is_v1: bool,
    /// The unchecked name of the hub; empty for operations without a hub.
    pub(super) hub: &'a str,
    actions: Vec<Action<'a>>,
}

/// One operation of a path, with its methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action<'a> {
    methods: &'static [Method],
    pub(super) operation: Operation<'a>,
    /// The first version that has it.
    pub(super) since: Version,
}

fn get(operation: Operation<'_>) -> Action<'_> {
    Action::new(&[Method::GET], operation)
}

fn head(operation: Operation<'_>) -> Action<'_> {
    Action::new(&[Method::HEAD], operation)
}

fn get_or_head(operation: Operation<'_>) -> Action<'_> {
    Action::new(&[Method::GET, Method::HEAD], operation)
}

fn post(operation: Operation<'_>) -> Action<'_> {
    Action::new(&[Method::POST], operation)
}

fn put(operation: Operation<'_>) -> Action<'_> {
    Action::new(&[Method::PUT], operation)
}

fn delete(operation: Operation<'_>) -> Action<'_> {
    Action::new(&[Method::DELETE], operation)
}

/// The fixed segments of all paths, as they are documented.
const FIXED_SEGMENTS: [&str; 16] = [
    "api", "v1", "health", "auth", "accessKey", "hubs", "users", "connections", "groups", "streams", ":send",
    ":closeConnections", ":generateToken", ":execute", ":invoke", ":complete",
];

/// The path with its fixed segments as they are documented, since letter case does not matter there, as in ASP.NET Core. Names keep
/// theirs. From `hubs` on, fixed segments and names alternate.
fn normalized(path: &[String]) -> Vec<&str> {
    let hubs = path.iter().position(|segment| segment.eq_ignore_ascii_case("hubs")).unwrap_or(path.len());
    let segments = path.iter().enumerate().map(|(index, segment)| {
        let is_name = index > hubs && (index - hubs) % 2 == 1;
        let fixed = FIXED_SEGMENTS.into_iter().find(|fixed| fixed.eq_ignore_ascii_case(segment));
        fixed.filter(|_| !is_name).unwrap_or(segment)
    });
    segments.collect()
}

/// Finds the route of a decoded path. Under `/api/v1/` a bare path sends, elsewhere `:send` does.
pub(super) fn find(path: &[String]) -> Option<Route<'_>> {
    let path = normalized(path);
    let (is_v1, path) = match *path.as_slice() {
        ["api", "v1", ref path @ ..] => (true, path),
        ["api", ref path @ ..] => (false, path),
        _ => return None,
    };
    let access_key_since = if is_v1 { Version::V1 } else { Version::V2023_07 };
    let (hub, actions) = match *path {
        ["health"] => ("", vec![get_or_head(Operation::Health)]),
        ["auth", "accessKey"] => ("", vec![get(Operation::CreateAccessKey).since(access_key_since)]),
        ["hubs", hub, ref path @ ..] => (hub, if is_v1 { v1(path)? } else { dated(path)? }),
        _ => return None,
    };
    Some(Route { is_v1, hub, actions })
}

/// The actions of a path below a hub, in the versions with an `api-version`.
fn dated<'a>(path: &[&'a str]) -> Option<Vec<Action<'a>>> {
    use Operation::*;
    use Target::{Connection, Group, Hub, User};
    use Version::{V2022_06, V2022_11, V2023_07, V2024_12};
    let send = |target| vec![post(Send(target))];
    let close = |target| vec![post(CloseConnections(target)).since(V2022_06)];
    Some(match *path {
        [":send"] => send(Hub),
        [":closeConnections"] => close(Hub),
        [":generateToken"] => vec![post(GenerateToken).since(V2022_11)],
        [":execute"] => vec![post(Execute).since(V2023_07)],

        ["users", user] => vec![head(Exists(User(user)))],
        ["users", user, ":send"] => send(User(user)),
        ["users", user, ":closeConnections"] => close(User(user)),
        ["users", user, "groups"] => vec![delete(RemoveUserFromAll(user))],
        ["users", member, "groups", group] => user_in_group(Membership { group, member }),

        ["connections", id] => vec![head(Exists(Connection(id))), delete(CloseConnection(id))],
        ["connections", id, ":send"] => send(Connection(id)),
        ["connections", id, ":invoke"] => vec![post(Invoke(id)).since(V2024_12)],
        ["connections", id, "groups"] => vec![delete(RemoveConnectionFromAll(id)).since(V2022_06)],
        ["connections", connection, "streams", id, ":send"] => {
            vec![post(SendItem(Stream { connection, id })).since(V2024_12)]
        }
        ["connections", connection, "streams", id, ":complete"] => {
            vec![post(CompleteStream(Stream { connection, id })).since(V2024_12)]
        }

        ["groups", group] => vec![head(Exists(Group(group)))],
        ["groups", group, ":send"] => send(Group(group)),
        ["groups", group, ":closeConnections"] => close(Group(group)),
        ["groups", group, "connections"] => vec![get(ListConnections(group)).since(V2024_12)],
        ["groups", group, "connections", member] => connection_in_group(Membership { group, member }),
        _ => return None,
    })
}

/// The actions of a path below a hub, in v1.
fn v1<'a>(path: &[&'a str]) -> Option<Vec<Action<'a>>> {
    use Operation::*;
    use Target::{Connection, Group, Hub, User};
    let send = |target| post(Send(target));
    let exists = |target| get_or_head(Exists(target));
    Some(match *path {
        [] => vec![send(Hub)],
        ["users", user] => vec![exists(User(user)), send(User(user))],
        ["users", user, "groups"] => vec![delete(RemoveUserFromAll(user))],
        ["connections", id] => {
            vec![exists(Connection(id)), send(Connection(id)), delete(CloseConnection(id))]
        }
        ["groups", group] => vec![exists(Group(group)), send(Group(group))],
        ["groups", group, "connections", member] => connection_in_group(Membership { group, member }),
        ["groups", group, "users", member] => user_in_group(Membership { group, member }),
        _ => return None,
    })
}

fn connection_in_group(membership: Membership<'_>) -> Vec<Action<'_>> {
    vec![put(Operation::AddConnection(membership)), delete(Operation::RemoveConnection(membership))]
}

fn user_in_group(membership: Membership<'_>) -> Vec<Action<'_>> {
    vec![
        // HEAD by the specification, but the .NET SDK sends GET.
        get_or_head(Operation::HasUser(membership)),
        put(Operation::AddUser(membership)),
        delete(Operation::RemoveUser(membership)),
    ]
}

impl<'a> Route<'a> {
    /// The action of the method.
    pub(super) fn action(&self, method: &Method) -> Option<Action<'a>> {
        self.actions.iter().find(|action| action.methods.contains(method)).copied()
    }

    /// The value of the `Allow` header.
    pub(super) fn allow(&self) -> String {
        let methods = self.actions.iter().flat_map(|action| action.methods);
        methods.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl<'a> Action<'a> {
    fn new(methods: &'static [Method], operation: Operation<'a>) -> Self {
        Self { methods, operation, since: Version::V1 }
    }

    fn since(self, since: Version) -> Self {
        Self { since, ..self }
    }
}

/// A version of the API, oldest first: they differ in operations and in the status of some responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V1,
    V2020_10,
    V2022_06,
    V2022_11,
    V2023_07,
    V2024_12,
}

impl Version {
    /// All with an `api-version`.
    const DATED: [Self; 5] = [Self::V2020_10, Self::V2022_06, Self::V2022_11, Self::V2023_07, Self::V2024_12];

    pub(super) const NEWEST: Self = Self::V2024_12;

    fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2020_10 => "2020-10-01",
            Self::V2022_06 => "2022-06-01",
            Self::V2022_11 => "2022-11-01",
            Self::V2023_07 => "2023-07-01",
            Self::V2024_12 => "2024-12-01",
        }
    }

    /// The version in a query. It is required, though Azure takes its absence for 2020-10-01: that is seldom meant.
    pub(super) fn of_query(query: Query<'_>) -> Result<Self, ApiError> {
        let error = |what: &str| {
            let known = Self::DATED.map(Self::name).join(", ");
            ApiError::invalid("api-version", format!("{what}; known are {known}"))
        };
        let name = query.last("api-version").ok_or_else(|| error("`api-version` is missing in the query"))?;
        let version = Self::DATED.into_iter().find(|version| version.name() == name);
        version.ok_or_else(|| error("this `api-version` is not known"))
    }

    /// This version, if it is not older than `since`.
    pub(super) fn at_least(self, since: Self) -> Result<Self, ApiError> {
        if self >= since {
            return Ok(self);
        }
        Err(ApiError::not_found(format!(
            "this operation needs `api-version` {since} or later, and the call has {self}"
        )))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(method: Method, path: &str) -> Option<Option<String>> {
        let path = crate::request::path_segments(path).unwrap();
        find(&path).map(|route| route.action(&method).map(|action| format!("{:?}", action.operation)))
    }

    #[test]
    fn each_version_has_its_own_path_to_send() {
        let send = action(Method::POST, "/api/hubs/chat/:send").unwrap().unwrap();
        assert_eq!(send, "Send(Hub)");
        assert_eq!(action(Method::POST, "/api/v1/hubs/chat"), Some(Some(send)));
        assert_eq!(action(Method::POST, "/api/hubs/chat"), None);
        assert_eq!(action(Method::POST, "/api/v1/hubs/chat/:send"), None);
    }

    #[test]
    fn each_version_has_its_own_order_of_user_and_group() {
        let dated = action(Method::PUT, "/api/hubs/chat/users/u/groups/g").unwrap().unwrap();
        assert_eq!(dated, r#"AddUser(Membership { group: "g", member: "u" })"#);
        assert_eq!(action(Method::PUT, "/api/v1/hubs/chat/groups/g/users/u"), Some(Some(dated)));
        assert_eq!(action(Method::PUT, "/api/hubs/chat/groups/g/users/u"), None);
        assert_eq!(action(Method::PUT, "/api/v1/hubs/chat/users/u/groups/g"), None);
    }

    #[test]
    fn fixed_segments_ignore_letter_case_and_names_keep_theirs() {
        for (method, path, expected) in [
            (Method::POST, "/API/V1/Hubs/Chat", "Send(Hub)"),
            (Method::POST, "/Api/Hubs/chat/:SEND", "Send(Hub)"),
            (Method::POST, "/api/hubs/Hubs/Users/Users/:Send/", r#"Send(User("Users"))"#),
            (Method::POST, "/api/hubs/chat/GROUPS/:SEND/:send", r#"Send(Group(":SEND"))"#),
            (
                Method::PUT,
                "/api/hubs/chat/Users/Ann/Groups/GROUPS",
                r#"AddUser(Membership { group: "GROUPS", member: "Ann" })"#,
            ),
            (Method::GET, "/Api/V1/hubs/chat/Connections/aB", r#"Exists(Connection("aB"))"#),
            (
                Method::POST,
                "/api/hubs/chat/connections/aB/Streams/Streams/:Complete",
                r#"CompleteStream(Stream { connection: "aB", id: "Streams" })"#,
            ),
            (Method::POST, "/api/hubs/chat/:closeconnections", "CloseConnections(Hub)"),
            (Method::POST, "/api/hubs/chat/:GENERATETOKEN", "GenerateToken"),
            (Method::POST, "/api/hubs/chat/:Execute", "Execute"),
            (Method::GET, "/API/Auth/accesskey", "CreateAccessKey"),
            (Method::HEAD, "/Api/Health/", "Health"),
        ] {
            assert_eq!(action(method, path).flatten().as_deref(), Some(expected), "{path}");
        }
        assert_eq!(find(&["API", "hubs", "Chat", ":send"].map(str::to_owned)).unwrap().hub, "Chat");
    }

    #[test]
    fn a_segment_is_one_name_with_any_content() {
        assert_eq!(
            action(Method::POST, "/api/hubs/chat/users/a%2F%3Asend/%3Asend").unwrap().unwrap(),
            r#"Send(User("a/:send"))"#
        );
    }

    #[test]
    fn a_known_path_lists_its_methods() {
        let path = crate::request::path_segments("/api/v1/hubs/chat/connections/c").unwrap();
        let route = find(&path).unwrap();
        assert_eq!(route.hub, "chat");
        assert_eq!(route.action(&Method::PUT), None);
        assert_eq!(route.allow(), "GET, HEAD, POST, DELETE");
    }
}
