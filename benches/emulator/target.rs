//! The targets of the benchmark: how each is started, and the requests that it receives.
//!
//! The emulator gets no environment except its access key, so all settings have their defaults. Output is discarded.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::common::Result;
use crate::common::cores::Cores;
use crate::common::process::Process;
use crate::common::start::wait_for_response;
use crate::connect::{ClientRequests, Connected, Socket, connect};
use crate::frame::service_frame;
use crate::message::{NumberedMessage, rest_body};

/// The access key of the emulator.
const KEY: &str = "the-access-key-of-this-benchmark-service";

/// The lifetime of access tokens, longer than any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// Paths of the service for clients and for REST, and the version of the REST API.
const CLIENT_PATH: &str = "/client/";
const HUB_PATH: &str = "/api/hubs/bench";
const API_VERSION: &str = "2022-06-01";

/// The first request to every target, which needs no token.
pub(crate) const PROBE: &str = "GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A program to measure.
pub(crate) enum Target {
    /// The emulator at this path.
    Emulator(PathBuf),
    /// This executable as the floor.
    Floor,
    /// This executable as the floor of the burst.
    BatchingFloor,
}

/// A target that has answered its first request. Dropping it kills its process.
pub(crate) struct Service {
    pub(crate) process: Process,
    /// From before the process was created to its first response.
    pub(crate) start: Duration,
    is_floor: bool,
}

/// The recipients of a message.
#[derive(Clone, Copy)]
pub(crate) enum Recipients<'a> {
    Everyone,
    User(&'a str),
    /// A group, which the last clients joined that have connected.
    Group {
        name: &'a str,
        members: usize,
    },
}

impl Target {
    /// The floor and the emulator at `emulator`, which are measured in this order.
    pub(crate) fn both(emulator: &Path) -> [Self; 2] {
        [Self::Floor, Self::Emulator(emulator.to_owned())]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Emulator(_) => "emulator",
            Self::Floor => "floor",
            Self::BatchingFloor => "batching floor",
        }
    }

    /// The command that starts the target, and the port on which it will listen.
    pub(crate) fn command(&self) -> Result<(Command, u16)> {
        // The port is free now, and unlikely to be assigned again before the target listens.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = match self {
            Self::Emulator(path) => {
                let mut command = Command::new(path);
                command.arg("--port");
                command
            }
            Self::Floor | Self::BatchingFloor => {
                let mut command = Command::new(env::current_exe()?);
                command.arg(if matches!(self, Self::Floor) { "floor" } else { "batching-floor" });
                command
            }
        };
        command.arg(port.to_string()).env_clear();
        command.env("AzureSignalRConnectionString", format!("Endpoint=http://localhost;AccessKey={KEY};Version=1.0;"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok((command, port))
    }

    /// Starts the program on its core and waits for its first response.
    pub(crate) async fn start(&self, cores: Cores) -> Result<Service> {
        let (mut command, port) = self.command()?;
        let (child, start) = cores.spawn(&mut command)?;
        let mut process = Process::new(child, port);
        wait_for_response(&mut process, PROBE.as_bytes()).await?;
        Ok(Service { process, start: start.elapsed(), is_floor: !matches!(self, Self::Emulator(_)) })
    }
}

impl Service {
    /// Connects a client for `user`.
    pub(crate) fn connect(&self, caller: &mut Socket, user: &str) -> Result<Connected> {
        connect(self.process.port, caller, &client_requests(self.process.port, user)?)
    }

    /// The request that sends `message` to `recipients`.
    pub(crate) fn send_request(
        &self,
        recipients: Recipients<'_>,
        message: &NumberedMessage,
    ) -> Result<NumberedMessage> {
        let text_bytes = message.text_bytes();
        let request = if self.is_floor {
            floor_request(recipients, message.as_bytes())
        } else {
            send_request(self.process.port, recipients, text_bytes)?
        };
        NumberedMessage::new(request, text_bytes)
    }
}

/// The requests that connect a client for `user`. The floor ignores the token.
pub(crate) fn client_requests(port: u16, user: &str) -> Result<ClientRequests> {
    Ok(ClientRequests::new(CLIENT_PATH, &sign_token(port, CLIENT_PATH, Some(user))?))
}

/// The request to the emulator at `port` that sends message 0.
pub(crate) fn send_request(port: u16, recipients: Recipients<'_>, text_bytes: usize) -> Result<Vec<u8>> {
    let path = match recipients {
        Recipients::Everyone => format!("{HUB_PATH}/:send"),
        Recipients::User(user) => format!("{HUB_PATH}/users/{user}/:send"),
        Recipients::Group { name, .. } => format!("{HUB_PATH}/groups/{name}/:send"),
    };
    rest_call("POST", port, &path, &rest_body(text_bytes))
}

/// The request to the emulator at `port` that adds a connection to a group.
pub(crate) fn join_request(port: u16, group: &str, connection_id: &str) -> Result<Vec<u8>> {
    rest_call("PUT", port, &format!("{HUB_PATH}/groups/{group}/connections/{connection_id}"), "")
}

fn rest_call(method: &str, port: u16, path: &str, body: &str) -> Result<Vec<u8>> {
    let (token, length) = (sign_token(port, path, None)?, body.len());
    let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    let request = format!(
        "{method} {path}?api-version={API_VERSION} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{headers}\r\n{body}"
    );
    Ok(request.into_bytes())
}

/// Signs an access token for a path of the service at `port`, and for `user` if it is a client's.
fn sign_token(port: u16, path: &str, user: Option<&str>) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    // The audience of a client's token contains the hub.
    let query = user.map_or("", |_| "?hub=bench");
    let audience = format!("http://localhost:{port}{path}{query}");
    let mut claims = json!({ "aud": audience, "exp": (now + TOKEN_LIFETIME).as_secs() });
    if let Some(user) = user {
        claims["asrs.s.uid"] = user.into();
    }
    let encoded = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encoded(json!({ "alg": "HS256", "typ": "JWT" })), encoded(claims));
    let mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes())?.chain_update(&signed);
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}

/// The path of the floor for messages to everyone. Below it, a number means so many of the clients that connected last.
pub(crate) const FLOOR_SEND_PATH: &str = "/send/";

/// The request to the floor to send `record`, which the body contains as a complete frame.
fn floor_request(recipients: Recipients<'_>, record: &[u8]) -> Vec<u8> {
    let last = match recipients {
        Recipients::Everyone => String::new(),
        Recipients::User(_) => "1".to_owned(),
        Recipients::Group { members, .. } => members.to_string(),
    };
    let frame = service_frame(record);
    let length = frame.len();
    let head = format!("POST {FLOOR_SEND_PATH}{last} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), frame].concat()
}
