//! Groups of connections: against the emulator with connected clients, and against a service with one response.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::extract::Request;
use axum::http::{HeaderName, StatusCode};
use axum::response::AppendHeaders;
use azure_signalr::{ClientIdentity, ConnectionId, Error, GroupMember, GroupName, Hub, Message, Recipient, UserId};
use azure_signalr_emulator::{Emulator, LoopbackListener, Options};
use serde_json::json;
use test_support::http::{client, serve};
use test_support::signalr_client::{Client, NegotiateResponse};

const GROUP: &str = "room:secret/a b";

fn group() -> GroupName {
    GROUP.parse().unwrap()
}

async fn emulated_hub() -> Hub {
    let emulator = Emulator::new(Options::default());
    let listener = LoopbackListener::bind(0).await.unwrap();
    let connection = emulator.connection_string(listener.port()).parse().unwrap();
    tokio::spawn(async move { emulator.serve(listener.into_listeners(), std::future::pending()).await });
    Hub::new(&connection, &"chat".parse().unwrap()).unwrap()
}

/// Connects a client of `user`, or without a user.
async fn connect(hub: &Hub, user: Option<&UserId>) -> (ConnectionId, Client) {
    let identity = user.map_or_else(ClientIdentity::anonymous, ClientIdentity::user);
    let access = hub.client_access(&identity, SystemTime::now()).await.unwrap();
    let access = NegotiateResponse { url: access.url.parse().unwrap(), token: access.access_token };
    let negotiated: serde_json::Value = access.negotiate(&client()).await.json().await.unwrap();
    let token = negotiated["connectionToken"].as_str().unwrap();
    let mut client = access.open(access.socket().await, Some(token)).await.unwrap();
    client.shake_hands().await;
    (negotiated["connectionId"].as_str().unwrap().parse().unwrap(), client)
}

async fn send(hub: &Hub, recipient: Recipient<'_>, text: &str) {
    let message = Message::new("newMessage", &[json!({"text": text})]).unwrap();
    hub.send(recipient, &message, SystemTime::now()).await.unwrap();
}

async fn members(hub: &Hub) -> Vec<GroupMember> {
    hub.list_group(&group(), None, SystemTime::now()).await.unwrap().members
}

#[tokio::test]
async fn a_connection_gets_the_messages_of_its_groups_until_it_is_removed() {
    let (hub, now) = (emulated_hub().await, SystemTime::now());
    let ((id, mut member), (_, mut other)) = (connect(&hub, None).await, connect(&hub, None).await);
    // Twice: a second call has no further effect.
    for _ in 0..2 {
        assert!(hub.add_to_group(&group(), &id, now).await.unwrap());
    }
    send(&hub, Recipient::Group(&group()), "to the group").await;
    for _ in 0..2 {
        hub.remove_from_group(&group(), &id, now).await.unwrap();
    }
    send(&hub, Recipient::Group(&group()), "too late").await;
    send(&hub, Recipient::Everyone, "marker").await;
    assert_eq!(member.before("marker").await, [json!({"text": "to the group"})]);
    assert!(other.before("marker").await.is_empty());
}

#[tokio::test]
async fn a_connection_that_does_not_exist_is_in_no_group() {
    let (hub, now) = (emulated_hub().await, SystemTime::now());
    let unknown = "unknown".parse().unwrap();
    assert!(!hub.add_to_group(&group(), &unknown, now).await.unwrap());
    hub.remove_from_group(&group(), &unknown, now).await.unwrap();
    assert!(members(&hub).await.is_empty());
}

