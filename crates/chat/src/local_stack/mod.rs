//! What Azure puts around the app, on loopback: static website, Functions host with Easy Auth and CORS, SignalR service, and the
//! identities of Communication Services.
//!
//! It takes any router as the app and knows nothing of its routes: those come from the function folders, as in Azure.
//! The services are reached by their connection strings only, as in Azure too.
//!
//! ```text
//! page port      loopback names only ─ site
//! API port       loopback names only ─ CORS ─ Easy Auth ─ Functions host ─ app
//! service port   loopback names only ─ emulator
//! identity port  loopback names only ─ the other emulator
//! ```

mod serve;

use std::fmt;
use std::io;
use std::path::PathBuf;

use axum::Router;
use azure_signalr_emulator::{AccessKey, Emulator};
use serverless_chat::exit::ExitError;

use crate::easy_auth::{self, EasyAuth};
use crate::functions_host::{self, Function};
use crate::loopback::Loopback;
use crate::origins::Origins;
use crate::static_site;

/// What to put together, and where.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The port of the page; 0 = any that is free.
    pub(crate) page_port: u16,
    /// The port of functions and `/.auth`; 0 = any that is free.
    pub(crate) api_port: u16,
    /// Which SignalR service the app will speak to.
    pub(crate) service: Service,
    /// Where its identities and tokens for calls will come from.
    pub(crate) communication: Service,
    /// Origins of other development servers: their pages may call the functions.
    pub(crate) allowed_origins: Vec<String>,
    /// Further host names by which requests may arrive, in lower case.
    pub(crate) hosts: Vec<String>,
    /// The built page, the folder that holds `index.html`.
    pub(crate) page_folder: PathBuf,
    /// The functions the host calls.
    pub(crate) functions: Vec<Function>,
}

/// Which service of a kind the app will speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// One of our own, at this port (0 = any that is free), with a key made at this start.
    Embedded {
        /// Its port.
        port: u16,
    },
    /// A service outside of this process, named in the app's configuration.
    External,
}

/// Where everything listens, as origins: `http://localhost:5500`, without a slash at the end.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The page.
    pub(crate) page: String,
    /// Functions and `/.auth`.
    pub(crate) api: String,
    /// The SignalR service, if it is ours.
    pub(crate) service: Option<String>,
}

/// Everything bound and nothing served yet.
#[must_use = "nothing answers until it is served"]
pub(crate) struct Stack {
    page: Loopback,
    api: Loopback,
    service: Option<EmbeddedService>,
    communication: Option<EmbeddedCommunication>,
    addresses: Addresses,
    pages: Origins,
    hosts: Vec<String>,
    easy_auth: EasyAuth,
    page_folder: PathBuf,
    functions: Vec<Function>,
}

struct EmbeddedService {
    listener: Loopback,
    emulator: Emulator,
    connection_string: String,
}

struct EmbeddedCommunication {
    listener: Loopback,
    emulator: azure_communication_emulator::Emulator,
    connection_string: String,
}

/// Listens on `port` of `localhost`; 0 = any port that is free.
///
/// # Errors
/// When the port cannot be had. The error names it and `option`, the argument that changes it.
pub(crate) async fn listen(port: u16, option: &'static str) -> Result<Loopback, ExitError> {
    Loopback::bind(port).await.map_err(|source| ExitError::bind(port, option, source))
}

/// Binds every socket, so that whatever fails has failed before anything is served.
///
/// # Errors
/// When a port cannot be had, two functions answer the same request, or the system gives no random bytes.
pub(crate) async fn bind(options: Options) -> Result<Stack, ExitError> {
    Function::check_conflicts(&options.functions).map_err(ExitError::other)?;
    let page = listen(options.page_port, "--page-port").await?;
    let api = listen(options.api_port, "--api-port").await?;
    let service = match options.service {
        Service::Embedded { port } => Some(EmbeddedService::bind(port).await?),
        Service::External => None,
    };
    let communication = match options.communication {
        Service::Embedded { port } => Some(EmbeddedCommunication::bind(port).await?),
        Service::External => None,
    };
    let addresses = Addresses {
        page: address(&page),
        api: address(&api),
        service: service.as_ref().map(|service| address(&service.listener)),
    };
    let Options { allowed_origins, hosts, page_folder, functions, .. } = options;
    let pages = Origins::new(page.port(), &hosts, allowed_origins);
    let own = Origins::new(api.port(), &hosts, Vec::new());
    let easy_auth = EasyAuth::new(pages.clone(), own).map_err(ExitError::other)?;
    Ok(Stack {
        page,
        api,
        service,
        communication,
        addresses,
        pages,
        hosts,
        easy_auth,
        page_folder,
        functions,
    })
}

fn address(listener: &Loopback) -> String {
    Origins::of_port(listener.port()).first().to_owned()
}

impl EmbeddedService {
    /// The key is new at each start: that of the official emulator is known to every web page.
    async fn bind(port: u16) -> Result<Self, ExitError> {
        let listener = listen(port, "--signalr-port").await?;
        let options = azure_signalr_emulator::Options {
            access_keys: vec![AccessKey::generate()],
            ..Default::default()
        };
        let emulator = Emulator::new(options);
        let connection_string = emulator.connection_string(listener.port());
        Ok(Self { listener, emulator, connection_string })
    }
}

impl EmbeddedCommunication {
    /// Its keys, and its identities, are new at each start.
    async fn bind(port: u16) -> Result<Self, ExitError> {
        let listener = listen(port, "--communication-port").await?;
        let emulator = azure_communication_emulator::Emulator::new(Default::default());
        let connection_string = emulator.connection_string(&address(&listener));
        Ok(Self { listener, emulator, connection_string })
    }
}

