//! A SignalR service with groups: it records all requests, has one known connection, and lists as many members as a test wants.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use serde_json::{Value, json};
use test_support::http::serve;

/// The connection that exists. Its letter case matters.
pub(crate) const CONNECTION: &str = "Ab-_9SECRET";

const PAGE_SIZE: usize = 200;

pub(crate) struct RoomService {
    pub(crate) port: u16,
    /// Each request, as `METHOD path`, with the `continuationToken` of a list behind it.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    /// The bodies of the messages.
    pub(crate) messages: Arc<Mutex<Vec<Value>>>,
}

#[derive(Clone)]
struct Script {
    status: u16,
    members: Arc<Vec<Value>>,
    requests: Arc<Mutex<Vec<String>>>,
    messages: Arc<Mutex<Vec<Value>>>,
}

/// An entry of a list for each user; `None` is a guest. Each has a connection of its own.
pub(crate) fn members<'a>(users: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Value> {
    let entry = |(number, user): (usize, Option<&str>)| match user {
        Some(user) => json!({"connectionId": format!("SECRET-{number}"), "userId": user}),
        None => json!({"connectionId": format!("SECRET-{number}")}),
    };
    users.into_iter().enumerate().map(entry).collect()
}

impl RoomService {
    /// Starts a service whose rooms all have these members.
    pub(crate) async fn start(members: Vec<Value>) -> Self {
        Self::with(200, members).await
    }

    /// Starts a service that answers every request with `status`.
    pub(crate) async fn failing(status: u16) -> Self {
        Self::with(status, Vec::new()).await
    }

    async fn with(status: u16, members: Vec<Value>) -> Self {
        let (requests, messages) = (Arc::default(), Arc::default());
        let script = Script {
            status,
            members: members.into(),
            requests: Arc::clone(&requests),
            messages: Arc::clone(&messages),
        };
        let port = serve(Router::new().fallback(respond).with_state(script)).await;
        Self { port, requests, messages }
    }

    /// The requests since the last call of this function.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

async fn respond(State(script): State<Script>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let token = query.into_owned().find(|(name, _)| name == "continuationToken").map(|(_, token)| token);
    let path = head.uri.path().to_owned();
    let suffix = token.as_ref().map_or_else(String::new, |token| format!(" {token}"));
    script.requests.lock().unwrap().push(format!("{} {path}{suffix}", head.method));
    if script.status != 200 {
        let headers = AppendHeaders((script.status == 429).then_some(("retry-after", "60")));
        return (StatusCode::from_u16(script.status).unwrap(), headers, "SECRET-UPSTREAM-TEXT").into_response();
    }
    match head.method {
        Method::POST => {
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            script.messages.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            StatusCode::ACCEPTED.into_response()
        }
        Method::PUT if !path.ends_with(&format!("/{CONNECTION}")) => {
            let code = [("x-ms-error-code", "Error.Connection.NotExisted")];
            (StatusCode::NOT_FOUND, AppendHeaders(code)).into_response()
        }
        Method::GET => page(&script.members, token.map_or(0, |token| token.parse().unwrap())).into_response(),
        _ => StatusCode::OK.into_response(),
    }
}

fn page(members: &[Value], start: usize) -> axum::Json<Value> {
    let end = (start + PAGE_SIZE).min(members.len());
    let mut page = json!({"value": members[start..end]});
    if end < members.len() {
        page["nextLink"] = json!(format!("https://elsewhere.example/list?continuationToken={end}"));
    }
    axum::Json(page)
}
