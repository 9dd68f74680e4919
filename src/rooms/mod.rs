//! Rooms: `GET /api/rooms`, and entering, leaving and the members below `/api/rooms/{room}/members`.
//!
//! A room is a group of the SignalR service, and its members are connections: the service forgets them when they end, and no state is kept
//! here. `everyone` has a group like a room's, for pages that show who is here; messages to everyone do not depend on it.
//!
//! # Connection ids
//!
//! The service tells the id of a connection to its client only. It is a capability: a caller who has it may put that connection into a room and
//! take it out, and the handler does not check whose connection it is. An id cannot be guessed, the handler could check it only with state of
//! its own, and a stolen one does little: the page of that connection gets messages of a room that it did not enter, or no longer gets those
//! of one that it did. So an id must not reach other people: it is in no answer, and the log has the route instead of the path.

use std::time::{Instant, SystemTime};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use azure_signalr::{ConnectionId, Hub};
use serde::Serialize;

use crate::auth::Caller;
use crate::caller_limits::CallerLimits;
use crate::config::AllowedRooms;
use crate::error::Error;
use crate::history::HistoryLog;
use crate::upstream_time::UpstreamTimer;

mod directory;
mod known_rooms;
mod member_lists;
mod members;
mod name;

pub(crate) use directory::Directory;
use member_lists::MemberLists;
pub use name::{RoomName, RoomNameError};

/// The rooms of the chat, and who is there. Clones share them.
#[derive(Clone)]
pub(crate) struct Rooms {
    pub(crate) directory: Directory,
    lists: MemberLists,
}

impl Rooms {
    /// The rooms that are allowed, and of those the ones that `history` has, where any is allowed.
    pub(crate) fn new(allowed: AllowedRooms, history: Option<HistoryLog>) -> Self {
        Self { directory: Directory::new(allowed, history), lists: MemberLists::default() }
    }
}

#[derive(Serialize)]
struct RoomList<'a> {
    rooms: &'a [RoomName],
}

/// `GET /api/rooms`: the names of the rooms there are, without everyone.
pub(crate) async fn list(State(rooms): State<Rooms>, _: Caller) -> Result<impl IntoResponse, Error> {
    let rooms = rooms.directory.known().await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(RoomList { rooms: &rooms }).into_response()))
}

/// `PUT /api/rooms/{room}/members/{connectionId}`: 204 if the connection is in the room now.
pub(crate) async fn enter(
    State(hub): State<Hub>,
    State(rooms): State<Rooms>,
    State(limits): State<CallerLimits>,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    let (room, connection) = check_member_call(&rooms, &limits, &caller, path).await?;
    let timer = UpstreamTimer::default();
    let added = timer.measure(hub.add_to_group(room.group(), &connection, SystemTime::now())).await;
    let outcome = added
        .map_err(Error::from)
        .and_then(|is_there| if is_there { Ok(StatusCode::NO_CONTENT) } else { Err(Error::UnknownConnection) });
    // For the access log.
    Ok((Extension(timer), outcome).into_response())
}

/// `DELETE /api/rooms/{room}/members/{connectionId}`: 204 if the connection is not in the room now. It need not have been, nor exist.
pub(crate) async fn leave(
    State(hub): State<Hub>,
    State(rooms): State<Rooms>,
    State(limits): State<CallerLimits>,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    let (room, connection) = check_member_call(&rooms, &limits, &caller, path).await?;
    let timer = UpstreamTimer::default();
    let removed = timer.measure(hub.remove_from_group(room.group(), &connection, SystemTime::now())).await;
    Ok((Extension(timer), removed.map(|()| StatusCode::NO_CONTENT).map_err(Error::from)).into_response())
}

/// `GET /api/rooms/{room}/members`: who is there, as it was up to ten seconds ago.
pub(crate) async fn members(
    State(hub): State<Hub>,
    State(rooms): State<Rooms>,
    State(limits): State<CallerLimits>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Error> {
    let Path(room) = path.map_err(|_| MALFORMED_ROOM)?;
    let room = room_of(&room)?;
    rooms.directory.check(&room, &caller).await?;
    let now = Instant::now();
    let listing = rooms.lists.get_or_start(&room, now, || {
        // What is kept or under way costs nothing, so only a new listing counts.
        limits.check_room_call(&caller, now)?;
        Ok(members::list(hub, room.clone(), SystemTime::now()))
    })?;
    let timer = UpstreamTimer::default();
    let list = listing.outcome(&timer).await;
    let headers = [(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "application/json")];
    Ok((Extension(timer), list.map(|list| (headers, list))).into_response())
}

const MALFORMED_ROOM: Error = Error::InvalidRequest("room", "must be 1 to 64 of A-Z, a-z, 0-9, _ and -");

fn room_of(segment: &str) -> Result<RoomName, Error> {
    RoomName::or_everyone(segment).map_err(|_| MALFORMED_ROOM)
}

/// The room and the connection in the path, if `caller` may enter and leave the room now.
async fn check_member_call(
    rooms: &Rooms,
    limits: &CallerLimits,
    caller: &Caller,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<(RoomName, ConnectionId), Error> {
    limits.check_room_call(caller, Instant::now())?;
    let (room, connection) = member(path)?;
    rooms.directory.check(&room, caller).await?;
    Ok((room, connection))
}

/// The room and the connection in a path. What cannot be a connection id is no connection.
fn member(path: Result<Path<(String, String)>, PathRejection>) -> Result<(RoomName, ConnectionId), Error> {
    let Path((room, connection)) = path.map_err(|_| MALFORMED_ROOM)?;
    Ok((room_of(&room)?, connection.parse().map_err(|_| Error::UnknownConnection)?))
}
