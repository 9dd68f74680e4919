//! The real `handler` as a process, started as the Functions host starts it, and requests to it.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
pub(crate) use test_support::http::{api_error, claims, client, free_port};
pub(crate) use test_support::process::{Process, TEST_TIMEOUT, wait_until};
use uuid::Uuid;

/// The access key of the SignalR service.
pub(crate) const KEY: &str = "the-access-key-of-this-app";

/// The path of the binary: `HANDLER_UNDER_TEST` if set, else Cargo's build.
pub(crate) fn handler_path() -> PathBuf {
    std::env::var_os("HANDLER_UNDER_TEST").unwrap_or_else(|| env!("CARGO_BIN_EXE_handler").into()).into()
}

/// Starts the handler with no environment but `variables`.
pub(crate) fn start_handler(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::start(&handler_path(), arguments, variables)
}

/// The command of [`start_handler`].
pub(crate) fn handler_command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    Process::command(&handler_path(), arguments, variables)
}

/// An error response with its challenge.
pub(crate) struct ErrorResponse {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) challenge: Option<String>,
}

impl ErrorResponse {
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let body: Value = response.json().await.unwrap();
        let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
        Self { status, code: text("code"), message: text("message"), challenge }
    }
}

/// The name of a folder that does not exist yet, and is deleted in the end.
pub(crate) struct TestFolder(String);

impl TestFolder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(Uuid::new_v4().to_string());
        Self(path.into_os_string().into_string().unwrap())
    }

    pub(crate) fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A running handler; the test acts as its Functions host. Dropping it kills the process.
pub(crate) struct TestApp {
    pub(crate) process: Process,
    pub(crate) port: u16,
    client: reqwest::Client,
}

impl TestApp {
    /// Starts a handler for the SignalR service at port `signalr` that allows guests, with additional settings.
    pub(crate) fn with_signalr(signalr: u16, variables: &[(&str, &str)]) -> Self {
        let connection = format!("Endpoint=http://127.0.0.1:{signalr};AccessKey={KEY};Version=1.0;");
        let mut all = vec![("AzureSignalRConnectionString", connection.as_str()), ("ChatAllowAnonymous", "true")];
        all.extend(variables);
        Self::with_settings(&all)
    }

    /// Starts a handler that allows guests and whose SignalR service is not reachable.
    pub(crate) fn start() -> Self {
        Self::with_signalr(1, &[])
    }

    /// Starts a handler with exactly these settings.
    pub(crate) fn with_settings(variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut all = vec![("FUNCTIONS_CUSTOMHANDLER_PORT", text.as_str())];
        all.extend(variables);
        Self { process: start_handler(&[], &all), port, client: client() }.wait_until_listening()
    }

    /// Waits until the handler accepts connections.
    pub(crate) fn wait_until_listening(self) -> Self {
        wait_until("the handler to listen", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok());
        self
    }

    /// Ends the handler as its host does, and returns its standard output.
    pub(crate) fn stop(&mut self) -> String {
        self.process.signal("TERM");
        self.process.end();
        self.process.out.text()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://127.0.0.1:{}{path}", self.port))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// `POST /api/messages`, as the page sends it.
    pub(crate) fn message(&self, message: &Value) -> RequestBuilder {
        self.post("/api/messages").json(message)
    }

    /// Sends `bytes` over a new connection and reads until its end.
    pub(crate) fn send_raw(&self, bytes: &[u8]) -> String {
        use std::io::{Read as _, Write as _};
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        socket.write_all(bytes).unwrap();
        let mut response = Vec::new();
        socket.read_to_end(&mut response).unwrap();
        String::from_utf8(response).unwrap()
    }
}
