//! The targets of the benchmark: how each is started, how long that takes, and the requests that it receives.
//!
//! A target prints its address and then `ready` on standard output; the rest of its output is discarded. It gets no environment, so all
//! settings have their defaults.

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{NumberedMessage, Protocol, TARGET, text, upgrade_request};
use crate::common::Result;
use crate::common::http::Connection;
use crate::common::process::Process;

/// A program to measure.
pub(crate) struct Target {
    /// The name in the tables.
    pub(crate) name: &'static str,
    /// The hub protocol of its clients.
    pub(crate) protocol: Protocol,
    program: PathBuf,
    arguments: &'static [&'static str],
}

impl Target {
    /// The emulator of the `chat` binary at `path`.
    pub(crate) fn emulator(path: &Path, protocol: Protocol) -> Self {
        let name = match protocol {
            Protocol::Json => "emulator, JSON",
            Protocol::MessagePack => "emulator, MessagePack",
        };
        Self { name, protocol, program: path.to_owned(), arguments: &["emulator", "--port", "0"] }
    }

    /// This executable as the floor.
    pub(crate) fn floor() -> Result<Self> {
        let program = env::current_exe()?;
        Ok(Self { name: "floor: prepared frames", protocol: Protocol::Json, program, arguments: &["floor"] })
    }

    /// Starts the program and waits for the line `ready`.
    pub(crate) fn start(&self) -> Result<Service> {
        let mut child = Command::new(&self.program)
            .args(self.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.program.display()))?;
        let output = child.stdout.take().ok_or("the target has no standard output")?;
        let mut output = BufReader::new(output);
        let (mut port, mut key) = (None, None);
        let mut line = String::new();
        while !line.starts_with("ready") {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                break;
            }
            port = port.or(line.split_once("http://localhost:").and_then(|(_, port)| port.trim().parse().ok()));
            key = key.or(line.split_once("AccessKey=").and_then(|(_, rest)| Some(rest.split_once(';')?.0.to_owned())));
        }
        let Some(port) = port else {
            child.kill()?;
            child.wait()?;
            return Err(format!("{} does not print its address", self.name).into());
        };
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Ok(Service { process: Process::new(child, port), key })
    }
}

/// Measured rounds, after [`WARM_UP_ROUNDS`] that fill the page cache.
const ROUNDS: usize = 20;
const WARM_UP_ROUNDS: usize = 2;

/// Starts all targets in turn, repeatedly, and returns the start times of each: milliseconds from before the process was created to the line
/// `ready`, one value per round.
pub(crate) fn measure_starts(targets: &[(Target, NumberedMessage)]) -> Result<Vec<Vec<f64>>> {
    let mut all = vec![Vec::new(); targets.len()];
    for round in 0..WARM_UP_ROUNDS + ROUNDS {
        for ((target, _), starts_ms) in targets.iter().zip(&mut all) {
            let start = Instant::now();
            let _service = target.start()?;
            if round >= WARM_UP_ROUNDS {
                starts_ms.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(all)
}

/// The lifetime of access tokens, longer than any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// Paths of the service for clients and for REST.
const CLIENT_PATH: &str = "/client/?hub=bench";
const NEGOTIATE_PATH: &str = "/client/negotiate?hub=bench&negotiateVersion=1";
const HUB_PATH: &str = "/api/hubs/bench";

/// The version of the REST API.
const API_VERSION: &str = "2022-06-01";

/// A running target. Dropping it kills its process.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// The access key; `None` for the floor, which checks no tokens.
    pub(crate) key: Option<String>,
}

/// The recipient of a message.
#[derive(Clone, Copy)]
pub(crate) enum Recipient<'a> {
    Everyone,
    User(&'a str),
}

impl Service {
    /// Negotiates for `user` and returns the upgrade request. The floor needs no negotiation.
    pub(crate) async fn negotiate(&self, caller: &mut Connection, user: &str) -> Result<String> {
        let Some(key) = &self.key else { return Ok(upgrade_request(CLIENT_PATH, "")) };
        let token = sign_token(key, &self.url(CLIENT_PATH), Some(user))?;
        let body = caller.send(post(NEGOTIATE_PATH, &token, "").as_bytes(), 200).await?;
        let body: Value = serde_json::from_slice(body)?;
        let id = body["connectionToken"].as_str().ok_or("a negotiation returned no connection token")?;
        Ok(upgrade_request(&format!("{CLIENT_PATH}&id={id}"), &format!("Authorization: Bearer {token}\r\n")))
    }

    /// The request that sends `message` to `to`.
    pub(crate) fn send_request(&self, to: Recipient<'_>, message: &NumberedMessage) -> Result<NumberedMessage> {
        let request = match &self.key {
            None => floor_request(to, message.as_bytes()),
            Some(key) => {
                let path = match to {
                    Recipient::Everyone => format!("{HUB_PATH}/:send"),
                    Recipient::User(user) => format!("{HUB_PATH}/users/{user}/:send"),
                };
                let token = sign_token(key, &self.url(&path), None)?;
                let body = json!({ "target": TARGET, "arguments": [text(0)] }).to_string();
                post(&format!("{path}?api-version={API_VERSION}"), &token, &body).into_bytes()
            }
        };
        NumberedMessage::new(request)
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.process.port)
    }
}

fn post(path: &str, token: &str, body: &str) -> String {
    let length = body.len();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{headers}\r\n{body}")
}

/// Signs an access token for `audience`, and for `user` if it is a client's.
fn sign_token(key: &str, audience: &str, user: Option<&str>) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut claims = json!({ "aud": audience, "exp": (now + TOKEN_LIFETIME).as_secs() });
    if let Some(user) = user {
        claims["asrs.s.uid"] = user.into();
    }
    let encoded = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encoded(json!({ "alg": "HS256", "typ": "JWT" })), encoded(claims));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?.chain_update(&signed);
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}

/// The path of the floor for messages to one user: the client that connected last.
pub(crate) const LAST_CLIENT_PATH: &str = "/last";

/// The request to the floor to send `message`, which the body contains as a complete WebSocket frame.
fn floor_request(to: Recipient<'_>, message: &[u8]) -> Vec<u8> {
    let path = match to {
        Recipient::Everyone => "/",
        Recipient::User(_) => LAST_CLIENT_PATH,
    };
    // A text frame of 126 to 65535 bytes.
    let frame_length = message.len() + 4;
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut request = format!("POST {path} HTTP/1.1\r\nContent-Length: {frame_length}\r\n\r\n").into_bytes();
    request.extend_from_slice(&[0x81, 126, length[0], length[1]]);
    request.extend_from_slice(message);
    request
}
