//! Groups of connections. A membership ends with its connection.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::call::{Call, connection_id, group_name};
use super::exists::absent;
use crate::hub::AddToGroupError;
use crate::refusal::Refusal;

pub(super) fn add(call: &Call<'_>, hub: &str, group: &str, connection: &str) -> Result<Response, Refusal> {
    let (hub, group, connection) = (call.hub(hub)?, group_name(group)?, connection_id(connection)?);
    match call.service.add_to_group(&hub, &connection, &group) {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(AddToGroupError::UnknownConnection) => {
            Err(absent("Error.Connection.NotExisted", "the connection does not exist, so it is in no group"))
        }
        Err(AddToGroupError::TooManyGroups) => Err(Refusal::too_many_groups("the connection")),
    }
}

/// That the connection was not in the group, or not there, is no error: it is not in the group now.
pub(super) fn remove(call: &Call<'_>, hub: &str, group: &str, connection: &str) -> Result<Response, Refusal> {
    let (hub, group, connection) = (call.hub(hub)?, group_name(group)?, connection_id(connection)?);
    call.service.remove_from_group(&hub, &connection, &group);
    Ok(StatusCode::OK.into_response())
}

pub(super) fn remove_from_all(call: &Call<'_>, hub: &str, connection: &str) -> Result<Response, Refusal> {
    call.service.remove_from_all_groups(&call.hub(hub)?, &connection_id(connection)?);
    Ok(StatusCode::OK.into_response())
}
