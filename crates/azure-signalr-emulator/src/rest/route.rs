//! Which operation a path and a method name. The whole REST API is listed here.
//!
//! Two ways to spell paths exist side by side: `/api/v1/…`, where a bare path sends, and `/api/…`, where `:send` does.

use axum::http::Method;

use super::version::Version;

/// Some of the connections of a hub. Names are as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Hub,
    Group(&'a str),
    User(&'a str),
    Connection(&'a str),
}

/// What a caller wants. Names are as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Health,
    /// A key for an identity.
    AccessKey,
    /// A token for a client.
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
    /// All connections of the target, of which there may be none.
    CloseConnections {
        hub: &'a str,
        target: Target<'a>,
    },
    /// One connection, which has to be there.
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
    /// Commands for connections that a filter chooses.
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

/// A path the API knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// The path says so; otherwise the query has to say the version.
    pub(super) is_v1: bool,
    choices: Vec<Choice<'a>>,
}

/// One thing that can be done at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    methods: &'static [Method],
    pub(super) operation: Operation<'a>,
    /// The first version that has it.
    pub(super) since: Version,
}

fn get(operation: Operation<'_>) -> Choice<'_> {
    Choice::new(&[Method::GET], operation)
}

fn head(operation: Operation<'_>) -> Choice<'_> {
    Choice::new(&[Method::HEAD], operation)
}

fn get_or_head(operation: Operation<'_>) -> Choice<'_> {
    Choice::new(&[Method::GET, Method::HEAD], operation)
}

fn post(operation: Operation<'_>) -> Choice<'_> {
    Choice::new(&[Method::POST], operation)
}

fn put(operation: Operation<'_>) -> Choice<'_> {
    Choice::new(&[Method::PUT], operation)
}

fn delete(operation: Operation<'_>) -> Choice<'_> {
    Choice::new(&[Method::DELETE], operation)
}

/// Finds the route of a decoded path.
pub(super) fn find(path: &[String]) -> Option<Route<'_>> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (is_v1, choices) = match *path.as_slice() {
        ["api", "v1", ref rest @ ..] => (true, v1(rest)?),
        ["api", ref rest @ ..] => (false, dated(rest)?),
        _ => return None,
    };
    Some(Route { is_v1, choices })
}

fn dated<'a>(path: &[&'a str]) -> Option<Vec<Choice<'a>>> {
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

fn v1<'a>(path: &[&'a str]) -> Option<Vec<Choice<'a>>> {
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

fn connection_in_group<'a>(hub: &'a str, group: &'a str, connection: &'a str) -> Vec<Choice<'a>> {
    vec![
        put(Operation::AddConnection { hub, group, connection }),
        delete(Operation::RemoveConnection { hub, group, connection }),
    ]
}

fn user_in_group<'a>(hub: &'a str, user: &'a str, group: &'a str) -> Vec<Choice<'a>> {
    vec![
        // By the specification HEAD only, but the .NET SDK asks with GET.
        get_or_head(Operation::HasUser { hub, group, user }),
        put(Operation::AddUser { hub, group, user }),
        delete(Operation::RemoveUser { hub, group, user }),
    ]
}

impl<'a> Route<'a> {
    /// What the method does here, if anything.
    pub(super) fn choice(&self, method: &Method) -> Option<Choice<'a>> {
        self.choices.iter().find(|choice| choice.methods.contains(method)).copied()
    }

    /// The methods that do something here, as the `Allow` header lists them.
    pub(super) fn allow(&self) -> String {
        let methods = self.choices.iter().flat_map(|choice| choice.methods);
        methods.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl<'a> Choice<'a> {
    fn new(methods: &'static [Method], operation: Operation<'a>) -> Self {
        Self { methods, operation, since: Version::V1 }
    }

    fn since(self, since: Version) -> Self {
        Self { since, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(method: Method, path: &str) -> Option<Option<String>> {
        let path = crate::path::segments(path).unwrap();
        find(&path).map(|route| route.choice(&method).map(|choice| format!("{:?}", choice.operation)))
    }

    #[test]
    fn each_edition_knows_its_own_way_to_send() {
        let send = choice(Method::POST, "/api/hubs/chat/:send").unwrap().unwrap();
        assert_eq!(send, r#"Send { hub: "chat", target: Hub }"#);
        assert_eq!(choice(Method::POST, "/api/v1/hubs/chat"), Some(Some(send)));
        assert_eq!(choice(Method::POST, "/api/hubs/chat"), None);
        assert_eq!(choice(Method::POST, "/api/v1/hubs/chat/:send"), None);
    }

    #[test]
    fn each_edition_knows_its_own_order_of_user_and_group() {
        let dated = choice(Method::PUT, "/api/hubs/chat/users/u/groups/g").unwrap().unwrap();
        assert_eq!(dated, r#"AddUser { hub: "chat", group: "g", user: "u" }"#);
        assert_eq!(choice(Method::PUT, "/api/v1/hubs/chat/groups/g/users/u"), Some(Some(dated)));
        assert_eq!(choice(Method::PUT, "/api/hubs/chat/groups/g/users/u"), None);
        assert_eq!(choice(Method::PUT, "/api/v1/hubs/chat/users/u/groups/g"), None);
    }

    #[test]
    fn a_segment_is_one_name_whatever_it_holds() {
        assert_eq!(
            choice(Method::POST, "/api/hubs/chat/users/a%2F%3Asend/%3Asend").unwrap().unwrap(),
            r#"Send { hub: "chat", target: User("a/:send") }"#
        );
    }

    #[test]
    fn a_known_path_lists_its_methods() {
        let path = crate::path::segments("/api/v1/hubs/chat/connections/c").unwrap();
        let route = find(&path).unwrap();
        assert_eq!(route.choice(&Method::PUT), None);
        assert_eq!(route.allow(), "GET, HEAD, POST, DELETE");
    }
}
