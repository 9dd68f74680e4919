//! The routes of the app and the middleware around them, as an axum `Router`.
//!
//! It opens no socket and reads no environment. It sets no CORS headers: the platform in front of it does, and browsers reject two sets.

use std::any::Any;
use std::error::Error as StdError;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, Request, State};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::{from_fn_with_state, map_request_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post, put};
use azure_signalr::{ConnectionString, Hub};
use tower::Layer as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access_token::{self, TokenService};
use crate::auth::bearer;
use crate::auth::{AuthConfig, Trust};
use crate::call_limit::CallLimit;
use crate::caller_limits::CallerLimits;
use crate::config::{AllowedRooms, Config};
use crate::error::Error;
use crate::features::features;
use crate::history::History;
use crate::history_api;
use crate::me::me;
use crate::messages::send;
use crate::negotiate::negotiate;
use crate::operations::Operations;
use crate::rate_limiter::Rate;
use crate::rooms::{self, Rooms};
use crate::telemetry::{self, Export, Recorder};

/// Twice the longest message whose characters are all JSON escapes.
const MAX_BODY_BYTES: usize = 64 * 1_024;

/// The state of the routes.
#[derive(Clone)]
struct AppState {
    hub: Hub,
    tokens: Option<TokenService>,
    auth: AuthConfig,
    limits: CallerLimits,
    rooms: Rooms,
    history: Option<History>,
}

impl FromRef<AppState> for Option<History> {
    fn from_ref(state: &AppState) -> Self {
        state.history.clone()
    }
}

impl FromRef<AppState> for Hub {
    fn from_ref(state: &AppState) -> Self {
        state.hub.clone()
    }
}

impl FromRef<AppState> for Option<TokenService> {
    fn from_ref(state: &AppState) -> Self {
        state.tokens.clone()
    }
}

impl FromRef<AppState> for AuthConfig {
    fn from_ref(state: &AppState) -> Self {
        state.auth.clone()
    }
}

impl FromRef<AppState> for Rooms {
    fn from_ref(state: &AppState) -> Self {
        state.rooms.clone()
    }
}

impl FromRef<AppState> for CallerLimits {
    fn from_ref(state: &AppState) -> Self {
        state.limits.clone()
    }
}

/// What the app is made of.
pub struct AppParts {
    /// Where messages are published.
    pub hub: Hub,
    /// Issues access tokens; without it that route is off.
    pub tokens: Option<TokenService>,
    /// How callers are authenticated.
    pub auth: AuthConfig,
    /// How many messages a user may send; without it nothing is limited.
    pub message_rate: Option<Rate>,
    /// The rooms that people may enter.
    pub rooms: AllowedRooms,
    /// Where messages are kept; without it none are.
    pub history: Option<History>,
    /// Where telemetry is exported to.
    pub export: Export,
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
    tokens: Option<TokenService>,
    history: Option<History>,
    trust: Trust,
    export: &Export,
) -> Result<Router, Box<dyn StdError + Send + Sync>> {
    let hub = Hub::new(signalr, &config.hub)?;
    hub.warm_up();
    let validator = config.bearer.as_ref().map(bearer::validator).transpose()?;
    let auth = AuthConfig {
        trust,
        validator,
        allow_anonymous: config.allow_anonymous,
        identity_provider: config.identity_provider.clone(),
    };
    let (rooms, message_rate) = (config.rooms.clone(), config.message_rate);
    let parts = AppParts { hub, tokens, auth, message_rate, rooms, history, export: export.clone() };
    Ok(app(parts, &config.route_prefix))
}

