//! What is shown: who is there, and what was seen.

use std::net::Ipv4Addr;

use azure_signalr_emulator::{Options, TemplateSource, UpstreamOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::panel::{SEND, delete, get, journal, options, service};
use crate::support::{DEADLINE, TestService, client_token};

/// Waits until an entry of a list fits, and returns it.
async fn found(service: &TestService, list: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let searching = async {
        loop {
            if let Some(entry) = journal(service, list).await.into_iter().find(&fits) {
                return entry;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, searching).await.expect(list)
}

#[tokio::test]
async fn hubs_users_and_connections_are_told() {
    let service = service().await;
    let _clients = (service.user("ann").await, service.user("ann").await, service.client().await);
    let sights = journal(&service, "connections").await;
    assert_eq!(sights.len(), 3);
    let ann = sights.iter().find(|sight| sight["user"] == "ann").unwrap();
    assert_eq!(
        (&ann["hub"], &ann["transport"], &ann["protocol"], &ann["groups"], &ann["queued"]),
        (&json!("chat"), &json!("WebSockets"), &json!("json"), &json!([]), &json!(0))
    );
    assert!(ann["connectedAt"].as_u64().unwrap() > 1_700_000_000_000);
    let hubs = get(&service, "/emulator/hubs").await;
    assert_eq!(hubs, json!({"hubs": [{"hub": "chat", "connections": 3, "users": 1}]}));
    let users = journal(&service, "users").await;
    assert_eq!((users.len(), &users[0]["user"]), (1, &json!("ann")));
    assert_eq!(users[0]["connections"].as_array().unwrap().len(), 2);
    assert_eq!(get(&service, "/emulator/connections?hub=news").await, json!({"connections": []}));
}

#[tokio::test]
async fn groups_are_told_with_who_is_in_them() {
    let service = service().await;
    let (id, _client) = service.client_with_id().await;
    let path = format!("/api/hubs/chat/groups/red/connections/{id}?api-version=2022-06-01");
    assert_eq!(service.call(Method::PUT, &path).send().await.unwrap().status(), 200);
    let groups = get(&service, "/emulator/groups").await;
    assert_eq!(groups, json!({"groups": [{"hub": "chat", "group": "red", "connections": [id]}]}));
    assert_eq!(journal(&service, "connections").await[0]["groups"], json!(["red"]));
}

#[tokio::test]
async fn posts_to_the_upstream_are_told_without_their_keys() {
    // Whoever listened there has gone: nobody has to answer for a post to be told.
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let url = format!("http://127.0.0.1:{port}/hook/{{event}}?code=hush");
    let settings = json!({"UpstreamSettings": {"Templates": [{"UrlTemplate": url}]}}).to_string();
    let templates = TemplateSource::Fixed(settings.parse().unwrap());
    let upstream = Some(UpstreamOptions::new(templates));
    let service = TestService::with(Options { upstream, ..options() }).await;
    let _client = service.client().await;
    let post = found(&service, "posts", |post| post["event"] == "connected").await;
    assert_eq!((&post["hub"], &post["category"]), (&json!("chat"), &json!("connections")));
    assert_eq!(post["url"], format!("http://127.0.0.1:{port}/hook/connected"));
    assert!(post["outcome"].as_str().unwrap().contains("cannot be reached"), "{post}");
    assert!(!post.to_string().contains("hush"));
}

#[tokio::test]
async fn calls_are_told_with_what_became_of_them_and_without_their_tokens() {
    let service = service().await;
    let token = client_token(json!({}));
    let path = format!("/client/?hub=chat&access_token={token}&theme=dark");
    service.open(&path, None).await.unwrap();
    service.broadcast("x").await;
    let unsigned = service.request(Method::POST, SEND).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    let calls = journal(&service, "calls").await;
    let told = |index: usize| {
        let call = &calls[index];
        json!([call["method"], call["path"], call["query"], call["status"]])
    };
    assert_eq!(told(0), json!(["GET", "/client/", "hub=chat&theme=***", 101]));
    assert_eq!(told(1), json!(["POST", "/api/hubs/chat/:send", "api-version=2022-06-01", 202]));
    assert_eq!(told(2), json!(["POST", "/api/hubs/chat/:send", "api-version=2022-06-01", 401]));
    assert!(calls[2]["refusal"].as_str().unwrap().contains("token"), "{}", calls[2]);
    assert!(!Value::from(calls).to_string().contains(&token));
}

#[tokio::test]
async fn frames_are_told_in_both_directions_and_without_headers() {
    let service = service().await;
    let mut client = service.client().await;
    service.broadcast("hello").await;
    client.receive_argument().await;
    client
        .send_text(
            "{\"type\":1,\"target\":\"x\",\"headers\":{\"Authorization\":\"hush\"},\"arguments\":[5]}\u{1e}",
        )
        .await;
    let said =
        found(&service, "frames", |frame| frame["direction"] == "toClient" && frame["type"] == 1).await;
    let text = "{\"type\":1,\"target\":\"t\",\"arguments\":[\"hello\"]}";
    assert_eq!((&said["text"], &said["size"]), (&json!(text), &json!(text.len() + 1)));
    assert_eq!(said["hub"], "chat");
    let heard =
        found(&service, "frames", |frame| frame["direction"] == "fromClient" && frame["type"] == 1).await;
    assert!(heard["text"].as_str().unwrap().contains("[5]"), "{heard}");
    assert!(!Value::from(journal(&service, "frames").await).to_string().contains("hush"));
}

#[tokio::test]
async fn a_reader_can_ask_for_what_is_new_and_have_the_rest_forgotten() {
    let service = service().await;
    service.broadcast("a").await;
    service.broadcast("b").await;
    let last = journal(&service, "calls").await.last().unwrap()["number"].as_u64().unwrap();
    service.broadcast("c").await;
    let newer = get(&service, &format!("/emulator/calls?after={last}")).await;
    assert_eq!(newer["calls"].as_array().unwrap().len(), 1);
    assert_eq!(delete(&service, "/emulator/journal").await, 204);
    service.broadcast("d").await;
    let calls = journal(&service, "calls").await;
    assert_eq!((calls.len(), calls[0]["number"].as_u64().unwrap()), (1, last + 2));
    let refused = service.request(Method::GET, "/emulator/calls?after=x").send().await.unwrap();
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn the_journal_is_bounded() {
    let service = service().await;
    for _ in 0..1_010 {
        service.request(Method::HEAD, "/api/health").send().await.unwrap();
    }
    let calls = journal(&service, "calls").await;
    assert_eq!((calls.len(), &calls[0]["number"]), (1_000, &json!(11)));
}
