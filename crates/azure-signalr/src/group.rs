//! Groups of connections: adding and removing one, and listing those that are in a group.
//!
//! A connection leaves its groups when it ends.

use std::fmt;
use std::time::SystemTime;

use azure_http::{Method, Retry};
use serde::Deserialize;
use url::Url;

use crate::error::{Error, Kind};
use crate::hub::Hub;
use crate::name::{ConnectionId, GroupName, UserId};

/// The data-plane version that brought the list of a group's connections.
const LIST_API_VERSION: &str = "2024-12-01";
/// The most connections on a page that the service allows.
const PAGE_SIZE: &str = "200";
/// The `x-ms-error-code` of a 404 for a connection that does not exist. A 404 without it comes from something else, such as a gateway.
const NO_CONNECTION: &str = "Error.Connection.NotExisted";

/// A connection in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The connection.
    pub connection: ConnectionId,
    /// Its user; `None` for a connection without one.
    pub user: Option<UserId>,
}

/// A part of the list of a group's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPage {
    /// Up to 200 connections, in the order of the service.
    pub members: Vec<GroupMember>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<ContinuationToken>,
}

/// Where a page of a list begins. Opaque; the service makes it, and it can contain a connection id, so its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ContinuationToken(String);

impl fmt::Debug for ContinuationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContinuationToken(***)")
    }
}

impl Hub {
    /// Adds a connection to a group, where it stays until it is removed or ends; `false` if there is no such connection. `now` is the time
    /// by which the token of the call is made.
    ///
    /// It is made up to four times within ten seconds, since a second one has no further effect.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses.
    pub async fn add_to_group(
        &self,
        group: &GroupName,
        connection: &ConnectionId,
        now: SystemTime,
    ) -> Result<bool, Error> {
        self.change_membership(Method::PUT, Retry::Idempotent, group, connection, now).await
    }

    /// Removes a connection from a group. It is no error that it was not in the group, or does not exist.
    ///
    /// It is made up to four times within ten seconds, since a second one has no further effect.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or refuses.
    pub async fn remove_from_group(
        &self,
        group: &GroupName,
        connection: &ConnectionId,
        now: SystemTime,
    ) -> Result<(), Error> {
        // Older versions of the service respond 404 to a connection that is not in the group.
        self.change_membership(Method::DELETE, Retry::Delete, group, connection, now).await.map(drop)
    }

    /// Lists connections of a group: the first page, or the one at `page`. A group without connections is an empty page.
    ///
    /// Pages are made at different times: a connection that joins or leaves meanwhile can be missing. A connection whose user id is not a
    /// [`UserId`] is left out.
    ///
    /// A page is requested up to four times within ten seconds.
    ///
    /// # Errors
    ///
    /// When the service cannot be reached, does not respond in time, or responds with anything but a list.
    pub async fn list_group(
        &self,
        group: &GroupName,
        page: Option<&ContinuationToken>,
        now: SystemTime,
    ) -> Result<GroupPage, Error> {
        let (mut url, audience) = self.0.addresses_since(LIST_API_VERSION, &["groups", group.as_str(), "connections"]);
        url.query_pairs_mut()
            .append_pair("maxpagesize", PAGE_SIZE)
            .extend_pairs(page.map(|page| (CONTINUATION_TOKEN, &page.0)));
        parse_page(&self.0.call(Method::GET, Retry::Idempotent, &url, &audience, now).await?)
    }

    async fn change_membership(
        &self,
        method: Method,
        retry: Retry,
        group: &GroupName,
        connection: &ConnectionId,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let (url, audience) = self.0.addresses(&["groups", group.as_str(), "connections", connection.as_str()]);
        match self.0.call(method, retry, &url, &audience, now).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_rejection(404, NO_CONNECTION) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The query parameter of the link to the next page.
const CONTINUATION_TOKEN: &str = "continuationToken";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    value: Vec<Entry>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    connection_id: String,
    user_id: Option<String>,
}

/// Reads a page. Of the link to the next one only the token counts: the address of the service is that of the connection string, and the
/// token of the call is sent to no other. The parser's words are dropped, since they can contain a connection id.
fn parse_page(body: &[u8]) -> Result<GroupPage, Error> {
    let Page { value, next_link } = serde_json::from_slice(body).map_err(|_| Kind::NoList)?;
    let next = next_link.filter(|link| !link.is_empty()).map(|link| continuation_token(&link).ok_or(Kind::NoList));
    let members = value.into_iter().filter_map(|Entry { connection_id, user_id }| {
        let user = user_id.filter(|user| !user.is_empty()).map(|user| user.parse()).transpose().ok()?;
        Some(GroupMember { connection: connection_id.parse().ok()?, user })
    });
    Ok(GroupPage { members: members.collect(), next: next.transpose()? })
}

/// The token in the link to the next page, which is absolute.
fn continuation_token(link: &str) -> Option<ContinuationToken> {
    let url = Url::parse(link).ok()?;
    let (_, token) = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case(CONTINUATION_TOKEN))?;
    (!token.is_empty()).then(|| ContinuationToken(token.into_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(page: &Value) -> Result<GroupPage, Kind> {
        parse_page(page.to_string().as_bytes()).map_err(|error| error.kind)
    }

    #[test]
    fn a_page_has_connections_their_users_and_the_token_of_the_next() {
        let next =
            "https://h/api/hubs/chat/groups/g/connections?top=3&continuationToken=a%2Fb%3D&api-version=2024-12-01";
        let page =
            json!({"value": [{"connectionId": "c1", "userId": "Ann"}, {"connectionId": "c2"}], "nextLink": next});
        let page = parse(&page).unwrap();
        let members: Vec<_> = page
            .members
            .iter()
            .map(|member| (member.connection.as_str(), member.user.as_ref().map(UserId::as_str)))
            .collect();
        assert_eq!(members, [("c1", Some("Ann")), ("c2", None)]);
        assert_eq!(page.next, Some(ContinuationToken("a/b=".to_owned())));
        assert!(!format!("{page:?}").contains("c1") && !format!("{page:?}").contains("a/b="));
    }

    #[test]
    fn an_empty_user_is_none_and_names_that_cannot_be_addressed_are_left_out() {
        let page = json!({"value": [
            {"connectionId": "c1", "userId": ""}, {"connectionId": "c2", "userId": null},
            {"connectionId": "c3", "userId": ".."}, {"connectionId": "c 4"},
        ], "nextLink": ""});
        let page = parse(&page).unwrap();
        assert_eq!((page.members.len(), page.next), (2, None));
        assert!(page.members.iter().all(|member| member.user.is_none()));
    }

    #[test]
    fn what_is_no_page_is_an_error_without_its_text() {
        for page in [
            json!([]),
            json!({}),
            json!({"value": {}}),
            json!({"value": [{"userId": "ann"}]}),
            json!({"value": [], "nextLink": 7}),
            json!({"value": [], "nextLink": "/relative?continuationToken=c1"}),
            json!({"value": [], "nextLink": "https://h/connections?page=2"}),
            json!({"value": [], "nextLink": "https://h/connections?continuationToken="}),
        ] {
            assert_eq!(parse(&page), Err(Kind::NoList), "{page}");
        }
    }
}
