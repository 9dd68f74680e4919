//! `POST /client/negotiate`: a client asks how it may connect, and gets an id to connect with.
//!
//! Version 1 has two ids, a secret one for the client and a public one for everyone else; in version 0 one is both.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::bearer;
use crate::connection_tokens::NegotiatedConnection;
use crate::hub::ConnectionId;
use crate::protocol::handshake::TransportType;
use crate::query::Query;
use crate::random;
use crate::refusal::Refusal;
use crate::service::{Service, unix_now};
use crate::transport::{connect_refusal, requested_hub};

/// Nothing newer exists; a client that asks for more is answered with this.
const NEWEST_VERSION: i64 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    negotiate_version: i64,
    connection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_token: Option<&'a str>,
    available_transports: Vec<Offer>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    use_stateful_reconnect: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    transport: &'static str,
    transfer_formats: &'static [&'static str],
}

impl Offer {
    /// Clients take the first format for the preferred one.
    fn of(transport: TransportType) -> Self {
        let transfer_formats: &[_] = match transport {
            TransportType::WebSockets | TransportType::LongPolling => &["Text", "Binary"],
            TransportType::ServerSentEvents => &["Text"],
        };
        Self { transport: transport.name(), transfer_formats }
    }
}

/// What a client reads as "do not even try".
#[derive(Serialize)]
struct Failure {
    error: String,
}

/// Serves `/client/negotiate`.
pub(crate) async fn negotiate(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::method_not_allowed("POST", "clients negotiate with POST"));
    }
    let query = Query::new(request.uri().query());
    let hub = requested_hub(query)?;
    let token = bearer::token(request.headers(), None);
    let identity = service.auth.client(token.as_deref(), &hub, unix_now())?;
    let version = match requested_version(query) {
        Ok(version) => version,
        Err(error) => return Ok(Json(Failure { error }).into_response()),
    };

    let secret = random::id();
    let public = if version == 0 { secret.clone() } else { random::id() };
    let asked = query.last("useStatefulReconnect").is_some_and(|asked| asked.eq_ignore_ascii_case("true"));
    let may_resume =
        asked && service.options.stateful_reconnect && identity.allows(TransportType::WebSockets);
    let connection = ConnectionId::new(&public);
    // In the order clients should try them.
    let transports = TransportType::ALL.into_iter().filter(|transport| identity.allows(*transport));
    let answer = Answer {
        negotiate_version: version,
        connection_id: &public,
        connection_token: (version > 0).then_some(&secret),
        available_transports: transports.map(Offer::of).collect(),
        use_stateful_reconnect: may_resume,
    };
    let negotiated = NegotiatedConnection { connection, hub, user: identity.user, may_resume };
    service.issue(secret.as_str().into(), negotiated).map_err(connect_refusal)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The version to answer with, or the words a stock server answers with.
fn requested_version(query: Query<'_>) -> Result<i64, String> {
    let Some(version) = query.last("negotiateVersion") else { return Ok(0) };
    let version: i64 = version
        .trim()
        .parse()
        .map_err(|_| "The client requested a non-integer protocol version.".to_owned())?;
    if version < 0 {
        return Err(format!(
            "The client requested version '{version}', but the server does not support this version."
        ));
    }
    Ok(version.min(NEWEST_VERSION))
}
