//! The calls of the API, as data: where each goes, what it says, what a yes is, and when it may be made again.
//!
//! A body is written once, so that a call that fails and is tried again sends the same bytes.

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use serde::Serialize;
use url::Url;

use crate::endpoint::Endpoint;
use crate::grant::{Grant, Lifetime, Scope};
use crate::retry::Repeat;
use crate::teams_user::TeamsUser;
use crate::user_id::UserId;

/// One call.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// What is sent as JSON. Without one, nothing is said about its type either.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) expected: StatusCode,
    pub(crate) repeat: Repeat,
}

impl Call {
    /// A user, and a token with it. Without one the body is empty but of a type, as the official SDKs have it.
    pub(crate) fn create(endpoint: &Endpoint, grant: Option<&Grant>) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            create_token_with_scopes: &'a [Scope],
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_in_minutes: Option<Lifetime>,
        }
        let body = grant.map(|grant| {
            json(&Body { create_token_with_scopes: grant.scopes(), expires_in_minutes: grant.lifetime() })
        });
        Self {
            method: Method::POST,
            url: endpoint.address(&["identities"], None),
            body: Some(body.unwrap_or_default()),
            expected: StatusCode::CREATED,
            repeat: Repeat::Adds,
        }
    }

    /// A token of a user. One that was lost on its way does no harm: nobody has it.
    pub(crate) fn issue(endpoint: &Endpoint, user: &UserId, grant: &Grant) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            scopes: &'a [Scope],
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_in_minutes: Option<Lifetime>,
        }
        Self {
            method: Method::POST,
            url: endpoint.address(&["identities", user.as_str()], Some("issueAccessToken")),
            body: Some(json(&Body { scopes: grant.scopes(), expires_in_minutes: grant.lifetime() })),
            expected: StatusCode::OK,
            repeat: Repeat::Harmless,
        }
    }

    /// The end of all tokens of a user.
    pub(crate) fn revoke(endpoint: &Endpoint, user: &UserId) -> Self {
        Self {
            method: Method::POST,
            url: endpoint.address(&["identities", user.as_str()], Some("revokeAccessTokens")),
            body: None,
            expected: StatusCode::NO_CONTENT,
            repeat: Repeat::Harmless,
        }
    }

    /// The end of a user.
    pub(crate) fn delete(endpoint: &Endpoint, user: &UserId) -> Self {
        Self {
            method: Method::DELETE,
            url: endpoint.address(&["identities", user.as_str()], None),
            body: None,
            expected: StatusCode::NO_CONTENT,
            repeat: Repeat::Vanishes,
        }
    }

    /// A Teams user's own token for one of the service's.
    pub(crate) fn exchange(endpoint: &Endpoint, user: &TeamsUser<'_>) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            token: &'a str,
            app_id: &'a str,
            user_id: &'a str,
        }
        let body = Body { token: user.token.expose(), app_id: user.app_id, user_id: user.user_id };
        Self {
            method: Method::POST,
            url: endpoint.address(&["teamsUser"], Some("exchangeAccessToken")),
            body: Some(json(&body)),
            expected: StatusCode::OK,
            repeat: Repeat::Harmless,
        }
    }

    /// The request for it, as far as it is the same at every try.
    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        let body = self.body.clone().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        } else if self.method == Method::POST {
            // The HTTP library would say no length, and a front end may answer that with 411.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("bodies are texts and numbers under text keys")
}
