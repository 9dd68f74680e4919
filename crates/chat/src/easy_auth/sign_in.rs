//! The addresses under `/.auth/`: sign in, sign out, who am I.
//!
//! Two kinds of post arrive at `/.auth/login/{provider}`: the form of our own page, and JSON from programs. They are
//! told apart by content type, because only the second kind makes a foreign page ask for leave first.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::caller::{COOKIE, Credential, comes_from};
use super::principal::{Identity, Name};
use super::provider::Provider;
use super::redirect::{Destination, token_fragment};
use super::{EasyAuth, invalid_token, now, page};
use crate::error_response::error_response;

/// A name and the little around it; no sign-in is larger.
const LARGEST_BODY: usize = 16 * 1024;

const DONE: &str = "/.auth/login/done";
const SIGNED_OUT: &str = "/.auth/logout/done";

/// Answers are about one person at one moment.
const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Everything below `/.auth/`.
pub(super) fn routes() -> Router<EasyAuth> {
    Router::new()
        .route("/.auth/login/{provider}", get(offer).post(sign_in))
        .route(DONE, get(done))
        .route("/.auth/me", get(me))
        .route("/.auth/refresh", get(refresh))
        .route("/.auth/logout", get(sign_out).post(sign_out))
        .route(SIGNED_OUT, get(signed_out))
        .route(page::STYLE_PATH, get(page::style))
        .route("/.auth/{*rest}", any(unknown))
}

/// What the address of a sign-in asks for.
struct Wish {
    destination: Option<Destination>,
    refused: bool,
    as_token: bool,
}

impl Wish {
    fn read(easy_auth: &EasyAuth, uri: &Uri) -> Self {
        let destination = easy_auth.destination(uri, &["post_login_redirect_url", "post_login_redirect_uri"]);
        let as_token = parameter(uri, &["session_mode"]).is_some_and(|mode| mode == "token");
        Self { refused: destination.is_err(), destination: destination.unwrap_or_default(), as_token }
    }
}

/// An address to go to was given and may not be gone to.
struct RefusedAddress;

impl EasyAuth {
    /// Where the address of a request asks to be sent on to, under one of `names`.
    fn destination(&self, uri: &Uri, names: &[&str]) -> Result<Option<Destination>, RefusedAddress> {
        let Some(asked) = parameter(uri, names) else { return Ok(None) };
        Destination::parse(&asked, &self.0.page, &self.0.own).map(Some).map_err(|reason| {
            tracing::warn!(%reason, "refused to send a browser on to the address it asked for");
            RefusedAddress
        })
    }

    /// A new session token for `identity`.
    fn issue(&self, identity: &Identity) -> Result<String, jsonwebtoken::errors::Error> {
        self.0.sessions.issue(identity, now())
    }
}

fn cannot_sign(error: jsonwebtoken::errors::Error) -> Response {
    tracing::error!(%error, "cannot sign a session token");
    error_response(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The session could not be made: try again.")
}

fn parameter(uri: &Uri, names: &[&str]) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let mut found =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| names.contains(&name.as_ref()));
    found.next().map(|(_, value)| value.into_owned())
}

async fn offer(State(easy_auth): State<EasyAuth>, Path(alias): Path<String>, uri: Uri) -> Response {
    let Some(provider) = Provider::find(&alias) else { return unknown_provider() };
    let wish = Wish::read(&easy_auth, &uri);
    page::sign_in(provider, wish.destination.as_ref(), wish.refused, None)
}

async fn sign_in(State(easy_auth): State<EasyAuth>, Path(alias): Path<String>, request: Request) -> Response {
    let Some(provider) = Provider::find(&alias) else { return unknown_provider() };
    let kind = content_type(request.headers());
    let signed_in = match kind.as_deref() {
        Some("application/json") => sign_in_program(&easy_auth, provider, request).await,
        Some("application/x-www-form-urlencoded") => sign_in_browser(&easy_auth, provider, request).await,
        _ => Err(error_response(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send {\"access_token\":\"a name\"} as application/json.",
        )),
    };
    signed_in.unwrap_or_else(|refused| refused)
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|kind| kind.trim().to_ascii_lowercase())
}

/// The token of a provider, which locally is the name itself. Others that Easy Auth takes besides are not asked for.
#[derive(Deserialize)]
struct ProviderToken {
    access_token: Option<String>,
    id_token: Option<String>,
}

async fn sign_in_program(
    easy_auth: &EasyAuth,
    provider: Provider,
    request: Request,
) -> Result<Response, Response> {
    let body = read(request.into_body()).await?;
    let token = serde_json::from_slice::<ProviderToken>(&body).ok();
    let text = token.and_then(|token| token.access_token.or(token.id_token)).ok_or_else(|| {
        let message =
            "The body needs to be a JSON object with `access_token` or `id_token`; locally it is the name.";
        error_response(StatusCode::BAD_REQUEST, "invalid_token_request", message)
    })?;
    let name = Name::parse(&text)
        .map_err(|error| error_response(StatusCode::BAD_REQUEST, "invalid_name", &error.to_string()))?;
    let identity = Identity { provider, name };
    let token = easy_auth.issue(&identity).map_err(cannot_sign)?;
    tracing::info!(provider = provider.alias, "a program signed in");
    Ok(json_answer(&answer(&identity, &token)))
}

