//! The REST API: each operation by its effect on clients, its status and its errors.

mod charsets;
mod connections;
mod execute;
mod groups;
mod invoke;
mod limits;
mod messages;
mod tokens;
mod versions;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use crate::support::{Client, TestService, client_token};

const VERSION: &str = "api-version=2022-06-01";

/// How long a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// A path with `api-version` 2022-06-01.
fn api(rest: &str) -> String {
    let separator = if rest.contains('?') { '&' } else { '?' };
    format!("/api/{rest}{separator}{VERSION}")
}

fn message(text: &str) -> Value {
    json!({"target": "t", "arguments": [text]})
}

/// The response to a call without a body.
async fn call(service: &TestService, method: Method, path: &str) -> Response {
    service.call(method, path).send().await.unwrap()
}

async fn status(service: &TestService, method: Method, path: &str) -> u16 {
    call(service, method, path).await.status().as_u16()
}

/// The status of a response, and its error code.
async fn status_and_code(service: &TestService, method: Method, path: &str) -> (u16, Option<String>) {
    let response = call(service, method, path).await;
    let code = response.headers().get("x-ms-error-code").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code)
}

/// A 404 with an error code.
fn not_found(code: &str) -> (u16, Option<String>) {
    (404, Some(code.to_owned()))
}

/// Sends to a group of the hub `chat`, and then to the whole hub, so that other clients get something too.
async fn send_to_group(service: &TestService, group: &str, text: &str) {
    assert_eq!(service.send(&api(&format!("hubs/chat/groups/{group}/:send")), &message(text)).await, 202);
    service.broadcast("all").await;
}

/// Whether the client got the message of [`send_to_group`].
async fn received(client: &mut Client, text: &str) -> bool {
    let first = client.receive_argument().await;
    if first == text {
        assert_eq!(client.receive_argument().await, "all");
        return true;
    }
    assert_eq!(first, "all");
    false
}

/// A client of the hub `chat` and its connection id, with these claims in its token.
async fn client_with_claims(service: &TestService, claims: Value) -> (String, Client) {
    let token = client_token(claims);
    let (public, secret) = service.negotiated_ids(&token).await;
    (public, service.connect(&format!("/client/?hub=chat&id={secret}"), &token).await)
}

/// A client of the user, and its connection id.
async fn client_of_user(service: &TestService, user: &str) -> (String, Client) {
    client_with_claims(service, json!({"asrs.s.uid": user})).await
}

/// Repeats the call until it has this status.
async fn wait_for_status(service: &TestService, method: Method, path: &str, expected: u16) {
    let repeating = async {
        let mut pauses = interval(Duration::from_millis(20));
        while status(service, method.clone(), path).await != expected {
            pauses.tick().await;
        }
    };
    timeout(DEADLINE, repeating).await.expect("the status");
}
