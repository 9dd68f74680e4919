//! The routes of the app, and what the Functions host forgives on the way to them.
//!
//! There is no socket and no environment here: `app` makes a `Router`, and whoever has a socket serves it. It sets no CORS headers,
//! since the platform in front of it does, and two sets are worse than none.

use std::any::Any;
use std::error::Error as StdError;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, Request};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use azure_signalr::{ConnectionString, Hub};
use tower::Layer as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access_token::{self, TokenService};
use crate::auth::bearer;
use crate::auth::{AuthConfig, Trust};
use crate::config::Config;
use crate::error::Error;
use crate::messages::send;
use crate::negotiate::negotiate;
use crate::telemetry::{self, Export, Operations, Recorder};

/// The longest text as JSON escapes fits in twice.
const MAX_BODY_BYTES: usize = 64 * 1_024;

/// What handlers may ask for.
#[derive(Clone)]
struct Chat {
    hub: Hub,
    desk: Option<TokenService>,
    policy: AuthConfig,
}

impl FromRef<Chat> for Hub {
    fn from_ref(chat: &Chat) -> Self {
        chat.hub.clone()
    }
}

impl FromRef<Chat> for Option<TokenService> {
    fn from_ref(chat: &Chat) -> Self {
        chat.desk.clone()
    }
}

impl FromRef<Chat> for AuthConfig {
    fn from_ref(chat: &Chat) -> Self {
        chat.policy.clone()
    }
}

/// The app as `config` describes it, in front of the SignalR service at `signalr`. What an identity needs is requested in the background,
/// so that the app listens at once.
///
/// # Errors
///
/// When no HTTP client can be built.
///
/// # Panics
///
/// With an identity or bearer tokens, outside a tokio runtime.
pub fn from_config(
    config: &Config,
    signalr: &ConnectionString,
    desk: Option<TokenService>,
    trust: Trust,
    export: &Export,
) -> Result<Router, Box<dyn StdError + Send + Sync>> {
    let hub = Hub::new(signalr, &config.hub)?;
    hub.warm_up();
    let tokens = config.bearer.as_ref().map(bearer::validator).transpose()?;
    let policy = AuthConfig { trust, tokens, allow_anonymous: config.allow_anonymous };
    Ok(app(hub, desk, policy, &config.route_prefix, export.clone()))
}

/// The app: publishes to `hub`, gives out tokens at `desk`, if there is one, believes and lets in whom `policy` says, and exports what it
/// tells of itself to `export`. Paths begin with `prefix`, given without slashes.
pub fn app(hub: Hub, desk: Option<TokenService>, policy: AuthConfig, prefix: &str, export: Export) -> Router {
    let functions = functions(prefix);
    let [negotiation, older_negotiation, messages, access_tokens] =
        functions.each_ref().map(|(_, path)| path.as_str());
    let routes = Router::new()
        .route("/", get(health))
        .route(negotiation, post(negotiate))
        .route(older_negotiation, get(negotiate).post(negotiate))
        .route(messages, post(send))
        .route(access_tokens, post(access_token::issue).delete(access_token::revoke));
    // Without forwarding the host posts envelopes to the bare names of the functions.
    let routes = match prefix {
        "" => routes,
        _ => functions.iter().fold(routes, |routes, (name, _)| {
            routes.route(&format!("/{}", name.to_ascii_lowercase()), any(async || Error::NotForwarded))
        }),
    };
    let routes = routes
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let recorder = Recorder::new(operations(&functions), export.of_calls_to(hub.server()));
    with_middleware(routes.with_state(Chat { hub, desk, policy }), recorder)
}

/// What stands in for the app while settings are missing or wrong: it tells their names and does nothing else.
pub fn unconfigured(names: impl IntoIterator<Item = &'static str>, prefix: &str) -> Router {
    let names: Arc<[_]> = names.into_iter().collect();
    let routes = Router::new().route("/", get(health)).fallback(async move || Error::NotConfigured(names));
    // Where telemetry should go may be among what is wrong.
    with_middleware(routes, Recorder::new(operations(&functions(prefix)), Export::default()))
}

/// The functions, by the names of their folders, and their paths.
fn functions(prefix: &str) -> [(&'static str, String); 4] {
    let at = |route| {
        if prefix.is_empty() {
            format!("/{route}")
        } else {
            format!("/{}/{route}", prefix.to_ascii_lowercase())
        }
    };
    [
        ("negotiate", at("negotiate")),
        ("SignalRInfo", at("signalrinfo")),
        ("SendMessage", at("messages")),
        ("AccessToken", at("access-token")),
    ]
}

fn operations(functions: &[(&'static str, String)]) -> Operations {
    Operations::new(functions.iter().map(|(name, path)| (*name, path.as_str())))
}

/// What the host asks until it gets an answer, and later to see how we are.
async fn health() -> &'static str {
    "serverless chat"
}

/// The layers that every request passes, whatever the routes. From the outside in: the log, panics, forgiveness.
///
/// Layers of a router run after its paths have been matched; these have to come before, so the routes become the fallback of an
/// outer router that has none.
pub fn with_middleware(routes: Router, recorder: Recorder) -> Router {
    Router::new()
        .fallback_service(map_request(normalize_path).layer(routes))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(recorder, telemetry::requests))
}

/// The host matches paths in any letter case and with a slash at the end, and passes them on as they came.
async fn normalize_path(mut request: Request) -> Result<Request, Error> {
    let path = request.uri().path();
    if !is_well_encoded(path) {
        return Err(Error::InvalidPath);
    }
    let forgiven = match path.to_ascii_lowercase() {
        path if path.len() > 1 && path.ends_with('/') => path[..path.len() - 1].to_owned(),
        path => path,
    };
    if forgiven != path {
        let mut parts = request.uri().clone().into_parts();
        let query = request.uri().query().map(|query| ["?", query].concat()).unwrap_or_default();
        let forgiven = PathAndQuery::try_from(forgiven + &query).map_err(|_| Error::InvalidPath)?;
        parts.path_and_query = Some(forgiven);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Error::InvalidPath)?;
    }
    Ok(request)
}

fn is_well_encoded(path: &str) -> bool {
    path.split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast::<String>().map(|text| *text);
    let message = message.or_else(|panic| panic.downcast::<&str>().map(|text| text.to_string()));
    Error::Panicked(message.unwrap_or_else(|_| "for a reason that is no text".to_owned())).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_well_encoded;

    #[test]
    fn case_24_a_percent_sign_needs_two_hex_digits() {
        for path in ["/", "/a%2Fb", "/%e4%20"] {
            assert!(is_well_encoded(path), "{path}");
        }
        for path in ["/%", "/%2", "/%zz", "/%%20", "/a%2/b"] {
            assert!(!is_well_encoded(path), "{path}");
        }
    }
}