impl Stack {
    /// The connection string of the embedded service, with its key; `None` when the service is elsewhere.
    #[must_use]
    pub(crate) fn connection_string(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.connection_string.as_str())
    }

    /// The connection string of the embedded identities, with a key; `None` when they are elsewhere.
    #[must_use]
    pub(crate) fn communication_string(&self) -> Option<&str> {
        self.communication.as_ref().map(|service| service.connection_string.as_str())
    }

    /// Where everything listens.
    #[must_use]
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves all of it, with `app` behind the Functions host, until `stop`; then closes the service's connections and
    /// gives requests under way one second.
    ///
    /// # Errors
    /// When a server fails by itself.
    pub(crate) async fn serve(self, app: Router, stop: impl Future<Output = ()> + Send) -> io::Result<()> {
        let host = functions_host::in_front_of(app, self.functions);
        let api = functions_host::allow_origins(self.pages, easy_auth::in_front_of(host, self.easy_auth));
        let site = static_site::serve(self.page_folder, self.addresses.api);
        let mut servers = vec![(self.page, site), (self.api, api)];
        let mut emulator = None;
        if let Some(service) = self.service {
            servers.push((service.listener, service.emulator.router()));
            emulator = Some(service.emulator);
        }
        if let Some(communication) = self.communication {
            servers.push((communication.listener, communication.emulator.router()));
        }
        serve::until(stop, servers, emulator, self.hosts).await
    }
}

/// What to print at start: every address, and the connection string for other programs.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Addresses { page, api, service, .. } = &self.addresses;
        writeln!(f, "  page        {page}")?;
        writeln!(f, "  functions   {api}/api")?;
        writeln!(f, "  sign-in     {api}/.auth/login/aad")?;
        match (service, self.connection_string()) {
            (Some(service), Some(connection_string)) => {
                writeln!(f, "  SignalR     {service}")?;
                writeln!(f, "  connection  {connection_string}")?;
            }
            _ => writeln!(f, "  SignalR     as configured")?,
        }
        write!(f, "  identities  {}", self.communication_string().unwrap_or("as configured"))
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
        let names: Vec<_> = functions.iter().map(|function| (function.name(), function.route())).collect();
        assert_eq!(
            names,
            [
                ("negotiate", "negotiate"),
                ("SendMessage", "messages"),
                ("SignalRInfo", "SignalRInfo"),
                ("AccessToken", "access-token")
            ]
        );
        assert!(Function::check_conflicts(&functions).is_ok());
    }

    fn anywhere() -> Options {
        let anywhere = Service::Embedded { port: 0 };
        Options {
            page_port: 0,
            api_port: 0,
            service: anywhere,
            communication: anywhere,
            allowed_origins: Vec::new(),
            hosts: Vec::new(),
            page_folder: PathBuf::from("content/dist"),
            functions: Function::of_repository(),
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_option_that_changes_it() {
        let taken = Loopback::bind(0).await.unwrap();
        let options = Options { api_port: taken.port(), ..anywhere() };
        let error = bind(options).await.err().unwrap().to_string();
        assert!(error.contains(&taken.port().to_string()) && error.contains("--api-port"), "{error}");
    }

    #[tokio::test]
    async fn the_banner_tells_every_address() {
        let stack = bind(anywhere()).await.unwrap();
        let banner = stack.to_string();
        let addresses = stack.addresses().clone();
        for told in [&addresses.page, &addresses.api, addresses.service.as_ref().unwrap()] {
            assert!(banner.contains(told.as_str()), "{banner}");
        }
        assert!(banner.contains(stack.connection_string().unwrap()));
        let identities = stack.communication_string().unwrap();
        let port = address(&stack.communication.as_ref().unwrap().listener);
        assert!(banner.contains(identities) && identities.contains(&port));
    }

    #[tokio::test]
    async fn a_service_elsewhere_is_not_bound() {
        let elsewhere =
            Options { service: Service::External, communication: Service::External, ..anywhere() };
        let stack = bind(elsewhere).await.unwrap();
        assert!(stack.connection_string().is_none() && stack.addresses().service.is_none());
        assert!(stack.communication_string().is_none() && stack.communication.is_none());
    }

    /// What `app` is behind: a page's request has to pass CORS, Easy Auth and the Functions host, in this order.
    #[tokio::test]
    async fn the_page_reaches_the_app_as_whoever_signed_in() {
        let stack = bind(anywhere()).await.unwrap();
        let Addresses { page, api, .. } = stack.addresses().clone();
        let app = Router::new().fallback(async |headers: HeaderMap| {
            headers["x-ms-client-principal-name"].to_str().unwrap().to_owned()
        });
        // Only the first test of a process has to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let asked = async {
            let sign_in =
                client.post(format!("{api}/.auth/login/aad")).json(&json!({ "access_token": "alice" }));
            let signed_in: Value = sign_in.send().await.unwrap().json().await.unwrap();
            let negotiate = async |token: &str| {
                let request = client.post(format!("{api}/api/negotiate")).header("origin", &page);
                request.header("x-zumo-auth", token).send().await.unwrap()
            };
            let refused = negotiate("a token of yesterday").await;
            assert_eq!(refused.status(), 401);
            assert_eq!(refused.headers()["access-control-allow-origin"], page.as_str());
            let answered = negotiate(signed_in["authenticationToken"].as_str().unwrap()).await;
            assert_eq!(answered.headers()["access-control-allow-origin"], page.as_str());
            assert_eq!(answered.text().await.unwrap(), "alice");
        };
        stack.serve(app, asked).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_waits_does_not_hold_up_the_end() {
        let stack = bind(anywhere()).await.unwrap();
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
