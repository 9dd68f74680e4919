//! What there is and what was seen, as JSON.
//!
//! A list is a snapshot: who reads two of them has read two moments. Users and groups are told by their connections;
//! memberships of users who are not connected do not show.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Desk;
use crate::api_error::ApiError;
use crate::journal::{Numbered, Ring};
use crate::request::Query;
use crate::service::Sight;

pub(super) async fn hubs(State(desk): State<Desk>) -> Json<Value> {
    let sights = desk.service.survey();
    let hubs: Vec<_> = gathered(&sights, |_| vec![""])
        .into_iter()
        .map(|((hub, _), members)| {
            let users: BTreeSet<_> = members.iter().filter_map(|sight| sight.user.as_deref()).collect();
            json!({"hub": hub, "connections": members.len(), "users": users.len()})
        })
        .collect();
    Json(json!({"hubs": hubs}))
}

pub(super) async fn connections(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Json<Value> {
    let query = Query::new(query.as_deref());
    let hub = query.last("hub").map(|hub| hub.to_ascii_lowercase());
    let mut sights = desk.service.survey();
    sights.retain(|sight| hub.as_ref().is_none_or(|hub| sight.hub == *hub));
    Json(json!({"connections": sights}))
}

pub(super) async fn users(State(desk): State<Desk>) -> Json<Value> {
    let sights = desk.service.survey();
    Json(
        json!({"users": listed("user", gathered(&sights, |sight| sight.user.as_deref().into_iter().collect()))}),
    )
}

pub(super) async fn groups(State(desk): State<Desk>) -> Json<Value> {
    let sights = desk.service.survey();
    let groups = gathered(&sights, |sight| sight.groups.iter().map(String::as_str).collect());
    Json(json!({"groups": listed("group", groups)}))
}

/// By hub and name, whose connections are which.
type Gathered<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Sight>>;

fn gathered<'a>(sights: &'a [Sight], names: impl Fn(&'a Sight) -> Vec<&'a str>) -> Gathered<'a> {
    let mut gathered = Gathered::new();
    for sight in sights {
        for name in names(sight) {
            gathered.entry((&sight.hub, name)).or_default().push(sight);
        }
    }
    gathered
}

fn listed(what: &str, gathered: Gathered<'_>) -> Vec<Value> {
    let entries = gathered.into_iter().map(|((hub, name), members)| {
        let connections: Vec<_> = members.iter().map(|sight| &sight.connection).collect();
        json!({"hub": hub, what: name, "connections": connections})
    });
    entries.collect()
}

pub(super) async fn calls(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    newer(query.as_deref(), |after| json!({"calls": list(&desk.watch.journal().calls, after)}))
}

pub(super) async fn frames(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    newer(query.as_deref(), |after| json!({"frames": list(&desk.watch.journal().frames, after)}))
}

pub(super) async fn posts(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    newer(query.as_deref(), |after| json!({"posts": list(&desk.watch.journal().posts, after)}))
}

/// Forgets what was seen; numbers go on.
pub(super) async fn forget(State(desk): State<Desk>) -> StatusCode {
    desk.watch.journal().clear();
    StatusCode::NO_CONTENT
}

/// What is newer than the entry whose number the query tells.
fn newer(query: Option<&str>, entries: impl FnOnce(u64) -> Value) -> Response {
    let after = Query::new(query).last("after");
    match after.as_deref().unwrap_or("0").parse() {
        Ok(after) => Json(entries(after)).into_response(),
        Err(_) => {
            let message = "`after` is the `number` of the last entry that is known";
            ApiError::invalid("after", message).into_json()
        }
    }
}

fn list<T>(ring: &Ring<T>, after: u64) -> Vec<&Numbered<T>> {
    ring.after(after).collect()
}
