//! The operations of the API as data, the requests they become, and how a request is authenticated.

use azure_http::{HeaderValue, Method, Request, Retry, header};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::connection_string::{AccessKey, Endpoint, host, target};
use crate::error::Error;
use crate::parameters::{Grant, Lifetime, Scope, TeamsUser, UserId};
use crate::signature::{Signature, SignedParts};
use crate::token_source::{DynTokenSource, TokenError};

/// One call of the API. Its body is written once, so that each attempt sends the same bytes.
pub(crate) struct Operation {
    method: Method,
    url: Url,
    /// What is sent as JSON. `None` sends no content type either.
    body: Option<Vec<u8>>,
    /// The status of success; any other is an error.
    pub(crate) expected_status: u16,
    pub(crate) retry: Retry,
}

impl Operation {
    fn new(method: Method, url: Url, body: Option<Vec<u8>>, expected_status: u16, retry: Retry) -> Self {
        Self { method, url, body, expected_status, retry }
    }

    /// Creates a user, and a token with it if there is a grant. Without one, the body is empty but has a type, as in the official SDKs.
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
        let url = endpoint.url(&["identities"], None);
        Self::new(Method::POST, url, Some(body.unwrap_or_default()), 201, Retry::Unsafe)
    }

    /// Issues a token of a user. A second one does no harm if the first was lost with its response.
    pub(crate) fn issue(endpoint: &Endpoint, user: &UserId, grant: &Grant) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            scopes: &'a [Scope],
            #[serde(skip_serializing_if = "Option::is_none")]
            expires_in_minutes: Option<Lifetime>,
        }
        let body = Body { scopes: grant.scopes(), expires_in_minutes: grant.lifetime() };
        let url = endpoint.url(&["identities", user.as_str()], Some("issueAccessToken"));
        Self::new(Method::POST, url, Some(json(&body)), 200, Retry::Idempotent)
    }

    pub(crate) fn revoke(endpoint: &Endpoint, user: &UserId) -> Self {
        let url = endpoint.url(&["identities", user.as_str()], Some("revokeAccessTokens"));
        Self::new(Method::POST, url, None, 204, Retry::Idempotent)
    }

    pub(crate) fn delete(endpoint: &Endpoint, user: &UserId) -> Self {
        let url = endpoint.url(&["identities", user.as_str()], None);
        Self::new(Method::DELETE, url, None, 204, Retry::Delete)
    }

    pub(crate) fn exchange(endpoint: &Endpoint, user: &TeamsUser<'_>) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            token: &'a str,
            app_id: &'a str,
            user_id: &'a str,
        }
        let token = user.token.0.expose();
        let body = Body { token, app_id: user.app_id, user_id: user.user_id };
        let url = endpoint.url(&["teamsUser"], Some("exchangeAccessToken"));
        Self::new(Method::POST, url, Some(json(&body)), 200, Retry::Idempotent)
    }

    /// The request, not authenticated yet.
    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        let json_type = HeaderValue::from_static("application/json");
        request.headers.insert(header::ACCEPT, json_type.clone());
        if let Some(body) = &self.body {
            request.headers.insert(header::CONTENT_TYPE, json_type);
            request.body.clone_from(body);
        }
        request
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("bodies are texts and numbers under text keys")
}

/// What requests are authenticated with: the signature of an access key, or the token of an identity.
pub(crate) enum RequestAuth {
    Key(AccessKey),
    Tokens(Box<dyn DynTokenSource>),
}

impl RequestAuth {
    /// Adds the headers that authenticate `request` at `now`. Nothing may be changed afterwards, since the request itself is signed.
    pub(crate) async fn authenticate(
        &self,
        request: &mut Request,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), Error> {
        match self {
            Self::Key(key) => sign(request, key, now),
            Self::Tokens(source) => {
                let token = timeout_at(deadline, source.token(now)).await;
                let token = token.unwrap_or_else(|elapsed| Err(TokenError::transient(elapsed, None)));
                request.set_bearer(&token.map_err(Error::no_token)?.0)?;
            }
        }
        Ok(())
    }
}

fn sign(request: &mut Request, key: &AccessKey, now: Timestamp) {
    let value = |text: &str| HeaderValue::try_from(text).expect("hosts of URLs, dates and base64 are visible ASCII");
    let parts = SignedParts {
        method: request.method.as_str(),
        target: target(&request.url),
        host: host(&request.url),
        body: &request.body,
    };
    let Signature { date, content_hash, authorization } = Signature::new(key, &parts, now);
    let mut authorization = value(&authorization);
    authorization.set_sensitive(true);
    request.headers.insert(header::HOST, value(host(&request.url)));
    request.headers.insert("x-ms-date", value(&date));
    request.headers.insert("x-ms-content-sha256", value(&content_hash));
    request.headers.insert(header::AUTHORIZATION, authorization);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection_string::ConnectionString;

    const CONNECTION: &str =
        "endpoint=https://contoso-test.communication.azure.com/;accesskey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const USER: &str = "8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";

    #[tokio::test]
    async fn case_1_the_clients_own_requests_are_the_vectors_a_b_and_c() {
        let connection: ConnectionString = CONNECTION.parse().unwrap();
        let (endpoint, user) = (connection.endpoint(), USER.parse().unwrap());
        let auth = RequestAuth::Key(connection.key.clone());
        let hour_of_calls = Grant::from(Scope::VOIP).with_lifetime(Lifetime::MIN);
        for (operation, signature) in [
            (Operation::create(endpoint, Some(&Scope::CHAT.into())), "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs="),
            (Operation::issue(endpoint, &user, &hour_of_calls), "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA="),
            (Operation::delete(endpoint, &user), "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk="),
        ] {
            let mut request = operation.request();
            let now = Timestamp::from_second(1_697_643_256).unwrap();
            auth.authenticate(&mut request, now, Instant::now()).await.unwrap();
            let authorization = request.headers[header::AUTHORIZATION].to_str().unwrap();
            assert_eq!(authorization.split_once("&Signature=").unwrap().1, signature);
            assert_eq!(request.headers[header::HOST], "contoso-test.communication.azure.com");
            assert!(!format!("{request:?} {:?}", request.headers).contains(signature));
        }
    }
}
