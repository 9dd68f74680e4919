//! Commands for all connections that a filter is true of.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::known_user;
use crate::support::House;

const PATH: &str = "/api/hubs/chat/:execute?api-version=2024-12-01";

async fn execute(house: &House, filter: Option<&str>, commands: &Value) -> Response {
    let filter = filter.map(|filter| form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>());
    let path = filter.map_or(PATH.to_owned(), |filter| format!("{PATH}&filter={filter}"));
    house.call(Method::POST, &path).json(commands).send().await.unwrap()
}

async fn done(house: &House, filter: Option<&str>, commands: Value) {
    assert_eq!(execute(house, filter, &commands).await.status(), 202, "{commands}");
}

fn say(text: &str) -> Value {
    json!({"type": "SendMessage", "message": {"target": "t", "arguments": [text]}})
}

#[tokio::test]
async fn case_72_who_matches_the_filter_joins_a_group() {
    let house = House::start().await;
    let (mut ann, mut bob) = (house.user("x-ann").await, house.user("y-bob").await);
    let join = json!([{"type": "JoinGroup", "group": "red"}]);
    done(&house, Some("startswith(userId, 'x-')"), join).await;
    let send = "/api/hubs/chat/groups/red/:send?api-version=2024-12-01";
    assert_eq!(house.send(send, &json!({"target": "t", "arguments": ["red"]})).await, 202);
    house.broadcast("all").await;
    assert_eq!(ann.argument().await, "red");
    assert_eq!(ann.argument().await, "all");
    assert_eq!(bob.argument().await, "all");
}

#[tokio::test]
async fn defect_1_all_commands_are_done_in_their_order_and_to_the_same_connections() {
    let house = House::start().await;
    let (mut ann, mut bob) = (house.user("ann").await, house.user("bob").await);
    done(&house, Some("userId eq 'ann'"), json!([{"type": "JoinGroup", "group": "red"}])).await;
    let leave = json!({"type": "LeaveGroup", "group": "red"});
    done(&house, Some("'red' in groups"), json!([say("one"), leave, say("two")])).await;
    done(&house, Some("'red' in groups"), json!([say("nobody")])).await;
    done(&house, None, json!([say("everyone")])).await;
    for text in ["one", "two", "everyone"] {
        assert_eq!(ann.argument().await, text);
    }
    assert_eq!(bob.argument().await, "everyone");
}

#[tokio::test]
async fn who_is_closed_hears_what_was_said_before_and_nothing_after() {
    let house = House::start().await;
    let (id, mut client) = known_user(&house, "ann").await;
    let mut other = house.user("bob").await;
    let filter = format!("connectionId eq '{id}'");
    let close = json!({"type": "CloseConnection", "reason": "enough"});
    done(&house, Some(&filter), json!([say("before"), close, say("after")])).await;
    let (words, code) = client.last_words().await;
    assert_eq!(words, [json!({"type": 1, "target": "t", "arguments": ["before"]}), json!({"type": 7})]);
    assert_eq!(code, Some(1000));
    house.broadcast("still here").await;
    assert_eq!(other.argument().await, "still here");
}

#[tokio::test]
async fn a_mistake_is_told_where_it_is_and_nothing_is_done() {
    let house = House::start().await;
    let mut client = house.user("ann").await;
    let good = json!([say("x")]);
    for (filter, commands, target, words) in [
        (Some("userId eq"), good.clone(), "filter", "character 10"),
        (Some(" "), good, "filter", "leave it out"),
        (None, json!([say("x"), {"type": "Sing"}]), "commands", "command 2"),
        (None, json!({"type": "JoinGroup"}), "commands", "no list of commands"),
    ] {
        let response = execute(&house, filter, &commands).await;
        assert_eq!(response.status(), 400, "{filter:?} {commands}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["target"], target);
        assert!(body["message"].as_str().unwrap().contains(words), "{body}");
    }
    let text = house.call(Method::POST, PATH).header("content-type", "text/plain").body("[]");
    assert_eq!(text.send().await.unwrap().status(), 415);
    house.broadcast("first").await;
    assert_eq!(client.argument().await, "first");
}
