//! Group membership of connections and of users.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::call::{Call, connection_id, group_name, user_id};
use super::route::{Membership, Version};
use crate::api_error::ApiError;
use crate::hub::{AddToGroupError, ConnectionId, GroupName, HubName, UserId};

/// Adds a connection, for as long as it lasts.
pub(super) fn add_connection(call: &Call<'_>, membership: Membership<'_>) -> Result<Response, ApiError> {
    let (hub, group, connection) = connection_in_group(call, membership)?;
    match call.service.with_hubs(|hubs| hubs.add(&hub, &connection, &group)) {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(AddToGroupError::UnknownConnection) => {
            Err(ApiError::absent("Error.Connection.NotExisted", "the connection does not exist, so it is in no group"))
        }
        Err(AddToGroupError::TooManyGroups) => Err(ApiError::too_many_groups("the connection")),
    }
}

/// Removes a connection. It is no error that it was not in the group, or does not exist.
pub(super) fn remove_connection(call: &Call<'_>, membership: Membership<'_>) -> Result<Response, ApiError> {
    let (hub, group, connection) = connection_in_group(call, membership)?;
    call.service.with_hubs(|hubs| hubs.remove(&hub, &connection, &group));
    Ok(StatusCode::OK.into_response())
}

/// Removes a connection from all groups.
pub(super) fn remove_connection_from_all(call: &Call<'_>, connection: &str) -> Result<Response, ApiError> {
    let (hub, connection) = (call.hub()?, connection_id(connection)?);
    call.service.with_hubs(|hubs| hubs.remove_from_all(&hub, &connection));
    Ok(StatusCode::OK.into_response())
}

/// Longest `ttl` of a user in a group, in seconds.
const MAX_TTL_SECONDS: u32 = i32::MAX as u32;

/// Whether a user is in a group.
pub(super) fn has_user(call: &Call<'_>, membership: Membership<'_>) -> Result<Response, ApiError> {
    let (hub, group, user) = user_in_group(call, membership)?;
    if call.service.with_hubs(|hubs| hubs.has_user_in(&hub, &user, &group)) {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(ApiError::absent("Info.User.NotInGroup", "the user is not in the group"))
    }
}

/// Adds a user: all connections it has now and later.
pub(super) fn add_user(call: &Call<'_>, membership: Membership<'_>) -> Result<Response, ApiError> {
    let (hub, group, user) = user_in_group(call, membership)?;
    let ttl = call.number("ttl", 0..=MAX_TTL_SECONDS)?.map(|seconds| Duration::from_secs(seconds.into()));
    let added = call.service.with_hubs(|hubs| hubs.add_user(Instant::now(), &hub, &user, &group, ttl));
    added.map_err(|_| ApiError::too_many_groups("the user"))?;
    let status = if call.version < Version::V2022_06 { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(status.into_response())
}

/// Removes a user.
pub(super) fn remove_user(call: &Call<'_>, membership: Membership<'_>) -> Result<Response, ApiError> {
    let (hub, group, user) = user_in_group(call, membership)?;
    call.service.with_hubs(|hubs| hubs.remove_user(&hub, &user, &group));
    let status = match call.version {
        Version::V1 => StatusCode::ACCEPTED,
        Version::V2020_10 => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    };
    Ok(status.into_response())
}

/// Removes a user from all groups.
pub(super) fn remove_user_from_all(call: &Call<'_>, user: &str) -> Result<Response, ApiError> {
    let (hub, user) = (call.hub()?, user_id(user)?);
    call.service.with_hubs(|hubs| hubs.remove_user_from_all(&hub, &user));
    let status = if call.version < Version::V2022_06 { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Ok(status.into_response())
}

fn connection_in_group(
    call: &Call<'_>,
    Membership { group, member }: Membership<'_>,
) -> Result<(HubName, GroupName, ConnectionId), ApiError> {
    Ok((call.hub()?, group_name(group)?, connection_id(member)?))
}

fn user_in_group(
    call: &Call<'_>,
    Membership { group, member }: Membership<'_>,
) -> Result<(HubName, GroupName, UserId), ApiError> {
    Ok((call.hub()?, group_name(group)?, user_id(member)?))
}