async fn sign_in_browser(
    easy_auth: &EasyAuth,
    provider: Provider,
    request: Request,
) -> Result<Response, Response> {
    if !comes_from(request.headers(), &[&easy_auth.0.own]) {
        tracing::warn!("refused a sign-in form that was not sent by the sign-in page");
        let message = "Only the sign-in page itself may send this form: open it and choose a name there.";
        return Err(error_response(StatusCode::FORBIDDEN, "origin_not_allowed", message));
    }
    let Wish { destination, refused, as_token } = Wish::read(easy_auth, request.uri());
    let body = read(request.into_body()).await?;
    let typed = form_urlencoded::parse(&body).find(|(field, _)| field == page::FIELD).map(|(_, value)| value);
    let typed = typed.unwrap_or_default();
    let name = Name::parse(&typed)
        .map_err(|error| page::sign_in(provider, destination.as_ref(), refused, Some((&typed, error))))?;
    let identity = Identity { provider, name };
    let token = easy_auth.issue(&identity).map_err(cannot_sign)?;
    tracing::info!(provider = provider.alias, as_token, "somebody signed in");
    if as_token {
        let answer = answer(&identity, &token).to_string();
        let location = match destination {
            Some(destination) => destination.location_with_token(&answer),
            None => format!("{DONE}#{}", token_fragment(&answer)),
        };
        return Ok(found(&location));
    }
    let mut response = found(&destination.map_or_else(|| DONE.to_owned(), |to| to.location()));
    set_cookie(&mut response, &session_cookie(&token));
    Ok(response)
}

async fn read(body: Body) -> Result<axum::body::Bytes, Response> {
    to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        let message = "A sign-in has a body of at most 16 KiB.";
        error_response(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    })
}

/// What a sign-in by token answers, in the fragment as well as in a body.
fn answer(identity: &Identity, token: &str) -> Value {
    json!({ "authenticationToken": token, "user": { "userId": identity.sid() } })
}

async fn me(State(easy_auth): State<EasyAuth>, headers: HeaderMap) -> Response {
    let session = match easy_auth.caller(&headers) {
        Ok(Some((session, _))) => session,
        Ok(None) => return nobody(),
        Err(_) => return invalid_token(),
    };
    let expires =
        i64::try_from(session.expires).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    json_answer(&json!([{
        "provider_name": session.identity.provider.alias,
        "user_id": session.identity.name.as_str(),
        "user_claims": session.identity.claims(),
        "expires_on": expires.map(|time| time.to_string()),
    }]))
}

/// Renews by the means the caller used: a new cookie for a cookie, a new token in the body for a token.
async fn refresh(State(easy_auth): State<EasyAuth>, headers: HeaderMap) -> Response {
    let Some(credential) = Credential::of(&headers) else { return nobody() };
    let Some(session) = easy_auth.0.sessions.read_for_renewal(credential.token(), now()) else {
        return nobody();
    };
    match (easy_auth.issue(&session.identity), credential) {
        (Err(error), _) => cannot_sign(error),
        (Ok(token), Credential::Header(_)) => json_answer(&answer(&session.identity, &token)),
        (Ok(token), Credential::Cookie(_)) => {
            let mut response = [NO_STORE].into_response();
            set_cookie(&mut response, &session_cookie(&token));
            response
        }
    }
}

/// A token that somebody kept stays good until it ends: only the cookie is forgotten, as in Azure.
async fn sign_out(State(easy_auth): State<EasyAuth>, uri: Uri) -> Response {
    let destination = easy_auth.destination(&uri, &["post_logout_redirect_uri", "post_logout_redirect_url"]);
    let location = destination.ok().flatten().map_or_else(|| SIGNED_OUT.to_owned(), |to| to.location());
    let mut response = found(&location);
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

fn found(location: &str) -> Response {
    let location =
        HeaderValue::from_str(location).expect("an address that was parsed is written in visible ASCII");
    (StatusCode::FOUND, [(header::LOCATION, location), NO_STORE]).into_response()
}

fn json_answer(body: &Value) -> Response {
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([json, NO_STORE], body.to_string()).into_response()
}

async fn done(State(easy_auth): State<EasyAuth>) -> Response {
    page::done(easy_auth.0.page.first())
}

async fn signed_out(State(easy_auth): State<EasyAuth>) -> Response {
    page::signed_out(easy_auth.0.page.first())
}

fn nobody() -> Response {
    error_response(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "Nobody is signed in: sign in at /.auth/login/aad.",
    )
}

fn unknown_provider() -> Response {
    let message = format!("There is no such provider here: use one of {}.", Provider::aliases());
    error_response(StatusCode::NOT_FOUND, "unknown_provider", &message)
}

async fn unknown() -> Response {
    let message =
        "Below /.auth/ there are login/{provider}, me, refresh and logout; nothing else is emulated.";
    error_response(StatusCode::NOT_FOUND, "not_found", message)
}
