//! Finding, listing and closing connections.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api, call, client_of_user, client_with_claims, message, not_found, received, send_to_group, status, status_and_code,
};
use crate::support::{Client, TestService};

#[tokio::test]
async fn case_59_and_defect_3_existing_targets_are_200_and_others_404_with_a_code() {
    let (service, id, _client) = TestService::with_client_id().await;
    let _alice = service.user("alice").await;
    let member = api(&format!("hubs/chat/groups/g/connections/{id}"));
    assert_eq!(status(&service, Method::PUT, &member).await, 200);
    for (method, prefix, query) in [
        (Method::HEAD, "/api/hubs", "?api-version=2022-06-01"),
        (Method::HEAD, "/api/v1/hubs", ""),
        (Method::GET, "/api/v1/hubs", ""),
    ] {
        let ask =
            async |rest: &str| status_and_code(&service, method.clone(), &format!("{prefix}/{rest}{query}")).await;
        assert_eq!(ask(&format!("chat/connections/{id}")).await, (200, None));
        assert_eq!(ask(&format!("other/connections/{id}")).await, not_found("Warning.Connection.NotExisted"));
        assert_eq!(ask("chat/users/alice").await, (200, None));
        assert_eq!(ask("chat/users/bob").await, not_found("Warning.User.NotExisted"));
        assert_eq!(ask("chat/groups/g").await, (200, None));
        assert_eq!(ask("chat/groups/h").await, not_found("Warning.Group.NotExisted"));
    }
    assert_eq!(status(&service, Method::GET, &api("hubs/chat/users/alice")).await, 405);
}

#[tokio::test]
async fn case_68_and_defect_13_health_needs_no_token() {
    let service = TestService::start().await;
    for path in ["/api/health?api-version=2022-06-01", "/api/v1/health"] {
        for method in [Method::HEAD, Method::GET] {
            assert_eq!(service.request(method, path).send().await.unwrap().status(), 200, "{path}");
        }
    }
}

const LISTING_VERSION: &str = "api-version=2024-12-01";

/// A group of four connections of ann and an anonymous one: their ids in order, and that of the anonymous one.
async fn five(service: &TestService) -> (Vec<String>, String, Vec<Client>) {
    let (anonymous, client) = service.client_with_id().await;
    let (mut ids, mut clients) = (vec![anonymous.clone()], vec![client]);
    for _ in 0..4 {
        let (id, client) = client_of_user(service, "ann").await;
        ids.push(id);
        clients.push(client);
    }
    for id in &ids {
        let path = api(&format!("hubs/chat/groups/a%2Fb/connections/{id}"));
        assert_eq!(status(service, Method::PUT, &path).await, 200);
    }
    ids.sort();
    (ids, anonymous, clients)
}

