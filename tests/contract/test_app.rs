//! A house: the real `handler`, started as the Functions host starts it, in front of a service that is really there.
//!
//! Dropping a house stops it. What it logs is kept, so that a test can say what must not be in it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
pub(crate) use test_support::http::{api_error as refusal, claims, client, free_port};
pub(crate) use test_support::process::{Process, TEST_TIMEOUT as PATIENCE, wait_until as until};

/// Access key of every house.
pub(crate) const KEY: &str = "the-access-key-of-this-house";

/// The binary: cargo's own build, or the one of the package, when `HANDLER_UNDER_TEST` says where that is.
pub(crate) fn handler() -> PathBuf {
    std::env::var_os("HANDLER_UNDER_TEST").unwrap_or_else(|| env!("CARGO_BIN_EXE_handler").into()).into()
}

/// Starts the handler with no environment but `variables`.
pub(crate) fn start_handler(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::start(&handler(), arguments, variables)
}

/// The command of [`start_handler`].
pub(crate) fn handler_command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    Process::command(&handler(), arguments, variables)
}

/// A handler behind a host that is us.
pub(crate) struct House {
    pub(crate) handler: Process,
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
        Self { handler: start_handler(&[], &all), port, client: client() }.ready()
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
