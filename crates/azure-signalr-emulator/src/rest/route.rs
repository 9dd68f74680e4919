//! Which operation a path and a method name. The whole REST API is listed here, also what is not emulated.
//!
//! Two editions of paths exist side by side: `/api/v1/…`, where a bare path sends, and `/api/…`, where `:send` does.

use axum::http::Method;

/// How an API spells its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edition {
    /// `/api/v1/…`, without `api-version`.
    V1,
    /// `/api/…?api-version=…`.
    Dated,
}

/// Whom a message is for. Hub names are as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Hub { hub: &'a str },
    User { hub: &'a str, user: &'a str },
    Connection { hub: &'a str, connection: &'a str },
}

/// What a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Health,
    /// A key for an identity.
    AccessKey,
    Send(Target<'a>),
    UserExists {
        hub: &'a str,
        user: &'a str,
    },
    ConnectionExists {
        hub: &'a str,
        connection: &'a str,
    },
    /// The real service does this; the text begins the sentence that says so.
    NotEmulated(&'static str),
}

/// A path the API knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) edition: Edition,
    choices: Choices<'a>,
}

/// What can be done at a path, by method.
type Choices<'a> = Vec<(Methods, Operation<'a>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Methods {
    Get,
    Head,
    GetOrHead,
    Post,
    Put,
    Delete,
}

/// Finds the route of a decoded path.
pub(super) fn find(path: &[String]) -> Option<Route<'_>> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (edition, choices) = match *path.as_slice() {
        ["api", "v1", ref rest @ ..] => (Edition::V1, v1(rest)?),
        ["api", ref rest @ ..] => (Edition::Dated, dated(rest)?),
        _ => return None,
    };
    Some(Route { edition, choices })
}

fn dated<'a>(path: &[&'a str]) -> Option<Choices<'a>> {
    use Methods::{Delete, Get, GetOrHead, Head, Post, Put};
    use Operation::{AccessKey, ConnectionExists, Health, NotEmulated, Send, UserExists};
    Some(match *path {
        ["health"] => vec![(GetOrHead, Health)],
        ["auth", "accessKey"] => vec![(Get, AccessKey)],
        ["hubs", hub, ":send"] => vec![(Post, Send(Target::Hub { hub }))],
        ["hubs", _, ":closeConnections"] => vec![(Post, NotEmulated("Closing the connections of a hub"))],
        ["hubs", _, ":generateToken"] => vec![(Post, NotEmulated("Generating client tokens"))],
        ["hubs", _, ":execute"] => vec![(Post, NotEmulated("Executing commands"))],
        ["hubs", hub, "users", user] => vec![(Head, UserExists { hub, user })],
        ["hubs", hub, "users", user, ":send"] => vec![(Post, Send(Target::User { hub, user }))],
        ["hubs", _, "users", _, ":closeConnections"] => {
            vec![(Post, NotEmulated("Closing the connections of a user"))]
        }
        ["hubs", _, "users", _, "groups"] => vec![(Delete, NotEmulated("Removing a user from all groups"))],
        ["hubs", _, "users", _, "groups", _] => vec![
            (GetOrHead, NotEmulated("Asking whether a user is in a group")),
            (Put, NotEmulated("Adding a user to a group")),
            (Delete, NotEmulated("Removing a user from a group")),
        ],
        ["hubs", hub, "connections", connection] => {
            vec![(Head, ConnectionExists { hub, connection }), (Delete, NotEmulated("Closing a connection"))]
        }
        ["hubs", hub, "connections", connection, ":send"] => {
            vec![(Post, Send(Target::Connection { hub, connection }))]
        }
        ["hubs", _, "connections", _, ":invoke"] => {
            vec![(Post, NotEmulated("Invoking a method of a client"))]
        }
        ["hubs", _, "connections", _, "groups"] => {
            vec![(Delete, NotEmulated("Removing a connection from all groups"))]
        }
        ["hubs", _, "connections", _, "streams", _, ":send"] => {
            vec![(Post, NotEmulated("Streaming an item to a client"))]
        }
        ["hubs", _, "connections", _, "streams", _, ":complete"] => {
            vec![(Post, NotEmulated("Completing a stream to a client"))]
        }
        ["hubs", _, "groups", _] => vec![(Head, NotEmulated("Asking whether a group has connections"))],
        ["hubs", _, "groups", _, ":send"] => vec![(Post, NotEmulated("Sending to a group"))],
        ["hubs", _, "groups", _, ":closeConnections"] => {
            vec![(Post, NotEmulated("Closing the connections of a group"))]
        }
        ["hubs", _, "groups", _, "connections"] => {
            vec![(Get, NotEmulated("Listing the connections of a group"))]
        }
        ["hubs", _, "groups", _, "connections", _] => group_membership(),
        _ => return None,
    })
}

