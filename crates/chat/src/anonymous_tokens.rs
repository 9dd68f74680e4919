//! `--anonymous-tokens`: `GET /api/access-token` without sign-in, as in the tutorial for a trusted user access service.
//!
//! Every request gets a token for a new identity. The tutorial warns against this; it exists to try the tutorial's clients locally.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use azure_communication::{Client, Grant, Scope};
use jiff::Timestamp;
use serde_json::json;
use serverless_chat::config::Config;
use serverless_chat::error::Error;
use tracing::warn;

use crate::functions_host::Function;

const NAME: &str = "AccessToken";

/// This repository's function, with `GET` added.
const FUNCTION: &str = r#"{"bindings":[
    {"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get","post","delete"],"route":"access-token"},
    {"type":"http","direction":"out","name":"res"}
]}"#;

#[derive(Clone)]
struct AnonymousTokens {
    client: Client,
    grant: Grant,
}

/// Makes the host forward `GET` too.
pub(crate) fn allow_get(functions: &mut [Function]) {
    let with_get = Function::parse(NAME, FUNCTION).expect("the constant is valid");
    for function in functions.iter_mut().filter(|function| function.name == NAME) {
        function.clone_from(&with_get);
    }
}

/// Answers `GET` itself and leaves all other requests to `app`.
pub(crate) fn with_anonymous_tokens(app: Router, config: &Config, client: Client) -> Router {
    let tokens = AnonymousTokens { client, grant: config.tokens.max_grant.clone() };
    let path = ["", config.route_prefix.as_str(), "access-token"].join("/");
    let route = get(issue).fallback_service(app.clone()).with_state(tokens);
    Router::new().route(&path, route).fallback_service(app)
}

async fn issue(State(tokens): State<AnonymousTokens>) -> Result<impl IntoResponse, Error> {
    let AnonymousTokens { client, grant } = tokens;
    let (user, token) = client.create_user_and_token(&grant, Timestamp::now()).await.inspect_err(|error| {
        warn!("cannot issue an anonymous token: {error}");
    })?;
    let body = json!({
        "token": token.secret(),
        "expiresOn": token.expires_on(),
        "user": { "communicationUserId": user.as_str() },
        "scopes": grant.scopes().iter().map(Scope::as_str).collect::<Vec<_>>(),
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}
