//! The endpoints under `/.auth/`: login, logout, me and refresh.
//!
//! `POST /.auth/login/{provider}` takes the form of the sign-in page, or JSON from programs. They differ by content type: a page of
//! another origin can send JSON only after a CORS preflight.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http_server::BodyTimeout;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::credential::{COOKIE, Credential, comes_from};
use super::identity::{Identity, Provider};
use super::pages;
use super::provider_token::parse_name;
use super::redirect::{Destination, RedirectError, token_fragment};
use super::session::{EasyAuth, now};
use crate::responses::error_response;

const MAX_BODY_BYTES: usize = 16 * 1024;

const SIGNED_IN: &str = "/.auth/login/done";
const SIGNED_OUT: &str = "/.auth/logout/done";

const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// All routes below `/.auth/`.
pub(super) fn routes() -> Router<Arc<EasyAuth>> {
    Router::new()
        .route("/.auth/login/{provider}", get(sign_in_page).post(sign_in))
        .route(SIGNED_IN, get(async |State(auth): State<Arc<EasyAuth>>| pages::signed_in(auth.page.first())))
        .route("/.auth/me", get(me))
        .route("/.auth/refresh", get(refresh))
        .route("/.auth/logout", get(sign_out).post(sign_out))
        .route(SIGNED_OUT, get(async |State(auth): State<Arc<EasyAuth>>| pages::signed_out(auth.page.first())))
        .route(pages::STYLE_PATH, get(pages::style))
        .route("/.auth/{*rest}", any(not_found))
}

/// The query parameters of a sign-in.
struct SignInRequest {
    /// The error is a given address that is not allowed.
    destination: Result<Option<Destination>, RedirectError>,
    as_token: bool,
}

impl SignInRequest {
    fn parse(easy_auth: &EasyAuth, uri: &Uri) -> Self {
        let destination = destination(easy_auth, uri, &["post_login_redirect_url", "post_login_redirect_uri"]);
        let as_token = parameter(uri, &["session_mode"]).is_some_and(|mode| mode == "token");
        Self { destination, as_token }
    }
}

/// The redirect address in one of the parameters `names`.
fn destination(easy_auth: &EasyAuth, uri: &Uri, names: &[&str]) -> Result<Option<Destination>, RedirectError> {
    let Some(text) = parameter(uri, names) else { return Ok(None) };
    Destination::parse(&text, &easy_auth.redirects, &easy_auth.own)
        .map(Some)
        .inspect_err(|reason| tracing::warn!(%reason, "rejected a redirect address"))
}

fn parameter(uri: &Uri, names: &[&str]) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| names.contains(&name.as_ref()));
    found.next().map(|(_, value)| value.into_owned())
}

async fn sign_in_page(State(easy_auth): State<Arc<EasyAuth>>, Path(alias): Path<String>, uri: Uri) -> Response {
    let Some(provider) = Provider::find(&alias) else { return unknown_provider() };
    let request = SignInRequest::parse(&easy_auth, &uri);
    pages::sign_in(provider, &request.destination, easy_auth.page.first(), None)
}

async fn sign_in(State(easy_auth): State<Arc<EasyAuth>>, Path(alias): Path<String>, request: Request) -> Response {
    let Some(provider) = Provider::find(&alias) else { return unknown_provider() };
    let kind = content_type(request.headers());
    let result = match kind.as_deref() {
        Some("application/json") => sign_in_program(&easy_auth, provider, request).await,
        Some("application/x-www-form-urlencoded") => sign_in_browser(&easy_auth, provider, request).await,
        _ => Err(error_response(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send {\"access_token\":\"a name\"} as application/json.",
        )),
    };
    result.unwrap_or_else(|error| error)
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|kind| kind.trim().to_ascii_lowercase())
}

/// What a provider gave to the client. The other fields of Easy Auth are ignored.
#[derive(Deserialize)]
struct ProviderTokens {
    access_token: Option<String>,
    id_token: Option<String>,
    /// Of Microsoft accounts.
    authentication_token: Option<String>,
}

async fn sign_in_program(easy_auth: &EasyAuth, provider: Provider, request: Request) -> Result<Response, Response> {
    let body = read_body(request.into_body()).await?;
    let tokens = serde_json::from_slice(&body)
        .map(|ProviderTokens { access_token, id_token, authentication_token }| {
            [access_token, id_token, authentication_token]
        })
        .unwrap_or_default();
    // One token may be opaque and another one have the name.
    let names = tokens.iter().flatten().map(|token| parse_name(token));
    let name = names.reduce(Result::or).ok_or_else(|| {
        let message = "The body must be a JSON object with `access_token`, `id_token` or `authentication_token`: locally a \
                       name, or a JWT that has one. An authorization code cannot be redeemed here.";
        error_response(StatusCode::BAD_REQUEST, "invalid_token_request", message)
    })?;
    let name = name.map_err(|error| error_response(StatusCode::BAD_REQUEST, "invalid_name", &error.to_string()))?;
    let identity = Identity { provider, name };
    let token = easy_auth.sessions.issue(&identity, now()).map_err(signing_error)?;
    tracing::info!(provider = provider.alias, "a program signed in");
    Ok(json_response(&token_response(&identity, &token)))
}

