//! Closing connections: who is closed, who is spared, and what is heard last.

use reqwest::Method;
use serde_json::{Value, json};

use super::{absent, api, call, heard, hello, known, known_user, outcome, status, tell_group};
use crate::support::{Client, House};

/// All the client heard until its end, which came with a proper close.
async fn end_of(client: &mut Client) -> Vec<Value> {
    let (words, code) = client.last_words().await;
    assert_eq!(code, Some(1000));
    words
}

#[tokio::test]
async fn case_66_and_defect_2_a_closed_client_hears_why_only_if_its_token_says_so_and_is_not_told_to_return()
{
    let house = House::start().await;
    for (claims, last) in [
        (json!({}), json!({"type": 7})),
        (json!({"asrs.s.derror": "True"}), json!({"type": 7, "error": "be gone"})),
        (json!({"asrs.s.derror": "False"}), json!({"type": 7})),
    ] {
        let (id, mut client) = known(&house, claims).await;
        let path = api(&format!("hubs/chat/connections/{id}?reason=be+gone"));
        assert_eq!(status(&house, Method::DELETE, &path).await, 200);
        assert_eq!(end_of(&mut client).await, [last]);
    }
}

#[tokio::test]
async fn a_closed_client_is_told_to_return_where_the_service_is_set_so() {
    let options = azure_signalr_emulator::Options { reconnect_after_close: true, ..Default::default() };
    let house = House::with(options).await;
    let (id, mut one) = house.known_client().await;
    assert_eq!(status(&house, Method::DELETE, &api(&format!("hubs/chat/connections/{id}"))).await, 200);
    let mut all = house.client().await;
    assert_eq!(status(&house, Method::POST, &api("hubs/chat/:closeConnections")).await, 204);
    for client in [&mut one, &mut all] {
        assert_eq!(end_of(client).await, [json!({"type": 7, "allowReconnect": true})]);
    }
}

#[tokio::test]
async fn case_66_a_client_that_ignores_its_close_is_cut_off() {
    let options =
        azure_signalr_emulator::Options { close_timeout: std::time::Duration::ZERO, ..Default::default() };
    let house = House::with(options).await;
    let (id, _silent) = house.known_client().await;
    assert_eq!(status(&house, Method::DELETE, &api(&format!("hubs/chat/connections/{id}"))).await, 200);
    house.emptied().await;
}

#[tokio::test]
async fn what_was_sent_before_the_close_is_heard_before_it() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    house.broadcast("first").await;
    assert_eq!(status(&house, Method::DELETE, &api(&format!("hubs/chat/connections/{id}"))).await, 200);
    let words = end_of(&mut client).await;
    assert_eq!(words, [json!({"type": 1, "target": "t", "arguments": ["first"]}), json!({"type": 7})]);
}

#[tokio::test]
async fn a_closed_connection_is_gone_at_once_and_cannot_be_closed_again() {
    let house = House::start().await;
    for (path, query, accepted) in [
        ("/api", "?api-version=2020-10-01", 200),
        ("/api", "?api-version=2024-12-01", 200),
        ("/api/v1", "", 202),
    ] {
        let (id, _client) = house.known_client().await;
        let path = format!("{path}/hubs/chat/connections/{id}{query}");
        assert_eq!(outcome(&house, Method::DELETE, &path).await, (accepted, None), "{path}");
        let gone = absent("Warning.Connection.NotExisted");
        assert_eq!(outcome(&house, Method::HEAD, &path).await, gone);
        assert_eq!(outcome(&house, Method::DELETE, &path).await, gone);
    }
}

#[tokio::test]
async fn case_67_and_defect_2_all_of_a_hub_a_group_or_a_user_are_closed_but_the_excluded() {
    let house = House::start().await;
    for target in ["hubs/chat", "hubs/chat/groups/g", "hubs/chat/users/ann"] {
        let (spared, mut kept) = known_user(&house, "ann").await;
        let (id, mut closed) = known_user(&house, "ann").await;
        for id in [&spared, &id] {
            let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
            assert_eq!(status(&house, Method::PUT, &path).await, 200);
        }
        let path = api(&format!("{target}/:closeConnections?excluded={spared}&excluded=x&reason=r"));
        let response = call(&house, Method::POST, &path).await;
        assert_eq!(response.status(), 204, "{target}");
        assert_eq!(response.text().await.unwrap(), "");
        assert_eq!(end_of(&mut closed).await, [json!({"type": 7})], "{target}");
        tell_group(&house, "g", "still here").await;
        assert!(heard(&mut kept, "still here").await, "{target}");
        assert_eq!(status(&house, Method::POST, &api("hubs/chat/:closeConnections")).await, 204);
        assert_eq!(end_of(&mut kept).await.last(), Some(&json!({"type": 7})));
    }
}

#[tokio::test]
async fn case_67_others_stay_and_that_there_is_nobody_to_close_is_no_error() {
    let house = House::start().await;
    let mut bob = house.user("bob").await;
    for target in ["hubs/other", "hubs/chat/groups/g", "hubs/chat/users/ann"] {
        let path = api(&format!("{target}/:closeConnections"));
        let request = house.call(Method::POST, &path).json(&json!({"any": "body"}));
        assert_eq!(request.send().await.unwrap().status(), 204, "{target}");
    }
    assert_eq!(house.send(&api("hubs/chat/:send"), &hello("still here")).await, 202);
    assert_eq!(bob.argument().await, "still here");
}
