//! Checks that a target negotiates and publishes correctly before it is measured, and records its responses for the floor.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::AUTHORIZATION;
use serde_json::Value;
use sha2::Sha256;

use crate::common::Result;
use crate::common::http::Connection;
use crate::common::start::wait_for_response;
use crate::minimal_server::Recording;
use crate::server::{KEY, SignalRService};
use crate::target::{Request, TEXT, Target, USER};

/// The maximum lifetime of a token.
const MAX_LIFETIME: Duration = Duration::from_secs(3_600);

/// Starts `target`, sends each request once and checks the responses.
pub(crate) async fn check_target(target: &Target, service: &SignalRService) -> Result<Recording> {
    let failed = |error| format!("{} fails the check before the measurement: {error}", target.name);
    let mut process = target.spawn()?;
    wait_for_response(&mut process, Request::probe().as_bytes()).await.map_err(failed)?;
    let mut connection = Connection::open(process.port).await?;
    let negotiated = negotiate(&mut connection, service).await.map_err(failed)?;
    let recording = send(&mut connection, service).await.map_err(failed)?;
    Ok(Recording { negotiated, ..recording })
}

async fn negotiate(connection: &mut Connection, service: &SignalRService) -> Result<String> {
    let body = String::from_utf8(connection.send(Request::negotiation().as_bytes(), 200).await?.to_vec())?;
    let access: Value = serde_json::from_str(&body)?;
    let url = format!("{}client/?hub=chat", service.endpoint());
    ensure(access["url"] == url, "negotiate returns a wrong URL")?;
    let token = access["accessToken"].as_str().ok_or("negotiate returns no token")?;
    let claims = claims(token, "http://127.0.0.1/client/?hub=chat")?;
    ensure(claims["asrs.s.uid"] == USER, "the token is for another user")?;
    Ok(body)
}

async fn send(connection: &mut Connection, service: &SignalRService) -> Result<Recording> {
    let before = service.received().messages;
    let response = String::from_utf8(connection.send(Request::message().as_bytes(), 202).await?.to_vec())?;
    let received = service.received();
    ensure(received.messages == before + 1, "a message was not published once")?;
    let (parts, body) = received.last.ok_or("nothing was published")?;
    ensure(parts.uri.path() == "/api/hubs/chat/:send", "a message was published to a wrong path")?;
    let authorization = parts.headers.get(AUTHORIZATION).ok_or("a message was published without a token")?;
    let authorization = authorization.to_str()?;
    let token = authorization.strip_prefix("Bearer ").ok_or("a message was published without a token")?;
    claims(token, "http://127.0.0.1/api/hubs/chat/:send")?;
    let published: Value = serde_json::from_slice(&body)?;
    let [message] = published["arguments"].as_array().map_or(&[][..], Vec::as_slice) else {
        return Err("an invocation does not have one argument".into());
    };
    ensure(published["target"] == "newMessage", "an invocation has a wrong target")?;
    ensure(message["text"] == TEXT && message["sender"] == USER, "a message was changed")?;
    ensure(*message == serde_json::from_str::<Value>(&response)?, "the response has another message")?;
    Ok(Recording {
        negotiated: String::new(),
        message: response,
        publish_url: format!("{}{}", service.endpoint().trim_end_matches('/'), parts.uri),
        authorization: authorization.to_owned(),
        invocation: String::from_utf8(body.into())?,
    })
}

/// The claims of `token`, after checking its signature, audience and lifetime.
fn claims(token: &str, audience: &str) -> Result<Value> {
    let (signed, signature) = token.rsplit_once('.').ok_or("a token has no signature")?;
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes())?.chain_update(signed);
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature)?).map_err(|_| "a token is signed with another key")?;
    let (_, payload) = signed.split_once('.').ok_or("a token has no header")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    ensure(claims["aud"] == audience, "a token has a wrong audience")?;
    let expires = claims["exp"].as_u64().ok_or("a token has no expiry")?;
    let left = expires.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    ensure((1..=MAX_LIFETIME.as_secs()).contains(&left), "a token is not valid for the next hour")?;
    Ok(claims)
}

fn ensure(condition: bool, error: &'static str) -> Result<()> {
    if condition { Ok(()) } else { Err(error.into()) }
}
