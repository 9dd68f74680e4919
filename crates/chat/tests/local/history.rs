//! Tests of the history of the local stack: what was said is there after the next start.

use std::fs;

use serde_json::{Value, json};

use crate::test_stack::{FREE_PORTS, TestStack, join, json_of};

async fn texts(stack: &TestStack, session: Option<&str>, query: &str) -> Vec<String> {
    let request = stack.get(&format!("/api/history?{query}"));
    let request = session.into_iter().fold(request, |request, token| request.header("x-zumo-auth", token));
    let page = json_of(request).await;
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_next_start_has_the_messages_of_the_one_before() {
    let mut stack = TestStack::start();
    assert_eq!(json_of(stack.get("/api/features")).await["history"], true);
    let ann = stack.sign_in("ann").await;
    let mut bob = join(&stack, None).await;
    let first = stack.send(Some(&ann), &json!({"text": "to everyone"})).await;
    let received = bob.before("to everyone").await;
    assert!(received.is_empty());
    stack.send(Some(&ann), &json!({"text": "in a room", "room": "Games"})).await;
    stack.send(Some(&ann), &json!({"text": "to bob", "recipient": "bob"})).await;
    stack.restart();
    // The sessions of the local sign-in end with the process.
    let ann = stack.sign_in("ann").await;
    assert_eq!(texts(&stack, None, "").await, ["to everyone"]);
    assert_eq!(texts(&stack, None, "room=games").await, ["in a room"]);
    assert_eq!(texts(&stack, Some(&ann), "private&with=bob").await, ["to bob"]);
    assert_eq!(json_of(stack.get("/api/rooms")).await, json!({"rooms": ["games"]}));
    let second = stack.send(Some(&ann), &json!({"text": "again"})).await;
    assert_eq!(second["at"], first["next"]);
    assert_eq!(texts(&stack, None, "").await, ["to everyone", "again"]);
    assert!(stack.path(".chat/history/rooms/everyone").is_dir());
}

#[tokio::test]
async fn the_folder_is_that_of_the_setting_and_off_is_none() {
    let stack = TestStack::with(&FREE_PORTS, &[("ChatHistory", "kept/here")]);
    stack.send(None, &json!({"text": "hi"})).await;
    assert!(stack.path("kept/here/rooms/everyone").is_dir() && !stack.path(".chat/history").exists());
    let stack = TestStack::with(&FREE_PORTS, &[("ChatHistory", "off")]);
    let answer = stack.send(None, &json!({"text": "hi"})).await;
    assert_eq!((answer.get("at"), stack.path(".chat/history").exists()), (None, false));
    let features: Value = json_of(stack.get("/api/features")).await;
    assert_eq!((&features["history"], &features["privateHistory"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_exits_with_78() {
    let stack = TestStack::with(&FREE_PORTS, &[("ChatHistory", "off")]);
    let file = stack.path("a-file");
    fs::write(&file, "").unwrap();
    let mut chat = crate::test_stack::start_chat(&FREE_PORTS, &[("ChatHistory", file.to_str().unwrap())]);
    assert_eq!(chat.end().code(), Some(78));
    let printed = chat.err.text();
    assert!(printed.contains("ChatHistory: cannot be used") && !printed.contains("a-file"), "{printed}");
}
