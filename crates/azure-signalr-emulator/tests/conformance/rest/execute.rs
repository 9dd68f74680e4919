//! `:execute`: commands for connections that match a filter.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::client_of_user;
use crate::support::TestService;

const PATH: &str = "/api/hubs/chat/:execute?api-version=2024-12-01";

async fn execute(service: &TestService, filter: Option<&str>, commands: &Value) -> Response {
    let filter = filter.map(|filter| form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>());
    let path = filter.map_or(PATH.to_owned(), |filter| format!("{PATH}&filter={filter}"));
    service.call(Method::POST, &path).json(commands).send().await.unwrap()
}

async fn execute_all(service: &TestService, filter: Option<&str>, commands: Value) {
    assert_eq!(execute(service, filter, &commands).await.status(), 202, "{commands}");
}

fn say(text: &str) -> Value {
    json!({"type": "SendMessage", "message": {"target": "t", "arguments": [text]}})
}

#[tokio::test]
async fn case_72_connections_that_match_the_filter_join_a_group() {
    let service = TestService::start().await;
    let (mut ann, mut bob) = (service.user("x-ann").await, service.user("y-bob").await);
    let join = json!([{"type": "JoinGroup", "group": "red"}]);
    execute_all(&service, Some("startswith(userId, 'x-')"), join).await;
    let send = "/api/hubs/chat/groups/red/:send?api-version=2024-12-01";
    assert_eq!(service.send(send, &json!({"target": "t", "arguments": ["red"]})).await, 202);
    service.broadcast("all").await;
    assert_eq!(ann.receive_argument().await, "red");
    assert_eq!(ann.receive_argument().await, "all");
    assert_eq!(bob.receive_argument().await, "all");
}

#[tokio::test]
async fn defect_1_commands_run_in_order_for_the_same_connections() {
    let service = TestService::start().await;
    let (mut ann, mut bob) = (service.user("ann").await, service.user("bob").await);
    execute_all(&service, Some("userId eq 'ann'"), json!([{"type": "JoinGroup", "group": "red"}])).await;
    let leave = json!({"type": "LeaveGroup", "group": "red"});
    execute_all(&service, Some("'red' in groups"), json!([say("one"), leave, say("two")])).await;
    execute_all(&service, Some("'red' in groups"), json!([say("unmatched")])).await;
    execute_all(&service, None, json!([say("everyone")])).await;
    for text in ["one", "two", "everyone"] {
        assert_eq!(ann.receive_argument().await, text);
    }
    assert_eq!(bob.receive_argument().await, "everyone");
}

#[tokio::test]
async fn a_closed_connection_gets_earlier_messages_and_no_later_ones() {
    let service = TestService::start().await;
    let (id, mut client) = client_of_user(&service, "ann").await;
    let mut other = service.user("bob").await;
    let filter = format!("connectionId eq '{id}'");
    let close = json!({"type": "CloseConnection", "reason": "enough"});
    execute_all(&service, Some(&filter), json!([say("before"), close, say("after")])).await;
    let (messages, code) = client.receive_until_end().await;
    assert_eq!(messages, [json!({"type": 1, "target": "t", "arguments": ["before"]}), json!({"type": 7})]);
    assert_eq!(code, Some(1000));
    service.broadcast("still here").await;
    assert_eq!(other.receive_argument().await, "still here");
}

#[tokio::test]
async fn an_invalid_command_is_named_and_none_runs() {
    let service = TestService::start().await;
    let mut client = service.user("ann").await;
    let good = json!([say("x")]);
    for (filter, commands, target, expected) in [
        (Some("userId eq"), good.clone(), "filter", "character 10"),
        (Some(" "), good, "filter", "leave it out"),
        (None, json!([say("x"), {"type": "Sing"}]), "commands", "command 2"),
        (None, json!({"type": "JoinGroup"}), "commands", "not a list of commands"),
    ] {
        let response = execute(&service, filter, &commands).await;
        assert_eq!(response.status(), 400, "{filter:?} {commands}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["target"], target);
        assert!(body["message"].as_str().unwrap().contains(expected), "{body}");
    }
    let text = service.call(Method::POST, PATH).header("content-type", "text/plain").body("[]");
    assert_eq!(text.send().await.unwrap().status(), 415);
    service.broadcast("first").await;
    assert_eq!(client.receive_argument().await, "first");
}
