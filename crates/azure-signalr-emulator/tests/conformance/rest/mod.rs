//! What REST callers may ask for, and what comes of it.

mod closing;
mod connection_groups;
mod execute;
mod exists;
mod generated_tokens;
mod invoke;
mod limits;
mod listing;
mod sends;
mod streams;
mod user_groups;
mod versions;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use crate::support::{Client, House, client_token};

const VERSION: &str = "api-version=2022-06-01";

/// How long anything that must happen may take; much longer than it does.
const DEADLINE: Duration = Duration::from_secs(20);

/// A path of the dated API.
fn api(rest: &str) -> String {
    let separator = if rest.contains('?') { '&' } else { '?' };
    format!("/api/{rest}{separator}{VERSION}")
}

fn hello(text: &str) -> Value {
    json!({"target": "t", "arguments": [text]})
}

/// What came of a call without a body.
async fn call(house: &House, method: Method, path: &str) -> Response {
    house.call(method, path).send().await.unwrap()
}

async fn status(house: &House, method: Method, path: &str) -> u16 {
    call(house, method, path).await.status().as_u16()
}

/// The status of an answer, and the code of its error.
async fn outcome(house: &House, method: Method, path: &str) -> (u16, Option<String>) {
    let response = call(house, method, path).await;
    let code = response.headers().get("x-ms-error-code").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code)
}

/// Who is not there, with the code that says so.
fn absent(code: &str) -> (u16, Option<String>) {
    (404, Some(code.to_owned()))
}

/// Sends to a group of the hub `chat`, and then to all, so that who is not in the group hears something too.
async fn tell_group(house: &House, group: &str, text: &str) {
    assert_eq!(house.send(&api(&format!("hubs/chat/groups/{group}/:send")), &hello(text)).await, 202);
    house.broadcast("all").await;
}

/// Whether the client got what [`tell_group`] sent.
async fn heard(client: &mut Client, text: &str) -> bool {
    let first = client.argument().await;
    if first == text {
        assert_eq!(client.argument().await, "all");
        return true;
    }
    assert_eq!(first, "all");
    false
}

/// A client of the hub `chat` with these claims whose public id is known, hands shaken.
async fn known(house: &House, claims: Value) -> (String, Client) {
    let token = client_token(claims);
    let (public, secret) = house.ids(&token).await;
    (public, house.client_of(&format!("/client/?hub=chat&id={secret}"), &token).await)
}

/// A client of the user whose public id is known.
async fn known_user(house: &House, user: &str) -> (String, Client) {
    known(house, json!({"asrs.s.uid": user})).await
}

/// Asks until the answer is this status.
async fn until(house: &House, method: Method, path: &str, expected: u16) {
    let asking = async {
        let mut pauses = interval(Duration::from_millis(20));
        while status(house, method.clone(), path).await != expected {
            pauses.tick().await;
        }
    };
    timeout(DEADLINE, asking).await.expect("another answer");
}
