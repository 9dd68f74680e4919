//! The local stack: static website, Functions host with Easy Auth and CORS, SignalR service and Communication Services, on loopback.
//!
//! The app is any router; the routes come from the function folders, as in Azure. The services are reached by connection strings only.
//!
//! ```text
//! page port           allowed hosts ─ static site
//! API port            allowed hosts ─ CORS ─ Easy Auth ─ Functions host ─ app
//! SignalR port        allowed hosts ─ SignalR emulator
//! communication port  allowed hosts ─ Communication Services emulator
//! ```

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use azure_signalr_emulator::{AccessKey, Emulator, LoopbackListener};
use serverless_chat::exit::ExitError;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::easy_auth::{self, AllowedRedirects, EasyAuth};
use crate::functions_host::{self, Function};
use crate::origins::Origins;
use crate::{loopback, static_site};

/// The parts of the stack and their ports.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// 0 is any free port.
    pub(crate) page_port: u16,
    /// The port of the functions and `/.auth`; 0 is any free port.
    pub(crate) api_port: u16,
    /// The SignalR service.
    pub(crate) signalr: Service,
    /// The service for identities and access tokens for calls.
    pub(crate) communication: Service,
    /// Origins of other development servers whose pages may call the functions.
    pub(crate) allowed_origins: Vec<String>,
    /// Addresses to which a sign-in may redirect, beside the roots of the page's and the allowed origins.
    pub(crate) allowed_redirects: Vec<String>,
    /// Allowed host names beside the loopback names, in lower case.
    pub(crate) allowed_hosts: Vec<String>,
    /// How long a session of the sign-in lasts.
    pub(crate) session_seconds: u64,
    /// The folder of the built page, with `index.html`.
    pub(crate) page_folder: PathBuf,
    pub(crate) functions: Vec<Function>,
}

/// Whether a service is embedded or external.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Embedded, at this port (0 is any free port), with a new key.
    Embedded { port: u16 },
    /// Outside of this process, named in the configuration.
    External,
}

/// All listeners, bound and not yet served.
#[must_use = "no request is answered before `serve`"]
pub(crate) struct LocalStack {
    page: LoopbackListener,
    api: LoopbackListener,
    signalr: Option<Embedded<Emulator>>,
    communication: Option<Embedded<azure_communication_emulator::Emulator>>,
    pages: Origins,
    allowed_hosts: Vec<String>,
    easy_auth: Arc<EasyAuth>,
    page_folder: PathBuf,
    functions: Vec<Function>,
}

/// An emulator with its listener and the connection string for it.
struct Embedded<E> {
    listener: LoopbackListener,
    emulator: E,
    connection_string: String,
}

/// Listens on `port` of `localhost`; 0 is any free port. The error names the port and `option`, the argument that changes it.
pub(crate) async fn listen(port: u16, option: &'static str) -> Result<LoopbackListener, ExitError> {
    LoopbackListener::bind(port).await.map_err(|source| ExitError::bind(port, option, source))
}

/// Prints the addresses, then the line that says that all servers listen.
pub(crate) fn announce(addresses: &dyn fmt::Display, next: &str) {
    // Does not wait for the output, which may be closed.
    format!("\n{addresses}\n\nready: {next}, Ctrl-C to stop")
        .lines()
        .for_each(|line| log_writer::stdout().write_line(line));
}

/// Binds all ports before any request is served.
pub(crate) async fn bind(options: Options) -> Result<LocalStack, ExitError> {
    Function::check_conflicts(&options.functions).map_err(ExitError::other)?;
    let page = listen(options.page_port, "--page-port").await?;
    let api = listen(options.api_port, "--api-port").await?;
    let signalr = match options.signalr {
        Service::Embedded { port } => Some(bind_signalr(port, &options.allowed_hosts).await?),
        Service::External => None,
    };
    let communication = match options.communication {
        Service::Embedded { port } => Some(bind_communication(port, &options.allowed_hosts).await?),
        Service::External => None,
    };
    let Options { allowed_origins, allowed_redirects, allowed_hosts, session_seconds, page_folder, functions, .. } =
        options;
    let pages = Origins::new(page.port(), &allowed_hosts, allowed_origins);
    let own = Origins::new(api.port(), &allowed_hosts, Vec::new());
    let redirects = AllowedRedirects::new(&pages, allowed_redirects);
    let easy_auth = EasyAuth::new(pages.clone(), own, redirects, session_seconds).map_err(ExitError::other)?;
    Ok(LocalStack { page, api, signalr, communication, pages, allowed_hosts, easy_auth, page_folder, functions })
}

