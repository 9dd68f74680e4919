//! Faults that strike messages on their way to clients.

use serde_json::json;

use crate::panel::{delete, fault, house, journal, struck};

#[tokio::test]
async fn messages_to_a_hub_come_twice_to_everyone_and_then_once_again() {
    let house = house().await;
    let (mut one, mut other) = (house.client().await, house.client().await);
    fault(&house, json!({"on": "messages", "hub": "Chat", "effect": "duplicate", "times": 1})).await;
    for text in ["a", "b"] {
        house.broadcast(text).await;
    }
    for client in [&mut one, &mut other] {
        for text in ["a", "a", "b"] {
            assert_eq!(client.argument().await, text);
        }
    }
    assert_eq!(struck(&house).await, [1]);
}

#[tokio::test]
async fn two_messages_change_places() {
    let house = house().await;
    let mut client = house.client().await;
    fault(&house, json!({"on": "messages", "hub": "chat", "effect": "reorder", "times": 1})).await;
    for text in ["a", "b", "c"] {
        house.broadcast(text).await;
    }
    for text in ["b", "a", "c"] {
        assert_eq!(client.argument().await, text);
    }
}

#[tokio::test]
async fn messages_get_lost_until_the_fault_is_called_off() {
    let house = house().await;
    let mut client = house.client().await;
    let id = fault(&house, json!({"on": "messages", "hub": "chat", "effect": "drop"})).await;
    house.broadcast("a").await;
    house.broadcast("b").await;
    assert_eq!(struck(&house).await, [2]);
    delete(&house, &format!("/emulator/faults/{id}")).await;
    house.broadcast("c").await;
    assert_eq!(client.argument().await, "c");
}

#[tokio::test]
async fn one_connection_is_struck_and_the_others_are_not() {
    let house = house().await;
    let (id, mut struck) = house.known_client().await;
    let mut spared = house.client().await;
    let wish = json!({"on": "messages", "hub": "chat", "connection": id, "effect": "drop", "times": 1});
    fault(&house, wish).await;
    house.broadcast("a").await;
    house.broadcast("b").await;
    assert_eq!(struck.argument().await, "b");
    for text in ["a", "b"] {
        assert_eq!(spared.argument().await, text);
    }
    assert_eq!(journal(&house, "connections").await.len(), 2);
}
