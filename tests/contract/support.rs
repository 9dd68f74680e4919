//! A house: the real `handler`, started as the Functions host starts it, in front of a service that is really there.
//!
//! Dropping a house stops it. What it logs is kept, so that a test can say what must not be in it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// Long enough for a busy machine; what takes longer does not happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Access key of every house.
pub(crate) const KEY: &str = "the-access-key-of-this-house";

/// A `handler` process and what it printed so far.
pub(crate) struct Handler {
    pub(crate) child: Child,
    pub(crate) out: Printed,
    pub(crate) err: Printed,
}

/// Lines of a process as they come.
pub(crate) struct Printed {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Printed {
    fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// All of it so far.
    pub(crate) fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The first line with `part` in it, as soon as it is there.
    pub(crate) fn line(&self, part: &str) -> String {
        let found = || self.lines.lock().unwrap().iter().find(|line| line.contains(part)).cloned();
        until(&format!("a line with {part:?}; so far:\n{}", self.text()), found)
    }
}

/// What `look` finds, as soon as it finds it.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

impl Handler {
    /// `handler` with nothing in its environment but `variables`.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::of(Self::command(arguments, variables))
    }

    pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(handler());
        command.args(arguments).env_clear().envs(variables.iter().copied());
        command
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let (out, err) =
            (Printed::of(child.stdout.take().unwrap()), Printed::of(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// How it ended, and all it printed.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let status = until("the handler to end", || self.child.try_wait().unwrap());
        for printed in [&mut self.out, &mut self.err] {
            printed.reader.take().map(JoinHandle::join);
        }
        status
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A handler behind a host that is us.
pub(crate) struct House {
    pub(crate) handler: Handler,
    pub(crate) port: u16,
    client: reqwest::Client,
}

impl House {
    /// A house that is set up for the service at `signalr`, with more `variables` perhaps.
    pub(crate) fn before(signalr: u16, variables: &[(&str, &str)]) -> Self {
        let connection = format!("Endpoint=http://127.0.0.1:{signalr};AccessKey={KEY};Version=1.0;");
        let mut all = vec![("AzureSignalRConnectionString", connection.as_str())];
        all.extend(variables);
        Self::with(&all)
    }

    /// A house whose service is never asked.
    pub(crate) fn start() -> Self {
        Self::before(1, &[])
    }

    /// A house with nothing but `variables` set.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut all = vec![("FUNCTIONS_CUSTOMHANDLER_PORT", text.as_str())];
        all.extend(variables);
        Self { handler: Handler::start(&[], &all), port, client: client() }.ready()
    }

    /// Asks as the host does: again and again, until somebody listens.
    pub(crate) fn ready(self) -> Self {
        until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok());
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A message, as the page sends it.
    pub(crate) fn message(&self, message: &Value) -> RequestBuilder {
        self.post("/api/messages").json(message)
    }

    /// What comes back for bytes put straight on the wire, up to the end of the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        use std::io::{Read as _, Write as _};
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }
}

/// A client that talks to loopback only, whatever proxies the machine has.
pub(crate) fn client() -> reqwest::Client {
    // Only the first test of a process has to.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// A port nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Status, and the code of the error in the body.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with('.') && !message.is_empty(), "{message:?} is not a sentence");
    (status, error["code"].as_str().unwrap().to_owned())
}

/// What a token says, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// The key of every installation of the official emulator: any web page knows it.
pub(crate) const OFFICIAL_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// What only the stand-ins for Azure say.
pub(crate) const LOCAL_ONLY: [&str; 12] = [
    "/client/negotiate",
    "closeConnections",
    "connectionToken",
    "/.auth/login",
    "/.auth/me",
    "AppServiceAuthSession",
    "post_login_redirect",
    "x-zumo-auth",
    "alice@contoso.com",
    OFFICIAL_KEY,
    "Provided identity doesn't exist",
    "anonymous-tokens",
];

/// The binary: cargo's own build, or the one of the package, when `HANDLER_UNDER_TEST` says where that is.
pub(crate) fn handler() -> PathBuf {
    std::env::var_os("HANDLER_UNDER_TEST").unwrap_or_else(|| env!("CARGO_BIN_EXE_handler").into()).into()
}

/// The same, as far as it is text.
pub(crate) fn binary() -> String {
    String::from_utf8_lossy(&std::fs::read(handler()).unwrap()).into_owned()
}