fn address(listener: &LoopbackListener) -> String {
    Origins::of_port(listener.port()).first().to_owned()
}

/// Binds the SignalR emulator. Its key is new, because that of the official emulator is published.
async fn bind_signalr(port: u16, hosts: &[String]) -> Result<Embedded<Emulator>, ExitError> {
    let listener = listen(port, "--signalr-port").await?;
    let options = azure_signalr_emulator::Options {
        access_keys: vec![AccessKey::generate()],
        allowed_hosts: hosts.to_vec(),
        ..Default::default()
    };
    let emulator = Emulator::new(options);
    let connection_string = emulator.connection_string(listener.port());
    Ok(Embedded { listener, emulator, connection_string })
}

/// Binds the emulator of Communication Services, with new keys and without identities.
async fn bind_communication(
    port: u16,
    hosts: &[String],
) -> Result<Embedded<azure_communication_emulator::Emulator>, ExitError> {
    let listener = listen(port, "--communication-port").await?;
    let emulator = azure_communication_emulator::Emulator::new(azure_communication_emulator::Options {
        allowed_hosts: hosts.to_vec(),
        ..Default::default()
    });
    let connection_string = emulator.connection_string(&address(&listener));
    Ok(Embedded { listener, emulator, connection_string })
}

impl LocalStack {
    /// The connection string of the embedded SignalR service, with its key.
    pub(crate) fn connection_string(&self) -> Option<&str> {
        self.signalr.as_ref().map(|service| service.connection_string.as_str())
    }

    /// The connection string of the embedded Communication Services, with a key.
    pub(crate) fn communication_connection_string(&self) -> Option<&str> {
        self.communication.as_ref().map(|service| service.connection_string.as_str())
    }

    /// The origin of the page, like `http://localhost:5500`.
    pub(crate) fn page(&self) -> String {
        address(&self.page)
    }