fn v1<'a>(path: &[&'a str]) -> Option<Choices<'a>> {
    use Methods::{Delete, Get, GetOrHead, Post, Put};
    use Operation::{AccessKey, ConnectionExists, Health, NotEmulated, Send, UserExists};
    Some(match *path {
        ["health"] => vec![(GetOrHead, Health)],
        ["auth", "accessKey"] => vec![(Get, AccessKey)],
        ["hubs", hub] => vec![(Post, Send(Target::Hub { hub }))],
        ["hubs", hub, "users", user] => {
            vec![(GetOrHead, UserExists { hub, user }), (Post, Send(Target::User { hub, user }))]
        }
        ["hubs", _, "users", _, "groups"] => vec![(Delete, NotEmulated("Removing a user from all groups"))],
        ["hubs", hub, "connections", connection] => vec![
            (GetOrHead, ConnectionExists { hub, connection }),
            (Post, Send(Target::Connection { hub, connection })),
            (Delete, NotEmulated("Closing a connection")),
        ],
        ["hubs", _, "groups", _] => vec![
            (GetOrHead, NotEmulated("Asking whether a group has connections")),
            (Post, NotEmulated("Sending to a group")),
        ],
        ["hubs", _, "groups", _, "connections", _] => group_membership(),
        ["hubs", _, "groups", _, "users", _] => vec![
            (GetOrHead, NotEmulated("Asking whether a user is in a group")),
            (Put, NotEmulated("Adding a user to a group")),
            (Delete, NotEmulated("Removing a user from a group")),
        ],
        _ => return None,
    })
}

fn group_membership<'a>() -> Choices<'a> {
    vec![
        (Methods::Put, Operation::NotEmulated("Adding a connection to a group")),
        (Methods::Delete, Operation::NotEmulated("Removing a connection from a group")),
    ]
}

impl<'a> Route<'a> {
    /// What the method does here, if anything.
    pub(super) fn operation(&self, method: &Method) -> Option<Operation<'a>> {
        let fits = |methods: Methods| methods.list().split(", ").any(|name| name == method.as_str());
        self.choices.iter().find(|(methods, _)| fits(*methods)).map(|&(_, operation)| operation)
    }

    /// The methods that do something here, as the `Allow` header lists them.
    pub(super) fn allow(&self) -> String {
        let lists: Vec<_> = self.choices.iter().map(|(methods, _)| methods.list()).collect();
        lists.join(", ")
    }
}

impl Methods {
    fn list(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::GetOrHead => "GET, HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &str, path: &str) -> Option<Option<String>> {
        let path = crate::path::segments(path).unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        find(&path).map(|route| route.operation(&method).map(|operation| format!("{operation:?}")))
    }

    #[test]
    fn each_edition_knows_its_own_way_to_send() {
        let send = operation("POST", "/api/hubs/chat/:send").unwrap().unwrap();
        assert_eq!(send, r#"Send(Hub { hub: "chat" })"#);
        assert_eq!(operation("POST", "/api/v1/hubs/chat"), Some(Some(send)));
        assert_eq!(operation("POST", "/api/hubs/chat"), None);
        assert_eq!(operation("POST", "/api/v1/hubs/chat/:send"), None);
    }

    #[test]
    fn a_segment_is_one_name_whatever_it_holds() {
        assert_eq!(
            operation("POST", "/api/hubs/chat/users/a%2F%3Asend/%3Asend").unwrap().unwrap(),
            r#"Send(User { hub: "chat", user: "a/:send" })"#
        );
    }

    #[test]
    fn a_known_path_lists_its_methods() {
        let path = crate::path::segments("/api/v1/hubs/chat/connections/c").unwrap();
        let route = find(&path).unwrap();
        assert_eq!(route.operation(&Method::PUT), None);
        assert_eq!(route.allow(), "GET, HEAD, POST, DELETE");
    }
}
