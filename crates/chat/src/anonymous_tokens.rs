//! `GET /api/access-token` as in the tutorial for a trusted user access service: a token for whoever asks, each time for a new identity.
//!
//! That is what the tutorial itself warns of. It is here for its clients to be tried out on this machine, and in nothing that goes to Azure.

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

/// What the host forwards: the function of this repository, and `GET`.
const FUNCTION: &str = r#"{"bindings":[
    {"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get","post","delete"],"route":"access-token"},
    {"type":"http","direction":"out","name":"res"}
]}"#;

#[derive(Clone)]
struct Desk {
    service: Client,
    most: Grant,
}

/// Has the host forward `GET` as well.
pub(crate) fn forward(functions: &mut [Function]) {
    let tutorials = Function::parse(NAME, FUNCTION).expect("it is written right above");
    for function in functions.iter_mut().filter(|function| function.name() == NAME) {
        function.clone_from(&tutorials);
    }
}

/// Answers `GET` before `app` sees it.
pub(crate) fn in_front_of(app: Router, config: &Config, service: Client) -> Router {
    let desk = Desk { service, most: config.tokens.most.clone() };
    let path = ["", config.route_prefix.as_str(), "access-token"].join("/");
    let issued = get(issue).fallback_service(app.clone()).with_state(desk);
    Router::new().route(&path, issued).fallback_service(app)
}

async fn issue(State(desk): State<Desk>) -> Result<impl IntoResponse, Error> {
    let (user, token) =
        desk.service.create_user_and_token(&desk.most, Timestamp::now()).await.inspect_err(|error| {
            warn!("no token for somebody anonymous: {error}");
        })?;
    let body = json!({
        "token": token.secret(),
        "expiresOn": token.expires_on(),
        "user": { "communicationUserId": user.as_str() },
        "scopes": desk.most.scopes().iter().map(Scope::as_str).collect::<Vec<_>>(),
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}
