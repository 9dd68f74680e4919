//! A target that runs, and how it is asked: tokens, addresses, requests.
//!
//! The floor has no key, checks no token and knows one address, so it is asked as little as it understands.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::Result;
use crate::floor;
use crate::common::http::Connection;
use crate::common::process::Process;
use crate::message::{Numbered, TARGET, text};

/// Longer than any run.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// The client's half of a WebSocket handshake, and the server's: the example of RFC 6455, section 1.3.
const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Where clients go, and callers.
const CLIENT: &str = "/client/?hub=bench";
const NEGOTIATE: &str = "/client/negotiate?hub=bench&negotiateVersion=1";
const HUB: &str = "/api/hubs/bench";

/// The version of the REST API that is asked for.
const VERSION: &str = "2022-06-01";

/// A service that listens. Dropping it ends it.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// The access key; the floor has none.
    pub(crate) key: Option<String>,
}

/// Whom a message is for.
#[derive(Clone, Copy)]
pub(crate) enum To<'a> {
    Everyone,
    User(&'a str),
}

impl Service {
    /// Negotiates for `user` as clients do; the request to open the connection with.
    pub(crate) async fn negotiate(&self, caller: &mut Connection, user: &str) -> Result<String> {
        let Some(key) = &self.key else { return Ok(upgrade(CLIENT, "")) };
        let token = sign(key, &self.url(CLIENT), Some(user))?;
        let answer = caller.ask(post(NEGOTIATE, &token, "").as_bytes()).await?;
        if answer.status != 200 {
            return Err(format!("a negotiation was answered {}", answer.status).into());
        }
        let answer: Value = serde_json::from_slice(answer.body)?;
        let id = answer["connectionToken"].as_str().ok_or("a negotiation gave no id")?;
        Ok(upgrade(&format!("{CLIENT}&id={id}"), &format!("Authorization: Bearer {token}\r\n")))
    }

    /// The request that sends `message`. The floor gets it ready-made.
    pub(crate) fn sending(&self, to: To<'_>, message: &Numbered) -> Result<Numbered> {
        let request = match &self.key {
            None => floor::request(to, message.as_bytes()),
            Some(key) => {
                let path = match to {
                    To::Everyone => format!("{HUB}/:send"),
                    To::User(user) => format!("{HUB}/users/{user}/:send"),
                };
                let token = sign(key, &self.url(&path), None)?;
                let body = json!({ "target": TARGET, "arguments": [text(0)] }).to_string();
                post(&format!("{path}?api-version={VERSION}"), &token, &body).into_bytes()
            }
        };
        Numbered::new(request)
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.process.port)
    }
}

fn post(path: &str, token: &str, body: &str) -> String {
    let length = body.len();
    let about = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{about}\r\n{body}")
}

fn upgrade(path: &str, authorization: &str) -> String {
    let about = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{about}Sec-WebSocket-Key: {NONCE}\r\n\r\n"
    )
}

/// A token for `audience`, and for `user` if it is a client's.
fn sign(key: &str, audience: &str, user: Option<&str>) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut claims = json!({ "aud": audience, "exp": (now + LIFETIME).as_secs() });
    if let Some(user) = user {
        claims["asrs.s.uid"] = user.into();
    }
    let encoded = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encoded(json!({ "alg": "HS256", "typ": "JWT" })), encoded(claims));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?.chain_update(&signed);
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}
