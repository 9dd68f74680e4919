//! A test fixture: `chat` as a process on free ports, in a temporary folder with a page of two files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use test_support::http::client;
use test_support::process::Process;
use test_support::signalr_client::{Client, NegotiateResponse};

/// The HTML of the test page.
pub(crate) const PAGE: &str = "<!doctype html><title>a page</title>";

/// Arguments for free ports.
pub(crate) const FREE_PORTS: [&str; 8] =
    ["--page-port", "0", "--api-port", "0", "--signalr-port", "0", "--communication-port", "0"];

/// An access key for settings.
pub(crate) const KEY: &str = "the-access-key-of-this-test";

/// The published access key of the official emulator.
pub(crate) const OFFICIAL_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

/// Starts `chat` with only `variables` as its environment.
pub(crate) fn start_chat(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    Process::spawn(&mut chat_command(arguments, variables))
}

/// The command of [`start_chat`].
pub(crate) fn chat_command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    Process::command(Path::new(env!("CARGO_BIN_EXE_chat")), arguments, variables)
}

/// Negotiates at the handler, with the session token `session` or as a guest.
pub(crate) async fn negotiate(stack: &TestStack, session: Option<&str>) -> NegotiateResponse {
    NegotiateResponse::request(stack.post_as(session, "/api/negotiate")).await
}

/// A connected client, with the session token `session` or as a guest.
pub(crate) async fn join(stack: &TestStack, session: Option<&str>) -> Client {
    Client::connect(&negotiate(stack, session).await, &stack.client).await
}

/// Sends `request` and returns the JSON in the response.
pub(crate) async fn json_of(request: RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

/// A temporary folder, deleted when dropped.
struct Folder(PathBuf);

impl Folder {
    fn with_page() -> Self {
        let folder = std::env::temp_dir().join(Uuid::new_v4().to_string());
        let page = folder.join("content/dist");
        fs::create_dir_all(&page).unwrap();
        fs::write(page.join("index.html"), PAGE).unwrap();
        let config = json!({"apiBaseUrl": "https://other.example", "authProvider": "github"});
        fs::write(page.join("config.json"), config.to_string()).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running `chat`. Dropping it stops the process.
pub(crate) struct TestStack {
    pub(crate) process: Process,
    pub(crate) client: reqwest::Client,
    folder: Folder,
    /// Starts it again.
    command: Command,
}

impl TestStack {
    /// Starts the local stack with all services embedded.
    pub(crate) fn start() -> Self {
        Self::with(&FREE_PORTS, &[])
    }

    /// Starts `chat` with `arguments`, with only `variables` as its environment.
    pub(crate) fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Folder::with_page();
        let mut command = chat_command(arguments, variables);
        command.current_dir(&folder.0);
        let process = Process::spawn(&mut command);
        process.out.line("ready");
        Self { process, client: client(), folder, command }
    }

    /// Ends the process and starts another one in the same folder.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.process = Process::spawn(&mut self.command);
        self.process.out.line("ready");
    }

    /// Ends the process and returns all that it printed.
    pub(crate) fn stop(&mut self) -> String {
        self.process.signal("TERM");
        self.process.end();
        self.process.out.text() + &self.process.err.text()
    }

    /// A path below its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The text printed after `label` in the banner.
    pub(crate) fn printed(&self, label: &str) -> Option<String> {
        let text = self.process.out.text();
        let value = text.lines().find_map(|line| line.trim_start().strip_prefix(label));
        value.filter(|value| value.starts_with(' ')).map(|value| value.trim().to_owned())
    }

    /// The origin of the page.
    pub(crate) fn page(&self) -> String {
        self.printed("page").unwrap()
    }

    /// The origin of the functions and `/.auth`.
    pub(crate) fn api(&self) -> String {
        self.printed("functions").unwrap().strip_suffix("/api").unwrap().to_owned()
    }

    /// The origin of the embedded SignalR service.
    pub(crate) fn service(&self) -> String {
        self.printed("SignalR").unwrap()
    }

    /// The access key in the printed connection string.
    pub(crate) fn key(&self) -> String {
        let connection = self.printed("connection").unwrap();
        connection.split(';').find_map(|part| part.strip_prefix("AccessKey=")).unwrap().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.api() + path)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Signs in with `name` and returns the session token.
    pub(crate) async fn sign_in(&self, name: &str) -> String {
        let body = json_of(self.post("/.auth/login/aad").json(&json!({"access_token": name}))).await;
        body["authenticationToken"].as_str().unwrap().to_owned()
    }

    /// `POST path` with a session token, or as a guest.
    pub(crate) fn post_as(&self, session: Option<&str>, path: &str) -> RequestBuilder {
        session.into_iter().fold(self.post(path), |request, token| request.header("x-zumo-auth", token))
    }

    /// Sends a message, asserts that it is accepted and not kept without being published, and returns it as published.
    pub(crate) async fn send(&self, session: Option<&str>, message: &Value) -> Value {
        let response = self.post_as(session, "/api/messages").json(message).send().await.unwrap();
        assert_eq!(response.status(), 202);
        let mut answer: Value = response.json().await.unwrap();
        let live = answer.as_object_mut().unwrap().remove("live");
        assert!(live.is_none_or(|live| live == true), "{answer}");
        answer
    }
}

/// The port in an origin.
pub(crate) fn port(origin: &str) -> u16 {
    origin.rsplit(':').next().unwrap().parse().unwrap()
}
