//! The routes of the history: `GET` and `DELETE /api/history`, and `DELETE /api/messages/{at}`.
//!
//! The query says which history is read, and a position only where in it: a position of another history is none of this one. Everyone who
//! may enter a room may read it. Private messages are read and erased by the person whose they are, and by no other.

use std::time::Instant as StdInstant;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use azure_http::CALL_TIMEOUT;
use azure_signalr::{Hub, UserId};
use tokio::time::{Instant, timeout};

use crate::auth::Caller;
use crate::caller_limits::CallerLimits;
use crate::config::{HISTORY, HISTORY_PRIVATE};
use crate::error::Error;
use crate::history::{Filter, History, HistoryError, StoreError, Stream};
use crate::rooms::Rooms;
use crate::upstream_time::UpstreamTimer;

mod changes;
mod query;
#[cfg(test)]
mod shared_read_tests;

use query::{HistoryQuery, Which};

/// `GET /api/history`: a page of the messages to everyone, in a room, or of the caller's private ones.
pub(crate) async fn read(
    State(rooms): State<Rooms>,
    State(limits): State<CallerLimits>,
    State(history): State<Option<History>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    limits.check_history_read(&caller, StdInstant::now())?;
    let history = enabled(history)?;
    let HistoryQuery { which, cursor, limit } = HistoryQuery::parse(query.as_deref().unwrap_or_default())?;
    let (stream, filter) = match &which {
        Which::Room(room) => {
            rooms.directory.check(room, &caller).await?;
            (room.stream(), Filter::All)
        }
        Which::Private(other) => {
            let owner = user(&caller, "read your private messages")?.as_str();
            if !history.is_private_kept {
                return Err(Error::HistoryDisabled(HISTORY_PRIVATE));
            }
            let filter = match other {
                Some(other) => Filter::With { owner, other: other.as_str() },
                None => Filter::All,
            };
            (Stream::person(owner), filter)
        }
    };
    let timer = UpstreamTimer::default();
    let page = history.log.page(&stream, cursor, limit, filter, Instant::now());
    let page = timer.measure(in_time(page)).await.map(|page| ([(CONTENT_TYPE, "application/json")], page.to_json()));
    Ok(with_timer(timer, page))
}

/// `DELETE /api/history?private`: erases what the caller has sent and received privately, in the caller's own history. 204, also if there
/// was nothing. It works where private messages are not kept any more.
pub(crate) async fn erase(
    State(hub): State<Hub>,
    State(limits): State<CallerLimits>,
    State(history): State<Option<History>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    limits.check_message(&caller, StdInstant::now())?;
    let history = enabled(history)?;
    query::check_erase(query.as_deref().unwrap_or_default())?;
    let owner = user(&caller, "erase your private messages")?;
    let timer = UpstreamTimer::default();
    let erased = timer.measure(changes::erase(&hub, &history.log, owner)).await;
    Ok(with_timer(timer, erased.map(|()| StatusCode::NO_CONTENT)))
}

/// `DELETE /api/messages/{at}`: removes a message of the caller to everyone, or in a room. 204, also if it has been removed before.
pub(crate) async fn remove(
    State(hub): State<Hub>,
    State(rooms): State<Rooms>,
    State(limits): State<CallerLimits>,
    State(history): State<Option<History>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    limits.check_message(&caller, StdInstant::now())?;
    let history = enabled(history)?;
    let room = query::parse_room(query.as_deref().unwrap_or_default())?;
    let sender = user(&caller, "remove a message")?;
    rooms.directory.check(&room, &caller).await?;
    let Path(at) = path.map_err(|_| Error::InvalidCursor)?;
    let at = at.parse().map_err(|_| Error::InvalidCursor)?;
    let timer = UpstreamTimer::default();
    let removed = timer.measure(changes::remove(&hub, &history.log, &room, at, sender)).await;
    Ok(with_timer(timer, removed.map(|()| StatusCode::NO_CONTENT)))
}

fn enabled(history: Option<History>) -> Result<History, Error> {
    history.ok_or(Error::HistoryDisabled(HISTORY))
}

fn user<'a>(caller: &'a Caller, what: &'static str) -> Result<&'a UserId, Error> {
    match caller {
        Caller::User(user) => Ok(user),
        Caller::Anonymous => Err(Error::Unauthenticated(what)),
    }
}

/// The outcome of `call`, which may read many ranges, within the time of a call.
async fn in_time<T>(call: impl Future<Output = Result<T, HistoryError>>) -> Result<T, Error> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(outcome) => Ok(outcome?),
        Err(_elapsed) => Err(Error::HistoryUnavailable(StoreError::Unknown)),
    }
}

/// The response, with the time that it waited for the store, for the access log.
fn with_timer(timer: UpstreamTimer, outcome: Result<impl IntoResponse, Error>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Extension(timer), outcome).into_response()
}
