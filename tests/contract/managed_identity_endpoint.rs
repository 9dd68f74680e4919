//! The endpoint for managed identities of App Service, in the test's process, and the tokens it issues.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use test_support::entra::now;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::test_app::TEST_TIMEOUT;

/// The issuer of the tokens, and the secret they are signed with.
pub(crate) const ISSUER: &str = "https://issuer.test/";
pub(crate) const ISSUER_KEY: &str = "the-key-of-the-issuer";
/// The object id of the identity that has the roles it needs.
pub(crate) const OWNER_ID: &str = "the-identity-of-the-app";
/// The value of the setting of this name, which the endpoint requires.
pub(crate) const IDENTITY_HEADER: &str = "SECRET-identity-header";

/// A token lifetime longer than any test.
pub(crate) const LONG_LIFETIME: Duration = Duration::from_secs(3_600);

/// A token of the identity `object_id` for `audience`.
pub(crate) fn sign_token(object_id: &str, audience: &Value, expires_on: u64) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": audience, "oid": object_id, "nbf": now(), "exp": expires_on,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(ISSUER_KEY.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// The endpoint for managed identities of App Service.
#[derive(Clone)]
pub(crate) struct IdentityEndpoint {
    object_id: &'static str,
    lifetime: Duration,
    /// One permit for each response it may send.
    pub(crate) permits: Arc<Semaphore>,
    requests: Arc<watch::Sender<Vec<Value>>>,
    issued: Arc<Mutex<Vec<(String, u64)>>>,
}

impl IdentityEndpoint {
    /// An endpoint for the identity `object_id`, which sends at most `permits` responses.
    pub(crate) fn new(object_id: &'static str, lifetime: Duration, permits: usize) -> Self {
        Self {
            object_id,
            lifetime,
            permits: Arc::new(Semaphore::new(permits)),
            requests: Arc::default(),
            issued: Arc::default(),
        }
    }

    /// Starts listening at `port`, or a free port if it is 0, and returns the port.
    pub(crate) async fn start(&self, port: u16) -> u16 {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let routes = Router::new().route("/msi/token", get(issue_token)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(socket, routes).await });
        port
    }

    /// The queries of all requests.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.borrow().clone()
    }

    /// Waits until there were `count` requests.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let result = tokio::time::timeout(TEST_TIMEOUT, requests.wait_for(|requests| requests.len() >= count)).await;
        result.expect("no request for a token").unwrap();
    }

    /// The issued tokens, each with the second of its expiry.
    pub(crate) fn tokens(&self) -> Vec<(String, u64)> {
        self.issued.lock().unwrap().clone()
    }
}

async fn issue_token(
    State(endpoint): State<IdentityEndpoint>,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let url = reqwest::Url::parse(&format!("http://localhost{uri}")).unwrap();
    let query: Value = url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect();
    let authorized = headers.get("x-identity-header").is_some_and(|secret| secret == IDENTITY_HEADER);
    endpoint.requests.send_modify(|requests| requests.push(query.clone()));
    if !authorized || query["api-version"] != "2019-08-01" {
        return (StatusCode::BAD_REQUEST, Json(json!({"statusCode": 400, "message": "SECRET-text"})));
    }
    endpoint.permits.acquire().await.unwrap().forget();
    let expires_on = now() + endpoint.lifetime.as_secs();
    let token = sign_token(endpoint.object_id, &query["resource"], expires_on);
    endpoint.issued.lock().unwrap().push((token.clone(), expires_on));
    let response = json!({
        "access_token": token, "expires_on": expires_on.to_string(), "token_type": "Bearer", "resource": query["resource"],
    });
    (StatusCode::OK, Json(response))
}