/// The app of `parts`. Its paths begin with `prefix`, given without slashes.
pub fn app(parts: AppParts, prefix: &str) -> Router {
    let AppParts { hub, tokens, auth, message_rate, rooms, history, export } = parts;
    let functions = functions(prefix);
    let [
        negotiation,
        older_negotiation,
        messages,
        access_tokens,
        own_profile,
        available_features,
        room_list,
        members,
        member,
        history_pages,
        sent_message,
    ] = functions.each_ref().map(|(_, path)| path.as_str());
    let routes = Router::new()
        .route("/", get(health))
        .route(negotiation, post(negotiate))
        .route(older_negotiation, get(negotiate).post(negotiate))
        .route(messages, post(send))
        .route(access_tokens, post(access_token::issue).delete(access_token::revoke))
        .route(own_profile, get(me))
        .route(available_features, get(features))
        .route(room_list, get(rooms::list))
        .route(members, get(rooms::members))
        .route(member, put(rooms::enter).delete(rooms::leave))
        .route(history_pages, get(history_api::read).delete(history_api::erase))
        .route(sent_message, delete(history_api::remove));
    // Without forwarding, the host posts its own JSON to the names of the functions.
    let routes = match prefix {
        "" => routes,
        _ => functions
            .iter()
            .fold(routes, |routes, (name, _)| routes.route(&format!("/{name}"), any(async || Error::NotForwarded))),
    };
    let routes = routes
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let recorder = Recorder::new(operations(&functions, prefix), export.of_calls_to(hub.server()));
    with_middleware(
        routes.with_state(AppState {
            hub,
            tokens,
            auth,
            limits: CallerLimits::new(message_rate),
            rooms: Rooms::new(rooms, history.as_ref().map(|history| history.log.clone())),
            history,
        }),
        recorder,
    )
}

/// The app while settings are missing or invalid: every response names them.
pub fn unconfigured(names: impl IntoIterator<Item = &'static str>, prefix: &str) -> Router {
    let names: Arc<[_]> = names.into_iter().collect();
    let routes = Router::new().route("/", get(health)).fallback(async move || Error::NotConfigured(names));
    // The settings of the telemetry may be invalid, too.
    with_middleware(routes, Recorder::new(operations(&functions(prefix), prefix), Export::default()))
}

/// The functions: name of the folder, and path.
fn functions(prefix: &str) -> [(&'static str, String); 11] {
    let at = |route| {
        if prefix.is_empty() { format!("/{route}") } else { format!("/{}/{route}", prefix.to_ascii_lowercase()) }
    };
    [
        ("negotiate", at("negotiate")),
        ("SignalRInfo", at("signalrinfo")),
        ("SendMessage", at("messages")),
        ("AccessToken", at("access-token")),
        ("Me", at("me")),
        ("Features", at("features")),
        ("Rooms", at("rooms")),
        ("RoomMembers", at("rooms/{room}/members")),
        ("RoomMember", at("rooms/{room}/members/{connectionId}")),
        ("History", at("history")),
        ("RemoveMessage", at("messages/{at}")),
    ]
}

fn operations(functions: &[(&'static str, String)], prefix: &str) -> Operations {
    let unforwarded = functions.iter().filter(|_| !prefix.is_empty()).map(|(name, _)| format!("/{name}"));
    Operations::new(functions.iter().map(|(name, path)| (*name, path.as_str())), unforwarded)
}

/// The response to `GET /`, with which the host checks that the handler has started and still responds.
async fn health() -> &'static str {
    "serverless chat"
}

/// `routes` inside of the layers of every request, outermost first: access log, panic handling, call limit, path normalization.
///
/// The layers of a router run after it has matched the path; these must run before, so `routes` is the fallback of an empty router.
pub fn with_middleware(routes: Router, recorder: Recorder) -> Router {
    Router::new()
        .fallback_service(CallLimit::new(map_request_with_state(recorder.clone(), normalize_path).layer(routes)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(recorder, telemetry::requests))
}

/// Removes what the host ignores when it matches a path: the letter case of its fixed segments, and one trailing slash.
async fn normalize_path(State(recorder): State<Recorder>, mut request: Request) -> Result<Request, Error> {
    let path = request.uri().path();
    if !is_well_encoded(path) {
        return Err(Error::InvalidPath);
    }
    let normalized = recorder.operations().normalize(path);
    if normalized != path {
        let mut parts = request.uri().clone().into_parts();
        let query = request.uri().query().map(|query| ["?", query].concat()).unwrap_or_default();
        let normalized = PathAndQuery::try_from(normalized.into_owned() + &query).map_err(|_| Error::InvalidPath)?;
        parts.path_and_query = Some(normalized);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Error::InvalidPath)?;
    }
    Ok(request)
}

fn is_well_encoded(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::Panicked(text.unwrap_or("without a text").to_owned()).into_response()
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
