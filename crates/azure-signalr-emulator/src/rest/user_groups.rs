//! Groups of users: they are there for every connection of the user, now and later, so the user need not be connected.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::call::{Call, group_name, user_id};
use super::exists::absent;
use super::version::Version;
use crate::refusal::Refusal;

/// Longest time in a group, in seconds: a 32-bit number with a sign.
const LONGEST_TTL: u32 = i32::MAX as u32;

pub(super) fn has(call: &Call<'_>, hub: &str, group: &str, user: &str) -> Result<Response, Refusal> {
    let (hub, group, user) = (call.hub(hub)?, group_name(group)?, user_id(user)?);
    if call.service.is_user_in_group(&hub, &user, &group) {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(absent("Info.User.NotInGroup", "the user is not in the group"))
    }
}

pub(super) fn add(call: &Call<'_>, hub: &str, group: &str, user: &str) -> Result<Response, Refusal> {
    let (hub, group, user) = (call.hub(hub)?, group_name(group)?, user_id(user)?);
    let ttl = call.number("ttl", 0..=LONGEST_TTL)?.map(|seconds| Duration::from_secs(seconds.into()));
    let added = call.service.add_user_to_group(&hub, &user, &group, ttl);
    added.map_err(|_| Refusal::too_many_groups("the user"))?;
    let status = if call.version < Version::V2022_06 { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(status.into_response())
}

pub(super) fn remove(call: &Call<'_>, hub: &str, group: &str, user: &str) -> Result<Response, Refusal> {
    let (hub, group, user) = (call.hub(hub)?, group_name(group)?, user_id(user)?);
    call.service.remove_user_from_group(&hub, &user, &group);
    let status = match call.version {
        Version::V1 => StatusCode::ACCEPTED,
        Version::V2020_10 => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    };
    Ok(status.into_response())
}

pub(super) fn remove_from_all(call: &Call<'_>, hub: &str, user: &str) -> Result<Response, Refusal> {
    call.service.remove_user_from_all_groups(&call.hub(hub)?, &user_id(user)?);
    let status = if call.version < Version::V2022_06 { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Ok(status.into_response())
}
