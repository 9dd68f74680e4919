//! Local emulation of Easy Auth (App Service Authentication): `/.auth/*`, and the principal headers on every forwarded request.
//!
//! There is no password: any caller can sign in under any name. Therefore it listens on loopback only.

mod credential;
mod endpoints;
mod identity;
mod pages;
mod redirect;
mod session;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use self::credential::Credential;
pub(crate) use self::session::EasyAuth;
use crate::responses::error_response;

/// Serves `/.auth/*`, and forwards all other requests to `host` with the caller's principal.
pub(crate) fn with_easy_auth(host: Router, easy_auth: EasyAuth) -> Router {
    let host = host.layer(from_fn_with_state(easy_auth.clone(), add_principal));
    endpoints::routes().with_state(easy_auth).fallback_service(host)
}

async fn add_principal(State(easy_auth): State<EasyAuth>, mut request: Request, next: Next) -> Response {
    let session = match easy_auth.caller(request.headers()) {
        Err(error) => return error.into_response(),
        Ok(Some((_, Credential::Cookie(_)))) if easy_auth.is_forgeable(&request) => return forged_request(),
        Ok(caller) => caller.map(|(session, _)| session),
    };
    credential::remove(request.headers_mut());
    if let Some(session) = session {
        session.identity.inject(request.headers_mut());
    }
    next.run(request).await
}

fn forged_request() -> Response {
    tracing::warn!("rejected a request with a session cookie from a page of another origin");
    let message = "This request has the session cookie but is not from the page: call it from the page's own address, \
                   or send the session token as X-ZUMO-AUTH.";
    error_response(StatusCode::FORBIDDEN, "origin_not_allowed", message)
}

#[cfg(test)]
mod tests;