    /// Serves all parts, with `app` behind the Functions host, until `stop`. Then it closes the client connections and waits up to one
    /// second for running requests.
    pub(crate) async fn serve(self, app: Router, stop: impl Future<Output = ()> + Send) -> io::Result<()> {
        let host = functions_host::router(app, self.functions);
        let api = functions_host::with_cors(self.pages, easy_auth::with_easy_auth(host, self.easy_auth));
        let site = static_site::router(self.page_folder, address(&self.api));
        let (running, _) = watch::channel(());
        let shutdown = || {
            let mut running = running.subscribe();
            async move { while running.changed().await.is_ok() {} }
        };
        let mut servers = JoinSet::new();
        for (router, listener) in [(site, self.page), (api, self.api)] {
            let (listeners, hosts) = (listener.into_listeners(), self.allowed_hosts.clone());
            servers.spawn(loopback::serve(router, listeners, hosts, shutdown()));
        }
        if let Some(Embedded { listener, emulator, .. }) = self.signalr {
            let shutdown = shutdown();
            servers.spawn(async move { emulator.serve(listener.into_listeners(), shutdown).await });
        }
        if let Some(Embedded { listener, emulator, .. }) = self.communication {
            let shutdown = shutdown();
            servers.spawn(async move { emulator.serve(listener.into_listeners(), shutdown).await });
        }
        stop.await;
        drop(running);
        while let Some(ended) = servers.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// The banner printed at start: every address, and the connection strings.
impl fmt::Display for LocalStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (page, api) = (self.page(), address(&self.api));
        writeln!(f, "  page        {page}")?;
        writeln!(f, "  functions   {api}/api")?;
        writeln!(f, "  sign-in     {api}/.auth/login/aad")?;
        match &self.signalr {
            Some(service) => {
                writeln!(f, "  SignalR     {}", address(&service.listener))?;
                writeln!(f, "  connection  {}", service.connection_string)?;
            }
            None => writeln!(f, "  SignalR     as configured")?,
        }
        write!(f, "  identities  {}", self.communication_connection_string().unwrap_or("as configured"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderMap;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn the_functions_of_this_repository_can_be_hosted() {
        let functions = Function::of_repository();
        let names: Vec<_> = functions.iter().map(|function| (&*function.name, &*function.route)).collect();
        assert_eq!(
            names,
            [
                ("negotiate", "negotiate"),
                ("SendMessage", "messages"),
                ("SignalRInfo", "SignalRInfo"),
                ("AccessToken", "access-token"),
                ("Me", "me"),
                ("Features", "features"),
                ("Rooms", "rooms"),
                ("RoomMembers", "rooms/{room}/members"),
                ("RoomMember", "rooms/{room}/members/{connectionId}"),
                ("History", "history"),
                ("RemoveMessage", "messages/{at}")
            ]
        );
        assert!(Function::check_conflicts(&functions).is_ok());
    }

    fn free_ports() -> Options {
        let free_port = Service::Embedded { port: 0 };
        Options {
            page_port: 0,
            api_port: 0,
            signalr: free_port,
            communication: free_port,
            allowed_origins: Vec::new(),
            allowed_redirects: Vec::new(),
            allowed_hosts: Vec::new(),
            session_seconds: easy_auth::SESSION_LIFETIME_SECONDS,
            page_folder: PathBuf::from("content/dist"),
            functions: Function::of_repository(),
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_option_that_changes_it() {
        let taken = LoopbackListener::bind(0).await.unwrap();
        let options = Options { api_port: taken.port(), ..free_ports() };
        let error = bind(options).await.err().unwrap().to_string();
        assert!(error.contains(&taken.port().to_string()) && error.contains("--api-port"), "{error}");
    }

    #[tokio::test]
    async fn the_banner_shows_every_address() {
        let stack = bind(free_ports()).await.unwrap();
        let banner = stack.to_string();
        let signalr = address(&stack.signalr.as_ref().unwrap().listener);
        for origin in [stack.page(), address(&stack.api), signalr] {
            assert!(banner.contains(origin.as_str()), "{banner}");
        }
        assert!(banner.contains(stack.connection_string().unwrap()));
        let identities = stack.communication_connection_string().unwrap();
        let port = address(&stack.communication.as_ref().unwrap().listener);
        assert!(banner.contains(identities) && identities.contains(&port));
    }

    #[tokio::test]
    async fn no_port_is_bound_for_an_external_service() {
        let external = Options { signalr: Service::External, communication: Service::External, ..free_ports() };
        let stack = bind(external).await.unwrap();
        assert!(stack.connection_string().is_none() && stack.signalr.is_none());
        assert!(stack.communication_connection_string().is_none() && stack.communication.is_none());
    }

    /// A page's request passes CORS, Easy Auth and the Functions host, in this order.
    #[tokio::test]
    async fn the_page_reaches_the_app_as_the_signed_in_user() {
        let stack = bind(free_ports()).await.unwrap();
        let (page, api) = (stack.page(), address(&stack.api));
        let app = Router::new()
            .fallback(async |headers: HeaderMap| headers["x-ms-client-principal-name"].to_str().unwrap().to_owned());
        // Fails when another test of this process did it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let requests = async {
            let sign_in = client.post(format!("{api}/.auth/login/aad")).json(&json!({ "access_token": "alice" }));
            let signed_in: Value = sign_in.send().await.unwrap().json().await.unwrap();
            let negotiate = async |token: &str| {
                let request = client.post(format!("{api}/api/negotiate")).header("origin", &page);
                request.header("x-zumo-auth", token).send().await.unwrap()
            };
            let refused = negotiate("an expired token").await;
            assert_eq!(refused.status(), 401);
            assert_eq!(refused.headers()["access-control-allow-origin"], page.as_str());
            let accepted = negotiate(signed_in["authenticationToken"].as_str().unwrap()).await;
            assert_eq!(accepted.headers()["access-control-allow-origin"], page.as_str());
            assert_eq!(accepted.text().await.unwrap(), "alice");
        };
        stack.serve(app, requests).await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_delay_the_end() {
        let stack = bind(free_ports()).await.unwrap();
        let port = stack.api.port();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(stack.serve(Router::new(), async { stopped.await.unwrap() }));
        let mut idle = tokio::net::TcpStream::connect(("localhost", port)).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut start = [0; 15];
        idle.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        stop.send(()).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
        ended.expect("serving ends soon").unwrap().unwrap();
    }
}
