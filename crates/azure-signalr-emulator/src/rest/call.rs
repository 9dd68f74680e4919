//! One call that may be served, and what its path and query say.
//!
//! What is wrong with a parameter is told by the name the specification gives it, which is not always the segment's.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use axum::http::request::Parts;

use super::route::Target;
use super::version::Version;
use crate::auth::Caller;
use crate::hub::{ConnectionId, GroupName, UserId};
use crate::hub_name::HubName;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::service::{Recipients, Service};

/// Longest user or connection id, in characters.
const LONGEST_ID: usize = 1024;

/// A call whose token is valid, to an operation its version has.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) parts: &'a Parts,
    pub(super) caller: Caller,
    pub(super) version: Version,
}

impl<'a> Call<'a> {
    pub(super) fn query(&self) -> Query<'a> {
        Query::new(self.parts.uri.query())
    }

    /// The hub of the path, in the application of the query.
    pub(super) fn hub(&self, name: &str) -> Result<HubName, Refusal> {
        let application = self.query().last("application").filter(|application| !application.is_empty());
        let is_too_early = self.version < Version::V2022_06 && !self.service.options.lenient;
        if application.is_some() && is_too_early {
            let message = "`application` is there from `api-version` 2022-06-01 on; \
                before, the call would reach the hub of no application";
            return Err(Refusal::invalid("application", message));
        }
        Ok(HubName::of_caller(application.as_deref(), name)?)
    }

    /// Who is to be left out.
    pub(super) fn excluded(&self) -> HashSet<ConnectionId> {
        self.query().all("excluded").map(|id| ConnectionId::new(&id)).collect()
    }

    /// A whole number in the query.
    pub(super) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Refusal> {
        let Some(text) = self.query().last(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = range.into_inner();
            Refusal::invalid(name, format!("`{name}` must be a whole number from {least} to {most}"))
        })
    }
}

pub(super) fn audience(target: Target<'_>) -> Result<Recipients, Refusal> {
    Ok(match target {
        Target::Hub => Recipients::Everyone,
        Target::Group(group) => Recipients::Group(group_name(group)?),
        Target::User(user) => Recipients::User(user_id(user)?),
        Target::Connection(connection) => Recipients::Connection(connection_id(connection)?),
    })
}

pub(super) fn group_name(name: &str) -> Result<GroupName, Refusal> {
    GroupName::new(name).map_err(|invalid| Refusal::invalid("group", invalid.to_string()))
}

pub(super) fn user_id(id: &str) -> Result<UserId, Refusal> {
    UserId::new(id).filter(|_| is_short_enough(id)).ok_or_else(|| bad_id("user"))
}

pub(super) fn connection_id(id: &str) -> Result<ConnectionId, Refusal> {
    if !id.is_empty() && is_short_enough(id) {
        Ok(ConnectionId::new(id))
    } else {
        Err(bad_id("connectionId"))
    }
}

fn is_short_enough(id: &str) -> bool {
    id.chars().nth(LONGEST_ID).is_none()
}

fn bad_id(parameter: &'static str) -> Refusal {
    Refusal::invalid(parameter, format!("`{parameter}` must be 1 to {LONGEST_ID} characters"))
}
