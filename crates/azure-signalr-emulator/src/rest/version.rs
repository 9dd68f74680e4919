//! The versions of the API, oldest first.
//!
//! The first one is told by its paths, `/api/v1/…`; all others by `api-version` in the query. They differ in which
//! operations there are, and in the status of some answers.

use std::fmt;

use crate::query::Query;
use crate::refusal::Refusal;

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V1,
    V2020_10,
    V2022_06,
    V2022_11,
    V2023_07,
    V2024_12,
}

impl Version {
    /// Those with an `api-version`.
    const DATED: [Self; 5] = [Self::V2020_10, Self::V2022_06, Self::V2022_11, Self::V2023_07, Self::V2024_12];

    pub(super) const NEWEST: Self = Self::V2024_12;

    fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2020_10 => "2020-10-01",
            Self::V2022_06 => "2022-06-01",
            Self::V2022_11 => "2022-11-01",
            Self::V2023_07 => "2023-07-01",
            Self::V2024_12 => "2024-12-01",
        }
    }

    /// The version a query asks for. The oldest of them did not insist on being named; here one has to be, since who
    /// leaves it out is not likely to mean that one.
    pub(super) fn of_query(query: Query<'_>) -> Result<Self, Refusal> {
        let refusal = |what: &str| {
            let known = Self::DATED.map(Self::name).join(", ");
            Refusal::invalid("api-version", format!("{what}; known are {known}"))
        };
        let name =
            query.last("api-version").ok_or_else(|| refusal("`api-version` is missing in the query"))?;
        let version = Self::DATED.into_iter().find(|version| version.name() == name);
        version.ok_or_else(|| refusal("this `api-version` is not known"))
    }

    /// This version, if it has what came with `since`.
    pub(super) fn at_least(self, since: Self) -> Result<Self, Refusal> {
        if self >= since {
            return Ok(self);
        }
        Err(Refusal::not_found(format!(
            "this operation is there from `api-version` {since} on, and the call is of version {self}"
        )))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
