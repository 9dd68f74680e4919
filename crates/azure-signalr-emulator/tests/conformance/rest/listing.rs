//! The connections of a group, page by page.

use reqwest::Method;
use serde_json::{Value, json};

use super::{api, call, known_user, status};
use crate::support::{Client, House};

const VERSION: &str = "api-version=2024-12-01";

/// A group of four connections of ann and one of nobody: their ids in order, and that of nobody.
async fn five(house: &House) -> (Vec<String>, String, Vec<Client>) {
    let (anonymous, client) = house.known_client().await;
    let (mut ids, mut clients) = (vec![anonymous.clone()], vec![client]);
    for _ in 0..4 {
        let (id, client) = known_user(house, "ann").await;
        ids.push(id);
        clients.push(client);
    }
    for id in &ids {
        let path = api(&format!("hubs/chat/groups/a%2Fb/connections/{id}"));
        assert_eq!(status(house, Method::PUT, &path).await, 200);
    }
    ids.sort();
    (ids, anonymous, clients)
}

async fn page(house: &House, path: &str) -> Value {
    let response = call(house, Method::GET, path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

/// The ids on each page, by following the links.
async fn pages(house: &House, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = format!("/api/hubs/chat/groups/a%2Fb/connections?{query}{VERSION}");
    loop {
        let page = page(house, &path).await;
        let entries = page["value"].as_array().unwrap();
        let id = |entry: &Value| entry["connectionId"].as_str().unwrap().to_owned();
        pages.push(entries.iter().map(id).collect());
        let Some(next) = page.get("nextLink") else { return pages };
        let next = next.as_str().unwrap();
        path = next
            .strip_prefix(&house.url(""))
            .expect("an absolute link to the host that was called")
            .to_owned();
        assert!(path.contains("a%2Fb") && path.contains(VERSION), "{path}");
    }
}

#[tokio::test]
async fn case_70_and_defect_1_the_members_of_a_group_come_in_pages_and_in_order() {
    let house = House::start().await;
    let (ids, _, _clients) = five(&house).await;
    let sizes = async |query: &str| {
        let pages = pages(&house, query).await;
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
async fn case_70_a_user_is_named_and_nobody_is_not() {
    let house = House::start().await;
    let (ids, anonymous, _clients) = five(&house).await;
    let page = page(&house, &format!("/api/hubs/chat/groups/a%2Fb/connections?{VERSION}")).await;
    for (id, entry) in ids.iter().zip(page["value"].as_array().unwrap()) {
        let expected = if *id == anonymous {
            json!({"connectionId": id})
        } else {
            json!({"connectionId": id, "userId": "ann"})
        };
        assert_eq!(*entry, expected);
    }
}

#[tokio::test]
async fn case_70_sizes_have_their_limits_and_a_group_of_nobody_is_an_empty_page() {
    let house = House::start().await;
    for (query, target) in [
        ("maxpagesize=0", "maxpagesize"),
        ("maxpagesize=201", "maxpagesize"),
        ("maxpagesize=x", "maxpagesize"),
        ("top=0", "top"),
        ("top=-1", "top"),
    ] {
        let path = format!("/api/hubs/chat/groups/g/connections?{query}&{VERSION}");
        let response = call(&house, Method::GET, &path).await;
        assert_eq!(response.status(), 400, "{query}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], target);
    }
    let empty = page(&house, &format!("/api/hubs/chat/groups/g/connections?{VERSION}")).await;
    assert_eq!(empty, json!({"value": []}));
}

#[tokio::test]
async fn the_next_page_is_of_the_same_application() {
    let house = House::start().await;
    let audience = json!({"aud": "http://localhost/client/?hub=app_chat", "asrs.s.uid": "ann"});
    let token = crate::support::client_token(audience);
    let path = "/client/?hub=app_chat";
    let _clients = [house.client_of(path, &token).await, house.client_of(path, &token).await];
    let member = api("hubs/chat/users/ann/groups/g?application=app");
    assert_eq!(status(&house, Method::PUT, &member).await, 200);
    let path = format!("/api/hubs/chat/groups/g/connections?application=app&maxpagesize=1&{VERSION}");
    let next = page(&house, &path).await["nextLink"].as_str().unwrap().to_owned();
    let last = page(&house, next.strip_prefix(&house.url("")).unwrap()).await;
    assert_eq!(last["value"].as_array().unwrap().len(), 1);
}
