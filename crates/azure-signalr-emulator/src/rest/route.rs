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

/// An operation, with unchecked names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Health,
    /// Creates an access key for an identity.
    AccessKey,
    /// Generates a client token.
    GenerateToken {
        hub: &'a str,
    },
    Send {
        hub: &'a str,
        target: Target<'a>,
    },
    Exists {
        hub: &'a str,
        target: Target<'a>,
    },
    /// Closes all connections of the target, if there are any.
    CloseConnections {
        hub: &'a str,
        target: Target<'a>,
    },
    /// Closes one connection, which has to exist.
    CloseConnection {
        hub: &'a str,
        connection: &'a str,
    },
    ListConnections {
        hub: &'a str,
        group: &'a str,
    },
    AddConnection {
        hub: &'a str,
        group: &'a str,
        connection: &'a str,
    },
    RemoveConnection {
        hub: &'a str,
        group: &'a str,
        connection: &'a str,
    },
    RemoveConnectionFromAll {
        hub: &'a str,
        connection: &'a str,
    },
    HasUser {
        hub: &'a str,
        group: &'a str,
        user: &'a str,
    },
    AddUser {
        hub: &'a str,
        group: &'a str,
        user: &'a str,
    },
    RemoveUser {
        hub: &'a str,
        group: &'a str,
        user: &'a str,
    },
    RemoveUserFromAll {
        hub: &'a str,
        user: &'a str,
    },
    /// Executes commands for connections that match a filter.
    Execute {
        hub: &'a str,
    },
    Invoke {
        hub: &'a str,
        connection: &'a str,
    },
    SendItem {
        hub: &'a str,
        connection: &'a str,
        stream: &'a str,
    },
    CompleteStream {
        hub: &'a str,
        connection: &'a str,
        stream: &'a str,
    },
}

/// A known path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// Whether the path names v1; else the query has to name the version.
    pub(super) is_v1: bool,
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

/// Finds the route of a decoded path. Under `/api/v1/` a bare path sends, elsewhere `:send` does.
pub(super) fn find(path: &[String]) -> Option<Route<'_>> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (is_v1, actions) = match *path.as_slice() {
        ["api", "v1", ref rest @ ..] => (true, v1(rest)?),
        ["api", ref rest @ ..] => (false, dated(rest)?),
        _ => return None,
    };
    Some(Route { is_v1, actions })
}

fn dated<'a>(path: &[&'a str]) -> Option<Vec<Action<'a>>> {
    use Operation::*;
    use Target::{Connection, Group, Hub, User};
    use Version::{V2022_06, V2022_11, V2023_07, V2024_12};
    let send = |hub, target| vec![post(Send { hub, target })];
    let close = |hub, target| vec![post(CloseConnections { hub, target }).since(V2022_06)];
    Some(match *path {
        ["health"] => vec![get_or_head(Health)],
        ["auth", "accessKey"] => vec![get(AccessKey).since(V2023_07)],

        ["hubs", hub, ":send"] => send(hub, Hub),
        ["hubs", hub, ":closeConnections"] => close(hub, Hub),
        ["hubs", hub, ":generateToken"] => vec![post(GenerateToken { hub }).since(V2022_11)],
        ["hubs", hub, ":execute"] => vec![post(Execute { hub }).since(V2023_07)],

        ["hubs", hub, "users", user] => vec![head(Exists { hub, target: User(user) })],
        ["hubs", hub, "users", user, ":send"] => send(hub, User(user)),
        ["hubs", hub, "users", user, ":closeConnections"] => close(hub, User(user)),
        ["hubs", hub, "users", user, "groups"] => vec![delete(RemoveUserFromAll { hub, user })],
        ["hubs", hub, "users", user, "groups", group] => user_in_group(hub, user, group),

        ["hubs", hub, "connections", connection] => vec![
            head(Exists { hub, target: Connection(connection) }),
            delete(CloseConnection { hub, connection }),
        ],
        ["hubs", hub, "connections", connection, ":send"] => send(hub, Connection(connection)),
        ["hubs", hub, "connections", connection, ":invoke"] => {
            vec![post(Invoke { hub, connection }).since(V2024_12)]
        }
        ["hubs", hub, "connections", connection, "groups"] => {
            vec![delete(RemoveConnectionFromAll { hub, connection }).since(V2022_06)]
        }
        ["hubs", hub, "connections", connection, "streams", stream, ":send"] => {
            vec![post(SendItem { hub, connection, stream }).since(V2024_12)]
        }
        ["hubs", hub, "connections", connection, "streams", stream, ":complete"] => {
            vec![post(CompleteStream { hub, connection, stream }).since(V2024_12)]
        }

        ["hubs", hub, "groups", group] => vec![head(Exists { hub, target: Group(group) })],
        ["hubs", hub, "groups", group, ":send"] => send(hub, Group(group)),
        ["hubs", hub, "groups", group, ":closeConnections"] => close(hub, Group(group)),
        ["hubs", hub, "groups", group, "connections"] => {
            vec![get(ListConnections { hub, group }).since(V2024_12)]
        }
        ["hubs", hub, "groups", group, "connections", connection] => {
            connection_in_group(hub, group, connection)
        }
        _ => return None,
    })
}

