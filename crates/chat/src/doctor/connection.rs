//! Connecting to the service as a page does: negotiation, WebSocket, handshake.
//!
//! Only the last step shows the mode: a service in mode *Default* negotiates like any other, and then answers the handshake with
//! the complaint that no server is connected. Contract: `HubProtocol.md` and `TransportProtocols.md` of dotnet/aspnetcore.

use azure_signalr::ClientAccess;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{
    AUTHORIZATION, CONNECTION, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::http::{Answer, Silence, WHOLE, ask};

/// The record that opens a connection, and what ends every record.
const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// How far a client got.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is connected.
    Connected,
    /// The service said why not, in the handshake.
    Complaint(String),
    /// The service answered an address with this status: `/client/negotiate`, or `/client/` itself.
    Refused(u16),
    /// What was answered is no part of this protocol.
    Strange,
    /// There was no answer.
    Silent(Silence),
}

/// Connects with `access`, and leaves again. What it took from the service it gives back: a connection counts while it lasts.
pub(super) async fn connect(http: &Client, access: &ClientAccess) -> Outcome {
    let connected = timeout(WHOLE, try_connect(http, access)).await;
    connected.unwrap_or(Err(Outcome::Silent(Silence::TooSlow))).unwrap_or_else(|outcome| outcome)
}

async fn try_connect(http: &Client, access: &ClientAccess) -> Result<Outcome, Outcome> {
    let client = access.url.parse::<Url>().map_err(|_| Outcome::Strange)?;
    let mut bearer =
        HeaderValue::try_from(format!("Bearer {}", access.access_token)).map_err(|_| Outcome::Strange)?;
    bearer.set_sensitive(true);
    let negotiated = ask(http.post(negotiate_url(&client)).header(AUTHORIZATION, &bearer))
        .await
        .map_err(Outcome::Silent)?;
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
    let response = request.send().await.map_err(|error| Outcome::Silent(error.into()))?;
    if response.status() != 101 {
        return Err(Outcome::Refused(response.status().as_u16()));
    }
    let stream = response.upgrade().await.map_err(|_| Outcome::Strange)?;
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    socket.send(Message::text(HANDSHAKE)).await.map_err(|_| Outcome::Strange)?;
    let answer = loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err(Outcome::Strange),
        }
    };
    // Whether or not the service hears it, we are gone.
    let _ = socket.close(None).await;
    Ok(judge(&answer))
}

/// `…/client/negotiate?hub=…&negotiateVersion=1`, from `…/client/?hub=…`.
pub(super) fn negotiate_url(client: &Url) -> Url {
    let mut url = client.clone();
    url.path_segments_mut().expect("the client crate makes web addresses").pop_if_empty().push("negotiate");
    url.query_pairs_mut().append_pair("negotiateVersion", "1");
    url
}

fn connection_token(negotiated: &Answer) -> Result<String, Outcome> {
    if negotiated.status != 200 {
        return Err(Outcome::Refused(negotiated.status));
    }
    let answer = negotiated.json().ok_or(Outcome::Strange)?;
    if let Some(complaint) = answer["error"].as_str() {
        return Err(Outcome::Complaint(complaint.to_owned()));
    }
    let id = answer["connectionToken"].as_str().or(answer["connectionId"].as_str());
    id.map(str::to_owned).ok_or(Outcome::Strange)
}

/// The first record says `{}`, or what is in the way.
fn judge(records: &str) -> Outcome {
    let first = records.split('\u{1e}').next().unwrap_or_default();
    match serde_json::from_str::<Value>(first) {
        Ok(Value::Object(answer)) => match answer.get("error").and_then(Value::as_str) {
            Some(complaint) => Outcome::Complaint(complaint.to_owned()),
            None => Outcome::Connected,
        },
        _ => Outcome::Strange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_says_whether_the_client_is_in() {
        assert_eq!(judge("{}\u{1e}"), Outcome::Connected);
        assert_eq!(judge("{}\u{1e}{\"type\":6}\u{1e}"), Outcome::Connected);
        assert_eq!(judge("{\"error\":\"no\"}\u{1e}"), Outcome::Complaint("no".to_owned()));
        for strange in ["", "\u{1e}", "[]\u{1e}", "hello"] {
            assert_eq!(judge(strange), Outcome::Strange, "{strange:?}");
        }
    }

    #[test]
    fn negotiation_keeps_the_hub_and_the_path_of_a_gateway() {
        let url = negotiate_url(&"https://gw/p/client/?hub=chat".parse().unwrap());
        assert_eq!(url.as_str(), "https://gw/p/client/negotiate?hub=chat&negotiateVersion=1");
    }
}
