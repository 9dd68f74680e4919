//! The control API for connections: lists connections, hubs, users and groups, and drops, freezes or expires those selected.
//!
//! Each list is a snapshot. Users and groups are derived from connections: memberships of disconnected users are not listed.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ControlState, read_json};
use crate::api_error::ApiError;
use crate::fault_injection::ConnectionAction;
use crate::hub::{ConnectionId, HubName, UserId};
use crate::request::Query;
use crate::service::hub_operations::{ConnectionInfo, ConnectionSelector};

/// `GET /emulator/hubs`
pub(super) async fn hubs(State(state): State<ControlState>) -> Json<Value> {
    let connections = state.service.list_connections();
    let hubs: Vec<_> = by_hub_and_name(&connections, |_| vec![""])
        .into_iter()
        .map(|((hub, _), members)| {
            let users: BTreeSet<_> = members.iter().filter_map(|info| info.user.as_deref()).collect();
            json!({"hub": hub, "connections": members.len(), "users": users.len()})
        })
        .collect();
    Json(json!({"hubs": hubs}))
}

/// `GET /emulator/connections`
pub(super) async fn connections(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Json<Value> {
    let query = Query::new(query.as_deref());
    let hub = query.last("hub").map(|hub| hub.to_ascii_lowercase());
    let mut connections = state.service.list_connections();
    connections.retain(|info| hub.as_ref().is_none_or(|hub| info.hub == *hub));
    Json(json!({"connections": connections}))
}

/// `GET /emulator/users`
pub(super) async fn users(State(state): State<ControlState>) -> Json<Value> {
    let connections = state.service.list_connections();
    let users = by_hub_and_name(&connections, |info| info.user.as_deref().into_iter().collect());
    Json(json!({"users": to_list("user", users)}))
}

/// `GET /emulator/groups`
pub(super) async fn groups(State(state): State<ControlState>) -> Json<Value> {
    let connections = state.service.list_connections();
    let groups = by_hub_and_name(&connections, |info| info.groups.iter().map(String::as_str).collect());
    Json(json!({"groups": to_list("group", groups)}))
}

type ByHubAndName<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a ConnectionInfo>>;

fn by_hub_and_name<'a>(
    connections: &'a [ConnectionInfo],
    names: impl Fn(&'a ConnectionInfo) -> Vec<&'a str>,
) -> ByHubAndName<'a> {
    let mut by_name = ByHubAndName::new();
    for info in connections {
        for name in names(info) {
            by_name.entry((&info.hub, name)).or_default().push(info);
        }
    }
    by_name
}

fn to_list(property: &str, by_name: ByHubAndName<'_>) -> Vec<Value> {
    let entries = by_name.into_iter().map(|((hub, name), members)| {
        let connections: Vec<_> = members.iter().map(|info| &info.connection).collect();
        json!({"hub": hub, property: name, "connections": connections})
    });
    entries.collect()
}

/// The body of an action. A connection must match all given properties; a hub or a connection is required, so that an empty
/// body does not select everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorBody {
    hub: Option<String>,
    user: Option<String>,
    connection: Option<String>,
}

/// `POST /emulator/connections/{action}`
pub(super) async fn act_on(
    State(state): State<ControlState>,
    Path(action): Path<String>,
    request: Request,
) -> Response {
    try_act_on(&state, &action, request).await.unwrap_or_else(ApiError::into_json)
}

async fn try_act_on(state: &ControlState, action: &str, request: Request) -> Result<Response, ApiError> {
    let action = match action {
        "drop" => ConnectionAction::Drop,
        "freeze" => ConnectionAction::Freeze,
        "thaw" => ConnectionAction::Thaw,
        "expire" => ConnectionAction::Expire,
        _ => return Err(ApiError::not_found("the actions on connections are drop, freeze, thaw and expire")),
    };
    let body: SelectorBody = read_json(request).await?;
    let count = state.service.act_on(&body.selector()?, action);
    if count == 0 {
        let message = "no connection matches; GET /emulator/connections lists them";
        return Err(ApiError::not_found(message));
    }
    Ok(Json(json!({"connections": count})).into_response())
}

impl SelectorBody {
    fn selector(self) -> Result<ConnectionSelector, ApiError> {
        if self.hub.is_none() && self.connection.is_none() {
            let message = "name a `connection`, a `hub`, or a `user` of a `hub`";
            return Err(ApiError::invalid("hub", message));
        }
        let user =
            self.user.map(|user| UserId::new(&user).ok_or_else(|| ApiError::invalid("user", "a user id is not empty")));
        Ok(ConnectionSelector {
            hub: self.hub.as_deref().map(HubName::of_client).transpose()?,
            user: user.transpose()?,
            connection: self.connection.as_deref().map(ConnectionId::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(body: &str) -> Option<ConnectionSelector> {
        serde_json::from_str::<SelectorBody>(body).ok()?.selector().ok()
    }

    #[test]
    fn an_incomplete_or_invalid_selector_is_rejected() {
        for body in ["{}", r#"{"user":"u"}"#, r#"{"hub":"chat","user":""}"#, r#"{"hub":"1"}"#, r#"{"hup":"chat"}"#] {
            assert!(selector(body).is_none(), "{body}");
        }
    }

    #[test]
    fn a_connection_a_hub_or_a_user_of_a_hub_can_be_selected() {
        let selected = selector(r#"{"hub":"Chat","user":"u"}"#).unwrap();
        assert_eq!(selected.hub, Some(HubName::of_client("chat").unwrap()));
        assert_eq!(selected.user, UserId::new("u"));
        assert_eq!(selector(r#"{"connection":"c"}"#).unwrap().connection, Some(ConnectionId::new("c")));
    }
}
