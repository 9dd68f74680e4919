//! Whether a target does what it is measured for. Nothing is timed that has not passed.
//!
//! What the handler answers here is recorded: it is what the floor will say by heart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::AUTHORIZATION;
use serde_json::Value;
use sha2::Sha256;

use crate::Result;
use crate::common::http::Connection;
use crate::floor::Recording;
use crate::request::{Request, TEXT, USER};
use crate::server::{KEY, Service};
use crate::start;
use crate::target::Target;

/// The longest a token may live.
const HOUR: Duration = Duration::from_secs(3_600);

/// Starts `target`, asks each thing once, and looks closely at the answers.
pub(crate) async fn answers(target: &Target, service: &Service) -> Result<Recording> {
    let wrong = |error| format!("{} is not measured, since it does not work: {error}", target.name);
    let mut process = target.spawn()?;
    start::first_answer(&mut process).await.map_err(wrong)?;
    let mut connection = Connection::open(process.port).await?;
    let negotiated = negotiate(&mut connection, service).await.map_err(wrong)?;
    let recording = send(&mut connection, service).await.map_err(wrong)?;
    Ok(Recording { negotiated, ..recording })
}

async fn negotiate(connection: &mut Connection, service: &Service) -> Result<String> {
    let body = expect(connection, &Request::negotiation(), 200).await?;
    let access: Value = serde_json::from_str(&body)?;
    let url = format!("{}client/?hub=chat", service.endpoint());
    ensure(access["url"] == url, "negotiate names a wrong address")?;
    let token = access["accessToken"].as_str().ok_or("negotiate gives no token")?;
    let claims = claims(token, "http://127.0.0.1/client/?hub=chat")?;
    ensure(claims["asrs.s.uid"] == USER, "the token is for somebody else")?;
    Ok(body)
}

async fn send(connection: &mut Connection, service: &Service) -> Result<Recording> {
    let before = service.inbox().messages;
    let sent = expect(connection, &Request::message(), 202).await?;
    let inbox = service.inbox();
    ensure(inbox.messages == before + 1, "a message was not published once")?;
    let (parts, body) = inbox.last.ok_or("nothing was published")?;
    ensure(parts.uri.path() == "/api/hubs/chat/:send", "a message was published to a wrong path")?;
    let authorization = parts.headers.get(AUTHORIZATION).ok_or("a message was published without a token")?;
    let authorization = authorization.to_str()?;
    let token = authorization.strip_prefix("Bearer ").ok_or("a message was published without a token")?;
    claims(token, "http://127.0.0.1/api/hubs/chat/:send")?;
    let published: Value = serde_json::from_slice(&body)?;
    let [message] = published["arguments"].as_array().map_or(&[][..], Vec::as_slice) else {
        return Err("an invocation has not one argument".into());
    };
    ensure(published["target"] == "newMessage", "an invocation has a wrong target")?;
    ensure(message["text"] == TEXT && message["sender"] == USER, "a message was changed on the way")?;
    ensure(*message == serde_json::from_str::<Value>(&sent)?, "the sender's copy is another message")?;
    Ok(Recording {
        negotiated: String::new(),
        sent,
        publish_to: format!("{}{}", service.endpoint().trim_end_matches('/'), parts.uri),
        authorization: authorization.to_owned(),
        invocation: String::from_utf8(body.into())?,
    })
}

async fn expect(connection: &mut Connection, request: &Request, status: u16) -> Result<String> {
    let answer = connection.ask(request.as_bytes()).await?;
    ensure(answer.status == status, "an answer has a wrong status")?;
    Ok(String::from_utf8(answer.body.to_vec())?)
}

/// The claims of `token`, if it is signed with our key, meant for `audience`, valid now and for an hour at most.
fn claims(token: &str, audience: &str) -> Result<Value> {
    let (signed, signature) = token.rsplit_once('.').ok_or("a token has no signature")?;
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes())?.chain_update(signed);
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature)?)
        .map_err(|_| "a token is signed with another key")?;
    let (_, payload) = signed.split_once('.').ok_or("a token has no header")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    ensure(claims["aud"] == audience, "a token has a wrong audience")?;
    let expires = claims["exp"].as_u64().ok_or("a token never expires")?;
    let left = expires.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    ensure((1..=HOUR.as_secs()).contains(&left), "a token is not valid for the next hour")?;
    Ok(claims)
}

fn ensure(right: bool, else_say: &'static str) -> Result<()> {
    if right { Ok(()) } else { Err(else_say.into()) }
}