async fn page(service: &TestService, path: &str) -> Value {
    let response = call(service, Method::GET, path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

/// The ids on each page, by following the links.
async fn pages(service: &TestService, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = format!("/api/hubs/chat/groups/a%2Fb/connections?{query}{LISTING_VERSION}");
    loop {
        let page = page(service, &path).await;
        let entries = page["value"].as_array().unwrap();
        let id = |entry: &Value| entry["connectionId"].as_str().unwrap().to_owned();
        pages.push(entries.iter().map(id).collect());
        let Some(next) = page.get("nextLink") else { return pages };
        let next = next.as_str().unwrap();
        path = next.strip_prefix(&service.url("")).expect("an absolute link to the host that was called").to_owned();
        assert!(path.contains("a%2Fb") && path.contains(LISTING_VERSION), "{path}");
    }
}

#[tokio::test]
async fn case_70_and_defect_1_the_connections_of_a_group_are_listed_in_pages_and_in_order() {
    let service = TestService::start().await;
    let (ids, _, _clients) = five(&service).await;
    let sizes = async |query: &str| {
        let pages = pages(&service, query).await;
        let all = pages.concat();
        assert_eq!(all, ids[..all.len()], "{query}");
        pages.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes("").await, [5]);
    assert_eq!(sizes("maxpagesize=2&").await, [2, 2, 1]);
    assert_eq!(sizes("maxpagesize=5&").await, [5]);
    assert_eq!(sizes("top=3&").await, [3]);
    assert_eq!(sizes("top=3&maxpagesize=2&").await, [2, 1]);
    assert_eq!(sizes("top=9&maxpagesize=200&").await, [5]);
}

#[tokio::test]
async fn case_70_entries_have_a_user_id_if_there_is_a_user() {
    let service = TestService::start().await;
    let (ids, anonymous, _clients) = five(&service).await;
    let page = page(&service, &format!("/api/hubs/chat/groups/a%2Fb/connections?{LISTING_VERSION}")).await;
    for (id, entry) in ids.iter().zip(page["value"].as_array().unwrap()) {
        let expected =
            if *id == anonymous { json!({"connectionId": id}) } else { json!({"connectionId": id, "userId": "ann"}) };
        assert_eq!(*entry, expected);
    }
}

#[tokio::test]
async fn case_70_page_sizes_are_checked_and_an_empty_group_is_an_empty_page() {
    let service = TestService::start().await;
    for (query, target) in [
        ("maxpagesize=0", "maxpagesize"),
        ("maxpagesize=201", "maxpagesize"),
        ("maxpagesize=x", "maxpagesize"),
        ("top=0", "top"),
        ("top=-1", "top"),
    ] {
        let path = format!("/api/hubs/chat/groups/g/connections?{query}&{LISTING_VERSION}");
        let response = call(&service, Method::GET, &path).await;
        assert_eq!(response.status(), 400, "{query}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], target);
    }
    let empty = page(&service, &format!("/api/hubs/chat/groups/g/connections?{LISTING_VERSION}")).await;
    assert_eq!(empty, json!({"value": []}));
}

#[tokio::test]
async fn the_next_link_keeps_the_application() {
    let service = TestService::start().await;
    let audience = json!({"aud": "http://localhost/client/?hub=app_chat", "asrs.s.uid": "ann"});
    let token = crate::support::client_token(audience);
    let path = "/client/?hub=app_chat";
    let _clients = [service.connect(path, &token).await, service.connect(path, &token).await];
    let member = api("hubs/chat/users/ann/groups/g?application=app");
    assert_eq!(status(&service, Method::PUT, &member).await, 200);
    let path = format!("/api/hubs/chat/groups/g/connections?application=app&maxpagesize=1&{LISTING_VERSION}");
    let next = page(&service, &path).await["nextLink"].as_str().unwrap().to_owned();
    let last = page(&service, next.strip_prefix(&service.url("")).unwrap()).await;
    assert_eq!(last["value"].as_array().unwrap().len(), 1);
}

/// All messages of the client until its end, which has close code 1000.
async fn end_of(client: &mut Client) -> Vec<Value> {
    let (messages, code) = client.receive_until_end().await;
    assert_eq!(code, Some(1000));
    messages
}

#[tokio::test]
async fn case_66_and_defect_2_a_close_message_has_the_reason_if_the_token_allows_it() {
    let service = TestService::start().await;
    for (claims, last) in [
        (json!({}), json!({"type": 7})),
        (json!({"asrs.s.derror": "True"}), json!({"type": 7, "error": "a reason"})),
        (json!({"asrs.s.derror": "False"}), json!({"type": 7})),
    ] {
        let (id, mut client) = client_with_claims(&service, claims).await;
        let path = api(&format!("hubs/chat/connections/{id}?reason=a+reason"));
        assert_eq!(status(&service, Method::DELETE, &path).await, 200);
        assert_eq!(end_of(&mut client).await, [last]);
    }
}

#[tokio::test]
async fn a_closed_client_may_reconnect_if_the_options_say_so() {
    let options = azure_signalr_emulator::Options { reconnect_after_close: true, ..Default::default() };
    let service = TestService::with(options).await;
    let (id, mut one) = service.client_with_id().await;
    assert_eq!(status(&service, Method::DELETE, &api(&format!("hubs/chat/connections/{id}"))).await, 200);
    let mut all = service.client().await;
    assert_eq!(status(&service, Method::POST, &api("hubs/chat/:closeConnections")).await, 204);
    for client in [&mut one, &mut all] {
        assert_eq!(end_of(client).await, [json!({"type": 7, "allowReconnect": true})]);
    }
}

#[tokio::test]
async fn case_66_a_client_that_ignores_a_close_message_is_disconnected() {
    let options = azure_signalr_emulator::Options { close_timeout: std::time::Duration::ZERO, ..Default::default() };
    let service = TestService::with(options).await;
    let (id, _silent) = service.client_with_id().await;
    assert_eq!(status(&service, Method::DELETE, &api(&format!("hubs/chat/connections/{id}"))).await, 200);
    service.wait_until_empty().await;
}

#[tokio::test]
async fn queued_messages_arrive_before_the_close_message() {
    let (service, id, mut client) = TestService::with_client_id().await;
    service.broadcast("first").await;
    assert_eq!(status(&service, Method::DELETE, &api(&format!("hubs/chat/connections/{id}"))).await, 200);
    let messages = end_of(&mut client).await;
    assert_eq!(messages, [json!({"type": 1, "target": "t", "arguments": ["first"]}), json!({"type": 7})]);
}

#[tokio::test]
async fn a_closed_connection_is_gone_at_once_and_cannot_be_closed_again() {
    let service = TestService::start().await;
    for (path, query, accepted) in
        [("/api", "?api-version=2020-10-01", 200), ("/api", "?api-version=2024-12-01", 200), ("/api/v1", "", 202)]
    {
        let (id, _client) = service.client_with_id().await;
        let path = format!("{path}/hubs/chat/connections/{id}{query}");
        assert_eq!(status_and_code(&service, Method::DELETE, &path).await, (accepted, None), "{path}");
        let unknown = not_found("Warning.Connection.NotExisted");
        assert_eq!(status_and_code(&service, Method::HEAD, &path).await, unknown);
        assert_eq!(status_and_code(&service, Method::DELETE, &path).await, unknown);
    }
}

#[tokio::test]
async fn case_67_and_defect_2_hubs_groups_and_users_are_closed_except_excluded_connections() {
    let service = TestService::start().await;
    for target in ["hubs/chat", "hubs/chat/groups/g", "hubs/chat/users/ann"] {
        let (spared, mut kept) = client_of_user(&service, "ann").await;
        let (id, mut closed) = client_of_user(&service, "ann").await;
        for id in [&spared, &id] {
            let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
            assert_eq!(status(&service, Method::PUT, &path).await, 200);
        }
        let path = api(&format!("{target}/:closeConnections?excluded={spared}&excluded=x&reason=r"));
        let response = call(&service, Method::POST, &path).await;
        assert_eq!(response.status(), 204, "{target}");
        assert_eq!(response.text().await.unwrap(), "");
        assert_eq!(end_of(&mut closed).await, [json!({"type": 7})], "{target}");
        send_to_group(&service, "g", "still here").await;
        assert!(received(&mut kept, "still here").await, "{target}");
        assert_eq!(status(&service, Method::POST, &api("hubs/chat/:closeConnections")).await, 204);
        assert_eq!(end_of(&mut kept).await.last(), Some(&json!({"type": 7})));
    }
}

#[tokio::test]
async fn case_67_other_connections_stay_and_an_empty_target_is_no_error() {
    let service = TestService::start().await;
    let mut bob = service.user("bob").await;
    for target in ["hubs/other", "hubs/chat/groups/g", "hubs/chat/users/ann"] {
        let path = api(&format!("{target}/:closeConnections"));
        let request = service.call(Method::POST, &path).json(&json!({"any": "body"}));
        assert_eq!(request.send().await.unwrap().status(), 204, "{target}");
    }
    assert_eq!(service.send(&api("hubs/chat/:send"), &message("still here")).await, 202);
    assert_eq!(bob.receive_argument().await, "still here");
}
