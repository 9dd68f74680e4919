//! A handler with a history in a folder, behind Easy Auth, in front of a scripted SignalR service.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::scripted_service::ScriptedService;
use crate::test_app::{TestApp, TestFolder};

pub(crate) const ANN: Option<&str> = Some("ann");
pub(crate) const BOB: Option<&str> = Some("bob");
pub(crate) const GUEST: Option<&str> = None;

pub(crate) struct HistoryApp {
    pub(crate) app: TestApp,
    pub(crate) service: ScriptedService,
    /// Where the history is, unless it is in a container.
    pub(crate) folder: TestFolder,
    place: String,
    variables: Vec<(&'static str, &'static str)>,
}

impl HistoryApp {
    /// Starts a handler with rooms of any name, whose service accepts everything.
    pub(crate) async fn start() -> Self {
        Self::with(&[(202, None)], &[]).await
    }

    /// Starts a handler with additional settings, whose service gives these answers.
    pub(crate) async fn with(
        replies: &[(u16, Option<&'static str>)],
        variables: &[(&'static str, &'static str)],
    ) -> Self {
        let folder = TestFolder::new();
        let place = folder.path().to_owned();
        Self::start_at(folder, place, replies, variables).await
    }

    /// Starts a handler whose history is at `place`, another folder or a container.
    pub(crate) async fn at(place: &str, variables: &[(&'static str, &'static str)]) -> Self {
        Self::start_at(TestFolder::new(), place.to_owned(), &[(202, None)], variables).await
    }

    async fn start_at(
        folder: TestFolder,
        place: String,
        replies: &[(u16, Option<&'static str>)],
        variables: &[(&'static str, &'static str)],
    ) -> Self {
        let service = ScriptedService::start(replies).await;
        let variables = [&[("WEBSITE_AUTH_ENABLED", "true"), ("ChatRooms", "*")], variables].concat();
        let app = start(service.port, &place, &variables);
        Self { app, service, folder, place, variables }
    }

    /// Ends the handler and starts another one with the same history.
    pub(crate) fn restart(&mut self) {
        self.app.stop();
        self.app = start(self.service.port, &self.place, &self.variables);
    }

    /// Calls as `user`, or as a guest.
    pub(crate) async fn call(&self, user: Option<&str>, method: Method, path: &str) -> Response {
        let request = self.app.request(method, path);
        let name = "x-ms-client-principal-name";
        user.into_iter().fold(request, |request, user| request.header(name, user)).send().await.unwrap()
    }

    pub(crate) async fn send(&self, user: Option<&str>, draft: &Value) -> Response {
        let name = "x-ms-client-principal-name";
        let request = self.app.message(draft);
        user.into_iter().fold(request, |request, user| request.header(name, user)).send().await.unwrap()
    }

    /// Sends a message that is accepted, and returns the answer.
    pub(crate) async fn say(&self, user: Option<&str>, draft: &Value) -> Value {
        let response = self.send(user, draft).await;
        assert_eq!(response.status(), 202, "{draft}");
        response.json().await.unwrap()
    }

    pub(crate) async fn get(&self, user: Option<&str>, query: &str) -> Response {
        self.call(user, Method::GET, &format!("/api/history?{query}")).await
    }

    /// A page of the history.
    pub(crate) async fn page(&self, user: Option<&str>, query: &str) -> Value {
        let response = self.get(user, query).await;
        assert_eq!((response.status().as_u16(), &response.headers()["cache-control"] == "no-store"), (200, true));
        assert_eq!(response.headers()["content-type"], "application/json");
        response.json().await.unwrap()
    }

    /// The messages that the service was sent, by the last segments of their targets.
    pub(crate) fn published(&self) -> Vec<(String, Value)> {
        let calls = self.service.calls.lock().unwrap();
        let target = |target: &str| target.trim_start_matches("/api/hubs/chat/").split('?').next().unwrap().to_owned();
        calls.iter().map(|call| (target(&call.target), call.body.clone())).collect()
    }

    /// A path in the folder of the history.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    /// The files of the parts of a stream, in their order.
    pub(crate) fn parts(&self, stream: &str) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.path(stream)) else { return Vec::new() };
        let mut parts: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        parts.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        parts.sort();
        parts
    }

    /// All bytes below a folder of the history.
    pub(crate) fn content(&self, name: &str) -> String {
        let Ok(streams) = fs::read_dir(self.path(name)) else { return String::new() };
        let names = streams.map(|stream| stream.unwrap().file_name().into_string().unwrap());
        let parts = names.flat_map(|stream| self.parts(&format!("{name}/{stream}")));
        parts.map(|part| fs::read_to_string(part).unwrap()).collect()
    }
}

fn start(signalr: u16, place: &str, variables: &[(&str, &str)]) -> TestApp {
    TestApp::with_signalr(signalr, &[&[("ChatHistory", place)], variables].concat())
}

/// The messages of a page by one of their fields.
pub(crate) fn fields(page: &Value, name: &str) -> Vec<String> {
    let field = |message: &Value| message[name].as_str().unwrap_or_default().to_owned();
    page["messages"].as_array().unwrap().iter().map(field).collect()
}

/// A message as pages have it: without what only the answer to its sender says.
pub(crate) fn as_stored(answer: &Value) -> Value {
    let mut message = answer.clone();
    for field in ["live", "recipientOnline"] {
        message.as_object_mut().unwrap().remove(field);
    }
    message
}

/// A draft with an id and a text.
pub(crate) fn draft(id: &str, text: &str) -> Value {
    json!({"id": id, "text": text})
}
