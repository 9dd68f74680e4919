//! `POST /client/negotiate`: gives a client its connection id and the transports it may use.
//!
//! In version 1 the connection token is secret and the connection id public; in version 0 the id is both. See the ASP.NET Core
//! specification `TransportProtocols.md`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::access_key::random_ids;
use crate::api_error::ApiError;
use crate::connection_tokens::NegotiatedConnection;
use crate::hub::ConnectionId;
use crate::protocol::handshake::TransportType;
use crate::request::{ClientQuery, access_token};
use crate::service::{Service, unix_now};
use crate::transport::connect_error;

/// The highest version there is; a client that asks for more gets this one.
const MAX_VERSION: i64 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NegotiateResponse<'a> {
    negotiate_version: i64,
    connection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_token: Option<&'a str>,
    available_transports: Vec<AvailableTransport>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    use_stateful_reconnect: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AvailableTransport {
    transport: &'static str,
    transfer_formats: &'static [&'static str],
}

impl AvailableTransport {
    /// Clients prefer the first format.
    fn of(transport: TransportType) -> Self {
        let transfer_formats: &[_] = match transport {
            TransportType::WebSockets | TransportType::LongPolling => &["Text", "Binary"],
            TransportType::ServerSentEvents => &["Text"],
        };
        Self { transport: transport.name(), transfer_formats }
    }
}

/// A response that makes clients give up.
#[derive(Serialize)]
struct NegotiateError {
    error: String,
}

/// Serves `/client/negotiate`.
pub(crate) async fn negotiate(State(service): State<Arc<Service>>, request: Request) -> Result<Response, ApiError> {
    if request.method() != Method::POST {
        return Err(ApiError::method_not_allowed("POST", "clients negotiate with POST"));
    }
    let query = ClientQuery::parse(request.uri().query());
    let hub = query.hub()?;
    let token = access_token(request.headers(), None)?;
    let verified = service.auth.authorize_client(token, None, &hub, unix_now())?;
    let version = match requested_version(query.negotiate_version.as_deref()) {
        Ok(version) => version,
        Err(error) => return Ok(Json(NegotiateError { error }).into_response()),
    };

    let identity = &verified.identity;
    let [secret, random] = random_ids();
    let public = if version == 0 { secret.clone() } else { random };
    let requested = query.use_stateful_reconnect.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let may_resume = requested && service.options.stateful_reconnect && identity.allows(TransportType::WebSockets);
    let connection = ConnectionId::new(&public);
    // Clients try them in this order.
    let transports = TransportType::ALL.into_iter().filter(|transport| identity.allows(*transport));
    let response = NegotiateResponse {
        negotiate_version: version,
        connection_id: &public,
        connection_token: (version > 0).then_some(&secret),
        available_transports: transports.map(AvailableTransport::of).collect(),
        use_stateful_reconnect: may_resume,
    };
    let user = identity.user.clone();
    let negotiated = NegotiatedConnection { connection, hub, user, may_resume, access_token: Some(verified) };
    service.issue(secret.as_str().into(), negotiated).map_err(connect_error)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(response)).into_response())
}

/// The version of the response, or the error message of ASP.NET Core.
fn requested_version(version: Option<&str>) -> Result<i64, String> {
    let Some(version) = version else { return Ok(0) };
    let version: i64 =
        version.trim().parse().map_err(|_| "The client requested a non-integer protocol version.".to_owned())?;
    if version < 0 {
        return Err(format!("The client requested version '{version}', but the server does not support this version."));
    }
    Ok(version.min(MAX_VERSION))
}
