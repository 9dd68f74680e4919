//! The lists of the control API, and the access to it.

use std::net::Ipv4Addr;

use azure_signalr_emulator::{Emulator, Options, TemplateSource, UpstreamOptions};
use reqwest::{Method, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::control_client::{SEND, TestService, delete, get, list, options, start};
use crate::support::{DEADLINE, client_token};

/// Waits for an entry of a list that matches.
async fn wait_for(service: &TestService, name: &str, matches: impl Fn(&Value) -> bool) -> Value {
    let searching = async {
        loop {
            if let Some(entry) = list(service, name).await.into_iter().find(&matches) {
                return entry;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, searching).await.expect(name)
}

#[tokio::test]
async fn hubs_users_and_connections_are_listed() {
    let service = start().await;
    let _clients = (service.user("ann").await, service.user("ann").await, service.client().await);
    let connections = list(&service, "connections").await;
    assert_eq!(connections.len(), 3);
    let ann = connections.iter().find(|info| info["user"] == "ann").unwrap();
    assert_eq!(
        (&ann["hub"], &ann["transport"], &ann["protocol"], &ann["groups"], &ann["queued"]),
        (&json!("chat"), &json!("WebSockets"), &json!("json"), &json!([]), &json!(0))
    );
    assert!(ann["connectedAt"].as_u64().unwrap() > 1_700_000_000_000);
    let hubs = get(&service, "/emulator/hubs").await;
    assert_eq!(hubs, json!({"hubs": [{"hub": "chat", "connections": 3, "users": 1}]}));
    let users = list(&service, "users").await;
    assert_eq!((users.len(), &users[0]["user"]), (1, &json!("ann")));
    assert_eq!(users[0]["connections"].as_array().unwrap().len(), 2);
    assert_eq!(get(&service, "/emulator/connections?hub=news").await, json!({"connections": []}));
}

#[tokio::test]
async fn groups_are_listed_with_their_connections() {
    let service = start().await;
    let (id, _client) = service.client_with_id().await;
    let path = format!("/api/hubs/chat/groups/red/connections/{id}?api-version=2022-06-01");
    assert_eq!(service.call(Method::PUT, &path).send().await.unwrap().status(), 200);
    let groups = get(&service, "/emulator/groups").await;
    assert_eq!(groups, json!({"groups": [{"hub": "chat", "group": "red", "connections": [id]}]}));
    assert_eq!(list(&service, "connections").await[0]["groups"], json!(["red"]));
}

#[tokio::test]
async fn upstream_posts_are_listed_without_their_keys() {
    // A post is recorded even if no server listens.
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let url = format!("http://127.0.0.1:{port}/hook/{{event}}?code=secret");
    let settings = json!({"UpstreamSettings": {"Templates": [{"UrlTemplate": url}]}}).to_string();
    let templates = TemplateSource::Fixed(settings.parse().unwrap());
    let upstream = Some(UpstreamOptions::new(templates));
    let service = TestService::with(Options { upstream, ..options() }).await;
    let _client = service.client().await;
    let post = wait_for(&service, "posts", |post| post["event"] == "connected").await;
    assert_eq!((&post["hub"], &post["category"]), (&json!("chat"), &json!("connections")));
    assert_eq!(post["url"], format!("http://127.0.0.1:{port}/hook/connected"));
    assert!(post["outcome"].as_str().unwrap().contains("cannot be reached"), "{post}");
    assert!(!post.to_string().contains("secret"));
}

#[tokio::test]
async fn requests_are_listed_with_their_status_and_without_tokens() {
    let service = start().await;
    let token = client_token(json!({}));
    let path = format!("/client/?hub=chat&access_token={token}&theme=dark");
    service.open(&path, None).await.unwrap();
    service.broadcast("x").await;
    let unsigned = service.request(Method::POST, SEND).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    let calls = list(&service, "calls").await;
    let recorded = |index: usize| {
        let call = &calls[index];
        json!([call["method"], call["path"], call["query"], call["status"]])
    };
    assert_eq!(recorded(0), json!(["GET", "/client/", "hub=chat&theme=***", 101]));
    assert_eq!(recorded(1), json!(["POST", "/api/hubs/chat/:send", "api-version=2022-06-01", 202]));
    assert_eq!(recorded(2), json!(["POST", "/api/hubs/chat/:send", "api-version=2022-06-01", 401]));
    assert!(calls[2]["refusal"].as_str().unwrap().contains("token"), "{}", calls[2]);
    assert!(!Value::from(calls).to_string().contains(&token));
}

#[tokio::test]
async fn messages_are_listed_in_both_directions_and_without_headers() {
    let service = start().await;
    let mut client = service.client().await;
    service.broadcast("hello").await;
    client.receive_argument().await;
    client
        .send_text("{\"type\":1,\"target\":\"x\",\"headers\":{\"Authorization\":\"secret\"},\"arguments\":[5]}\u{1e}")
        .await;
    let sent = wait_for(&service, "frames", |frame| frame["direction"] == "toClient" && frame["type"] == 1).await;
    let text = "{\"type\":1,\"target\":\"t\",\"arguments\":[\"hello\"]}";
    assert_eq!((&sent["text"], &sent["size"]), (&json!(text), &json!(text.len() + 1)));
    assert_eq!(sent["hub"], "chat");
    let received = wait_for(&service, "frames", |frame| frame["direction"] == "fromClient" && frame["type"] == 1).await;
    assert!(received["text"].as_str().unwrap().contains("[5]"), "{received}");
    assert!(!Value::from(list(&service, "frames").await).to_string().contains("secret"));
}

#[tokio::test]
async fn newer_entries_can_be_listed_and_all_entries_removed() {
    let service = start().await;
    service.broadcast("a").await;
    service.broadcast("b").await;
    let last = list(&service, "calls").await.last().unwrap()["number"].as_u64().unwrap();
    service.broadcast("c").await;
    let newer = get(&service, &format!("/emulator/calls?after={last}")).await;
    assert_eq!(newer["calls"].as_array().unwrap().len(), 1);
    assert_eq!(delete(&service, "/emulator/journal").await, 204);
    service.broadcast("d").await;
    let calls = list(&service, "calls").await;
    assert_eq!((calls.len(), calls[0]["number"].as_u64().unwrap()), (1, last + 2));
    let invalid = service.request(Method::GET, "/emulator/calls?after=x").send().await.unwrap();
    assert_eq!(invalid.status(), 400);
}

#[tokio::test]
async fn the_traffic_log_is_bounded() {
    let service = start().await;
    for _ in 0..1_010 {
        service.request(Method::HEAD, "/api/health").send().await.unwrap();
    }
    let calls = list(&service, "calls").await;
    assert_eq!((calls.len(), &calls[0]["number"]), (1_000, &json!(11)));
}

#[tokio::test]
async fn without_the_option_the_control_api_does_not_exist() {
    let service = TestService::start().await;
    for path in ["/emulator/", "/emulator/connections", "/emulator/faults"] {
        assert_eq!(service.request(Method::GET, path).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(service.request(Method::POST, "/emulator/restart").json(&json!({})).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_manual_is_at_the_root_and_unknown_paths_name_it() {
    let service = start().await;
    let manual = service.request(Method::GET, "/emulator/").send().await.unwrap().text().await.unwrap();
    for call in ["/emulator/faults", "/emulator/restart", "/emulator/connections/freeze", "/emulator/frames"] {
        assert!(manual.contains(call), "{call}");
    }
    let unknown = service.request(Method::GET, "/emulator/what").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.text().await.unwrap().contains("GET /emulator/"));
}

#[tokio::test]
async fn pages_of_other_origins_other_hosts_and_forms_are_rejected() {
    let service = start().await;
    let get = || service.request(Method::GET, "/emulator/connections");
    let page = get().header(header::ORIGIN, "https://page.example").send().await.unwrap();
    assert_eq!(page.status(), 403);
    assert_eq!(page.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
    let rebound = get().header(header::HOST, "page.example").send().await.unwrap();
    assert_eq!(rebound.status(), 421);
    let form = service.request(Method::POST, "/emulator/restart").body("{}");
    let form = form.header(header::CONTENT_TYPE, "text/plain").send().await.unwrap();
    assert_eq!(form.status(), 415);
    assert_eq!(get().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_that_passes_on_the_peer_address_is_accepted() {
    let emulator = Emulator::new(options());
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = tokio::spawn(async move { emulator.serve(vec![socket], std::future::pending()).await });
    let url = format!("http://{address}/emulator/hubs");
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    server.abort();
}
