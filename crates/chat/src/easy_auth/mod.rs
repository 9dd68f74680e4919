//! Easy Auth (App Service Authentication), as it stands in front of the Functions host: `/.auth/*`, and the true
//! principal on every request that goes on.
//!
//! Nobody proves anything here: whoever can reach this port may be anyone. That is the use of it, and why it listens
//! on loopback only.

mod caller;
mod page;
mod principal;
mod provider;
mod redirect;
mod session;
mod sign_in;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use self::caller::Credential;
use self::session::{Session, Sessions};
use crate::error_response::error_response;
use crate::origins::Origins;

/// What Easy Auth has to know: its key, whose page it serves, and where it stands itself.
#[derive(Clone)]
pub(crate) struct EasyAuth(Arc<Knowledge>);

struct Knowledge {
    sessions: Sessions,
    page: Origins,
    own: Origins,
}

impl EasyAuth {
    /// With a new key, so that every session ends with the process.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub(crate) fn new(page: Origins, own: Origins) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(Arc::new(Knowledge { sessions: Sessions::new(&key), page, own })))
    }

    /// Who sent `headers`, and by which means they say so. `Ok(None)` is nobody.
    ///
    /// A cookie that is not good any more is forgotten; a token that a program sent on purpose is an error.
    fn caller<'a>(&self, headers: &'a HeaderMap) -> Result<Option<(Session, Credential<'a>)>, InvalidToken> {
        let Some(credential) = Credential::of(headers) else { return Ok(None) };
        match (self.0.sessions.read(credential.token(), now()), credential) {
            (Some(session), _) => Ok(Some((session, credential))),
            (None, Credential::Cookie(_)) => Ok(None),
            (None, Credential::Header(_)) => Err(InvalidToken),
        }
    }
}

/// A token in `X-ZUMO-AUTH` that is not ours or has ended.
struct InvalidToken;

/// Seconds since 1970. The one place of Easy Auth that asks the clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Answers `/.auth/*`, and lets everything else through to `host` with the true principal.
pub(crate) fn in_front_of(host: Router, easy_auth: EasyAuth) -> Router {
    let host = host.layer(from_fn_with_state(easy_auth.clone(), identify));
    sign_in::routes().with_state(easy_auth).fallback_service(host)
}

async fn identify(State(easy_auth): State<EasyAuth>, mut request: Request, next: Next) -> Response {
    let session = match easy_auth.caller(request.headers()) {
        Err(InvalidToken) => return invalid_token(),
        Ok(Some((_, Credential::Cookie(_)))) if easy_auth.may_be_forged(&request) => return forged(),
        Ok(caller) => caller.map(|(session, _)| session),
    };
    caller::strip(request.headers_mut());
    if let Some(session) = session {
        session.identity.inject(request.headers_mut());
    }
    next.run(request).await
}

impl EasyAuth {
    fn may_be_forged(&self, request: &Request) -> bool {
        caller::may_be_forged(request.method(), request.headers(), &self.0.page, &self.0.own)
    }
}

fn invalid_token() -> Response {
    tracing::info!("refused a session token that is not ours or has ended");
    let message = "The session token is not valid or has ended: sign in again.";
    error_response(StatusCode::UNAUTHORIZED, "invalid_token", message)
}

fn forged() -> Response {
    tracing::warn!("refused a post that a page we do not know made with somebody's session cookie");
    let message = "This post came with the session cookie but not from the page: call it from the page's own address, \
                   or send the session token as X-ZUMO-AUTH.";
    error_response(StatusCode::FORBIDDEN, "origin_not_allowed", message)
}

#[cfg(test)]
mod tests;