fn v1<'a>(path: &[&'a str]) -> Option<Vec<Action<'a>>> {
    use Operation::*;
    use Target::{Connection, Group, Hub, User};
    let send = |hub, target| post(Send { hub, target });
    let exists = |hub, target| get_or_head(Exists { hub, target });
    Some(match *path {
        ["health"] => vec![get_or_head(Health)],
        ["auth", "accessKey"] => vec![get(AccessKey)],
        ["hubs", hub] => vec![send(hub, Hub)],
        ["hubs", hub, "users", user] => vec![exists(hub, User(user)), send(hub, User(user))],
        ["hubs", hub, "users", user, "groups"] => vec![delete(RemoveUserFromAll { hub, user })],
        ["hubs", hub, "connections", connection] => vec![
            exists(hub, Connection(connection)),
            send(hub, Connection(connection)),
            delete(CloseConnection { hub, connection }),
        ],
        ["hubs", hub, "groups", group] => vec![exists(hub, Group(group)), send(hub, Group(group))],
        ["hubs", hub, "groups", group, "connections", connection] => {
            connection_in_group(hub, group, connection)
        }
        ["hubs", hub, "groups", group, "users", user] => user_in_group(hub, user, group),
        _ => return None,
    })
}

fn connection_in_group<'a>(hub: &'a str, group: &'a str, connection: &'a str) -> Vec<Action<'a>> {
    vec![
        put(Operation::AddConnection { hub, group, connection }),
        delete(Operation::RemoveConnection { hub, group, connection }),
    ]
}

fn user_in_group<'a>(hub: &'a str, user: &'a str, group: &'a str) -> Vec<Action<'a>> {
    vec![
        // HEAD by the specification, but the .NET SDK sends GET.
        get_or_head(Operation::HasUser { hub, group, user }),
        put(Operation::AddUser { hub, group, user }),
        delete(Operation::RemoveUser { hub, group, user }),
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
        assert_eq!(send, r#"Send { hub: "chat", target: Hub }"#);
        assert_eq!(action(Method::POST, "/api/v1/hubs/chat"), Some(Some(send)));
        assert_eq!(action(Method::POST, "/api/hubs/chat"), None);
        assert_eq!(action(Method::POST, "/api/v1/hubs/chat/:send"), None);
    }

    #[test]
    fn each_version_has_its_own_order_of_user_and_group() {
        let dated = action(Method::PUT, "/api/hubs/chat/users/u/groups/g").unwrap().unwrap();
        assert_eq!(dated, r#"AddUser { hub: "chat", group: "g", user: "u" }"#);
        assert_eq!(action(Method::PUT, "/api/v1/hubs/chat/groups/g/users/u"), Some(Some(dated)));
        assert_eq!(action(Method::PUT, "/api/hubs/chat/groups/g/users/u"), None);
        assert_eq!(action(Method::PUT, "/api/v1/hubs/chat/users/u/groups/g"), None);
    }

    #[test]
    fn a_segment_is_one_name_with_any_content() {
        assert_eq!(
            action(Method::POST, "/api/hubs/chat/users/a%2F%3Asend/%3Asend").unwrap().unwrap(),
            r#"Send { hub: "chat", target: User("a/:send") }"#
        );
    }

    #[test]
    fn a_known_path_lists_its_methods() {
        let path = crate::request::path_segments("/api/v1/hubs/chat/connections/c").unwrap();
        let route = find(&path).unwrap();
        assert_eq!(route.action(&Method::PUT), None);
        assert_eq!(route.allow(), "GET, HEAD, POST, DELETE");
    }
}
