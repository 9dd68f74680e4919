//! Connects to the service as a page does: negotiation, WebSocket, handshake.
//!
//! Only the handshake shows the mode: a service in mode *Default* negotiates like any other, and then answers the handshake with the
//! error that no server is connected. Contract: `HubProtocol.md` and `TransportProtocols.md` of dotnet/aspnetcore.

use azure_signalr::ClientAccess;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{AUTHORIZATION, CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::http::{HttpResponse, MAX_BODY_BYTES, REQUEST_TIMEOUT, RequestError, send};

/// The handshake request, with the record separator.
const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// Why a client cannot connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// The error in the handshake response, or in that of negotiate.
    Handshake(String),
    /// The status of negotiate or of the WebSocket upgrade.
    Status(u16),
    /// A response that is not SignalR.
    UnexpectedResponse,
    /// There was no response.
    Request(RequestError),
}

impl From<RequestError> for ConnectError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// Connects with `access` and closes the connection, which counts against the service's limit while it is open.
pub(super) async fn connect(http: &Client, access: &ClientAccess) -> Result<(), ConnectError> {
    timeout(REQUEST_TIMEOUT, try_connect(http, access)).await.map_err(|_| RequestError::TimedOut)?
}

async fn try_connect(http: &Client, access: &ClientAccess) -> Result<(), ConnectError> {
    let client = access.url.parse::<Url>().map_err(|_| ConnectError::UnexpectedResponse)?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", access.access_token))
        .map_err(|_| ConnectError::UnexpectedResponse)?;
    bearer.set_sensitive(true);
    let negotiated = send(http.post(negotiate_url(&client)).header(AUTHORIZATION, &bearer)).await?;
    let id = connection_token(&negotiated)?;
    let mut socket = client;
    socket.query_pairs_mut().append_pair("id", &id);
    let request = http
        .get(socket)
        .header(AUTHORIZATION, bearer)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key());
    let response = request.send().await.map_err(RequestError::from)?;
    if response.status() != 101 {
        return Err(ConnectError::Status(response.status().as_u16()));
    }
    let stream = response.upgrade().await.map_err(|_| ConnectError::UnexpectedResponse)?;
    let limits = WebSocketConfig::default().max_message_size(Some(MAX_BODY_BYTES)).max_frame_size(Some(MAX_BODY_BYTES));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(limits)).await;
    socket.send(Message::text(HANDSHAKE)).await.map_err(|_| ConnectError::UnexpectedResponse)?;
    let response = loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err(ConnectError::UnexpectedResponse),
        }
    };
    // A failed close changes nothing: the socket is dropped.
    let _ = socket.close(None).await;
    evaluate_handshake(&response)
}

/// `…/client/negotiate?hub=…&negotiateVersion=1`, from `…/client/?hub=…`.
pub(super) fn negotiate_url(client: &Url) -> Url {
    let mut url = client.clone();
    url.path_segments_mut().expect("the client crate makes web addresses").pop_if_empty().push("negotiate");
    url.query_pairs_mut().append_pair("negotiateVersion", "1");
    url
}

fn connection_token(negotiated: &HttpResponse) -> Result<String, ConnectError> {
    if negotiated.status != 200 {
        return Err(ConnectError::Status(negotiated.status));
    }
    let body = negotiated.json().ok_or(ConnectError::UnexpectedResponse)?;
    if let Some(error) = body["error"].as_str() {
        return Err(ConnectError::Handshake(error.to_owned()));
    }
    let id = body["connectionToken"].as_str().or(body["connectionId"].as_str());
    id.map(str::to_owned).ok_or(ConnectError::UnexpectedResponse)
}

/// The first record is the handshake response: `{}`, or an object with an error.
fn evaluate_handshake(records: &str) -> Result<(), ConnectError> {
    let first = records.split('\u{1e}').next().unwrap_or_default();
    match serde_json::from_str::<Value>(first) {
        Ok(Value::Object(response)) => match response.get("error").and_then(Value::as_str) {
            Some(error) => Err(ConnectError::Handshake(error.to_owned())),
            None => Ok(()),
        },
        _ => Err(ConnectError::UnexpectedResponse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_the_handshake_response() {
        assert_eq!(evaluate_handshake("{}\u{1e}"), Ok(()));
        assert_eq!(evaluate_handshake("{}\u{1e}{\"type\":6}\u{1e}"), Ok(()));
        assert_eq!(evaluate_handshake("{\"error\":\"no\"}\u{1e}"), Err(ConnectError::Handshake("no".to_owned())));
        for text in ["", "\u{1e}", "[]\u{1e}", "hello"] {
            assert_eq!(evaluate_handshake(text), Err(ConnectError::UnexpectedResponse), "{text:?}");
        }
    }

    #[test]
    fn the_negotiate_url_keeps_the_hub_and_the_path() {
        let url = negotiate_url(&"https://gw/p/client/?hub=chat".parse().unwrap());
        assert_eq!(url.as_str(), "https://gw/p/client/negotiate?hub=chat&negotiateVersion=1");
    }
}