#[tokio::test]
async fn members_are_listed_with_their_users_and_leave_when_they_disconnect() {
    let (hub, now) = (emulated_hub().await, SystemTime::now());
    let ann = "Ann/B ö".parse().unwrap();
    let ((guest, guest_client), (anns, _ann_client)) = (connect(&hub, None).await, connect(&hub, Some(&ann)).await);
    for id in [&guest, &anns] {
        assert!(hub.add_to_group(&group(), id, now).await.unwrap());
    }
    let mut listed = members(&hub).await;
    listed.sort_by_key(|member| member.user.is_some());
    let anns = GroupMember { connection: anns, user: Some(ann) };
    assert_eq!(listed, [GroupMember { connection: guest, user: None }, anns.clone()]);
    drop(guest_client);
    while members(&hub).await != [anns.clone()] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_long_list_has_pages_of_two_hundred() {
    let (hub, now) = (emulated_hub().await, SystemTime::now());
    let mut clients = Vec::new();
    for _ in 0..401 {
        let (id, client) = connect(&hub, None).await;
        assert!(hub.add_to_group(&group(), &id, now).await.unwrap());
        clients.push((id.as_str().to_owned(), client));
    }
    let (mut sizes, mut listed, mut next) = (Vec::new(), Vec::new(), None);
    loop {
        let page = hub.list_group(&group(), next.as_ref(), now).await.unwrap();
        sizes.push(page.members.len());
        listed.extend(page.members.into_iter().map(|member| member.connection.as_str().to_owned()));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [200, 200, 1]);
    let mut expected: Vec<_> = clients.into_iter().map(|(id, _)| id).collect();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

/// A service that responds to every request with `status`, `x-ms-error-code: {code}` and `body`; and its requests, as
/// `METHOD target audience`.
async fn scripted(status: u16, code: &'static str, body: &'static str) -> (Hub, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let recorded = requests.clone();
    let app = axum::Router::new().fallback(async move |request: Request| {
        let headers = request.headers();
        let token = headers["authorization"].to_str().unwrap().trim_start_matches("Bearer ");
        let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token).unwrap().claims;
        let length = headers.get("content-length").map_or("-", |length| length.to_str().unwrap()).to_owned();
        let line = format!("{} {} {} {length}", request.method(), request.uri(), claims["aud"].as_str().unwrap());
        recorded.lock().unwrap().push(line);
        let code = (!code.is_empty()).then_some((HeaderName::from_static("x-ms-error-code"), code));
        (StatusCode::from_u16(status).unwrap(), AppendHeaders(code), body)
    });
    let port = serve(app).await;
    let connection = format!("Endpoint=http://127.0.0.1:{port};AccessKey=k").parse().unwrap();
    (Hub::new(&connection, &"chat".parse().unwrap()).unwrap(), requests)
}

const NEXT_PAGE: &str = r#"{"value":[],"nextLink":"https://elsewhere.example/x?continuationToken=c%2F1"}"#;

#[tokio::test]
async fn each_operation_is_one_request_to_the_service_of_the_connection_string() {
    let (hub, requests) = scripted(200, "", NEXT_PAGE).await;
    let (id, now) = ("Ab/9".parse().unwrap(), SystemTime::now());
    hub.add_to_group(&group(), &id, now).await.unwrap();
    hub.remove_from_group(&group(), &id, now).await.unwrap();
    let first = hub.list_group(&group(), None, now).await.unwrap();
    hub.list_group(&group(), first.next.as_ref(), now).await.unwrap();
    let path = "/api/hubs/chat/groups/room:secret%2Fa%20b/connections";
    let base = "http://127.0.0.1";
    let list = format!("GET {path}?api-version=2024-12-01&maxpagesize=200");
    assert_eq!(
        *requests.lock().unwrap(),
        [
            format!("PUT {path}/Ab%2F9?api-version=2022-06-01 {base}{path}/Ab%2F9 0"),
            format!("DELETE {path}/Ab%2F9?api-version=2022-06-01 {base}{path}/Ab%2F9 -"),
            format!("{list} {base}{path} -"),
            format!("{list}&continuationToken=c%2F1 {base}{path} -"),
        ]
    );
}

#[tokio::test]
async fn only_the_services_own_404_means_that_a_connection_does_not_exist() {
    let (id, now) = ("secret-id".parse().unwrap(), SystemTime::now());
    for (status, code) in
        [(404, ""), (404, "Warning.Group.NotExisted"), (400, "Error.Connection.NotExisted"), (401, "")]
    {
        let (hub, requests) = scripted(status, code, "secret").await;
        let check = |error: Error| {
            assert_eq!(error.status(), Some(status), "{code}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        };
        check(hub.add_to_group(&group(), &id, now).await.unwrap_err());
        check(hub.remove_from_group(&group(), &id, now).await.unwrap_err());
        check(hub.list_group(&group(), None, now).await.unwrap_err());
        assert_eq!(requests.lock().unwrap().len(), 3, "{status} is not repeated");
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_repeated() {
    let (hub, requests) = scripted(503, "", "").await;
    let (id, now) = ("secret-id".parse().unwrap(), SystemTime::now());
    let error = hub.add_to_group(&group(), &id, now).await.unwrap_err();
    assert!(error.is_retryable());
    hub.remove_from_group(&group(), &id, now).await.unwrap_err();
    hub.list_group(&group(), None, now).await.unwrap_err();
    assert_eq!(requests.lock().unwrap().len(), 12);
}

#[tokio::test]
async fn a_response_that_is_no_list_is_an_error_without_its_text() {
    let (hub, _) = scripted(200, "", r#"{"value":["secret"]}"#).await;
    let error = hub.list_group(&group(), None, SystemTime::now()).await.unwrap_err();
    assert!(!error.is_retryable() && !format!("{error:?} {error}").contains("secret"), "{error:?}");
}
