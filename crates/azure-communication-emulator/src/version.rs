//! `api-version`: required in every query, and what else exists depends on it.

use axum::http::{StatusCode, Uri};
use url::form_urlencoded;

use crate::refusal::Refusal;

/// What `api-supported-versions` says.
pub(crate) const SUPPORTED: &str = "2021-03-07, 2022-06-01, 2022-10-01, 2023-10-01, 2025-06-30";

/// The stable versions of the identity API, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ApiVersion {
    /// Create, delete, revoke, issue.
    V2021_03_07,
    /// And exchange of Teams tokens.
    V2022_06_01,
    /// And `expiresInMinutes`.
    V2022_10_01,
    /// And the scopes that only join.
    V2023_10_01,
    /// The same, as far as identities are concerned.
    V2025_06_30,
}

impl ApiVersion {
    const ALL: [Self; 5] =
        [Self::V2021_03_07, Self::V2022_06_01, Self::V2022_10_01, Self::V2023_10_01, Self::V2025_06_30];

    /// The version a request asks for. Names in a query ignore case.
    ///
    /// What the answers say is published for an unsupported version only; the rest follows the library that words that
    /// one (ASP.NET API versioning).
    pub(crate) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let mut versions = query.filter(|(name, _)| name.eq_ignore_ascii_case("api-version"));
        let first = versions.next().map(|(_, version)| version).filter(|version| !version.is_empty());
        let Some(version) = first else {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "ApiVersionUnspecified",
                ["An API version is required, but was not specified. Known are ", SUPPORTED, "."].concat(),
            ));
        };
        if versions.next().is_some() {
            let message = "`api-version` stands in the query more than once.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "AmbiguousApiVersion", message));
        }
        let known = Self::ALL.into_iter().find(|known| known.as_str() == version);
        known.ok_or_else(|| Self::unsupported(uri, &version))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V2021_03_07 => "2021-03-07",
            Self::V2022_06_01 => "2022-06-01",
            Self::V2022_10_01 => "2022-10-01",
            Self::V2023_10_01 => "2023-10-01",
            Self::V2025_06_30 => "2025-06-30",
        }
    }

    /// The answer where `version` does not have what the request asks for.
    pub(crate) fn unsupported(uri: &Uri, version: &str) -> Refusal {
        let message = format!(
            "The HTTP resource that matches the request URI '{uri}' does not support the API version '{version}'.",
        );
        let logged =
            format!("expected an `api-version` that has this, of {SUPPORTED}; came {:?}", short(version));
        Refusal::new(StatusCode::BAD_REQUEST, "UnsupportedApiVersion", message).logged(logged)
    }
}

/// A version is ten characters; a caller's mistake may be longer than a line of a log.
fn short(version: &str) -> String {
    version.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uri: &str) -> Result<ApiVersion, &'static str> {
        ApiVersion::of(&uri.parse().unwrap()).map_err(|refusal| refusal.code())
    }

    #[test]
    fn every_version_that_is_announced_is_known() {
        let announced: Vec<_> = SUPPORTED
            .split(", ")
            .map(|version| code(&format!("/identities?api-version={version}")))
            .collect();
        assert_eq!(announced, ApiVersion::ALL.map(Ok));
        assert_eq!(code("/identities?x=1&Api-Version=2023%2D10-01"), Ok(ApiVersion::V2023_10_01));
    }

    #[test]
    fn each_mistake_has_its_code() {
        for (query, expected) in [
            ("", "ApiVersionUnspecified"),
            ("?api-version=", "ApiVersionUnspecified"),
            ("?api-version=2023-10-01&api-version=2023-10-01", "AmbiguousApiVersion"),
            ("?api-version=2023-10-02", "UnsupportedApiVersion"),
            ("?api-version=2023-10-01-preview", "UnsupportedApiVersion"),
        ] {
            assert_eq!(code(&["/identities", query].concat()), Err(expected), "{query}");
        }
    }
}