async fn sign_in_browser(easy_auth: &EasyAuth, provider: Provider, request: Request) -> Result<Response, Response> {
    if !comes_from(request.headers(), &[&easy_auth.own]) {
        tracing::warn!("rejected a sign-in form that is not from the sign-in page");
        let message = "Only the sign-in page may send this form: open it and choose a name there.";
        return Err(error_response(StatusCode::FORBIDDEN, "origin_not_allowed", message));
    }
    let SignInRequest { destination, as_token } = SignInRequest::parse(easy_auth, request.uri());
    let body = read_body(request.into_body()).await?;
    let typed = form_urlencoded::parse(&body).find(|(field, _)| field == pages::FIELD).map(|(_, value)| value);
    let typed = typed.unwrap_or_default();
    let name = parse_name(&typed)
        .map_err(|error| pages::sign_in(provider, &destination, easy_auth.page.first(), Some((&typed, error))))?;
    let identity = Identity { provider, name };
    let token = easy_auth.sessions.issue(&identity, now()).map_err(signing_error)?;
    tracing::info!(provider = provider.alias, as_token, "a user signed in");
    let destination = destination.unwrap_or_default();
    if as_token {
        let json = token_response(&identity, &token).to_string();
        let location = match destination {
            Some(destination) => destination.location_with_token(&json),
            None => format!("{SIGNED_IN}#{}", token_fragment(&json)),
        };
        return Ok(redirect(&location));
    }
    let mut response = redirect(&destination.map_or_else(|| SIGNED_IN.to_owned(), |to| to.location()));
    set_cookie(&mut response, &session_cookie(&token));
    Ok(response)
}

async fn read_body(body: Body) -> Result<axum::body::Bytes, Response> {
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        if BodyTimeout::is_cause_of(&error) {
            let message = "The body did not arrive in time; send it again.";
            return error_response(StatusCode::REQUEST_TIMEOUT, "request_timeout", message);
        }
        let message = "A sign-in has a body of at most 16 KiB.";
        error_response(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    })
}

/// The JSON of a sign-in that returns a token, in a body or a fragment.
fn token_response(identity: &Identity, token: &str) -> Value {
    json!({ "authenticationToken": token, "user": { "userId": identity.sid() } })
}

async fn me(State(easy_auth): State<Arc<EasyAuth>>, headers: HeaderMap) -> Response {
    let session = match easy_auth.caller(&headers) {
        Ok(Some((session, _))) => session,
        Ok(None) => return unauthenticated(),
        Err(error) => return error.into_response(),
    };
    let expires = i64::try_from(session.expires).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    json_response(&json!([{
        "provider_name": session.identity.provider.alias,
        "user_id": session.identity.user_id(),
        "user_claims": session.identity.claims(),
        "expires_on": expires.map(|time| time.to_string()),
    }]))
}

/// Renews a session in its own form: a cookie as a cookie, a token in the body.
async fn refresh(State(easy_auth): State<Arc<EasyAuth>>, headers: HeaderMap) -> Response {
    let Some(credential) = Credential::of(&headers) else { return unauthenticated() };
    let session = easy_auth.sessions.read_for_renewal(credential.token(), now());
    let Some(session) = session else { return unauthenticated() };
    match (easy_auth.sessions.issue(&session.identity, now()), credential) {
        (Err(error), _) => signing_error(error),
        (Ok(token), Credential::Header(_)) => json_response(&token_response(&session.identity, &token)),
        (Ok(token), Credential::Cookie(_)) => {
            let mut response = [NO_STORE].into_response();
            set_cookie(&mut response, &session_cookie(&token));
            response
        }
    }
}

/// Deletes the cookie only: a token stays valid until it expires, as in Azure.
async fn sign_out(State(easy_auth): State<Arc<EasyAuth>>, uri: Uri) -> Response {
    let destination = destination(&easy_auth, &uri, &["post_logout_redirect_uri", "post_logout_redirect_url"]);
    let location = destination.ok().flatten().map_or_else(|| SIGNED_OUT.to_owned(), |to| to.location());
    let mut response = redirect(&location);
    set_cookie(&mut response, &format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"));
    response
}

fn session_cookie(token: &str) -> String {
    format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax")
}

fn set_cookie(response: &mut Response, cookie: &str) {
    let cookie = HeaderValue::from_str(cookie).expect("a token is letters, digits, `-`, `_` and dots");
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

fn redirect(location: &str) -> Response {
    let location = HeaderValue::from_str(location).expect("a parsed address is visible ASCII");
    (StatusCode::FOUND, [(header::LOCATION, location), NO_STORE]).into_response()
}

fn json_response(body: &Value) -> Response {
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([json, NO_STORE], body.to_string()).into_response()
}

fn signing_error(error: jsonwebtoken::errors::Error) -> Response {
    tracing::error!(%error, "cannot sign a session token");
    error_response(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The session could not be created: try again.")
}

fn unauthenticated() -> Response {
    let message = "The caller is not signed in: sign in at /.auth/login/aad.";
    error_response(StatusCode::UNAUTHORIZED, "unauthenticated", message)
}

fn unknown_provider() -> Response {
    let message = format!("There is no such provider here: use one of {}.", Provider::aliases());
    error_response(StatusCode::NOT_FOUND, "unknown_provider", &message)
}

async fn not_found() -> Response {
    let message = "Below /.auth/ there are login/{provider}, me, refresh and logout; nothing else is emulated.";
    error_response(StatusCode::NOT_FOUND, "not_found", message)
}
