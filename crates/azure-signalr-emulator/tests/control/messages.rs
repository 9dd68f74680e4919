//! Faults that strike messages on their way to clients.

use serde_json::json;

use crate::panel::{delete, fault, journal, service, struck};

#[tokio::test]
async fn messages_to_a_hub_come_twice_to_everyone_and_then_once_again() {
    let service = service().await;
    let (mut one, mut other) = (service.client().await, service.client().await);
    fault(&service, json!({"on": "messages", "hub": "Chat", "effect": "duplicate", "times": 1})).await;
    for text in ["a", "b"] {
        service.broadcast(text).await;
    }
    for client in [&mut one, &mut other] {
        for text in ["a", "a", "b"] {
            assert_eq!(client.receive_argument().await, text);
        }
    }
    assert_eq!(struck(&service).await, [1]);
}

#[tokio::test]
async fn two_messages_change_places() {
    let service = service().await;
    let mut client = service.client().await;
    fault(&service, json!({"on": "messages", "hub": "chat", "effect": "reorder", "times": 1})).await;
    for text in ["a", "b", "c"] {
        service.broadcast(text).await;
    }
    for text in ["b", "a", "c"] {
        assert_eq!(client.receive_argument().await, text);
    }
}

#[tokio::test]
async fn messages_get_lost_until_the_fault_is_called_off() {
    let service = service().await;
    let mut client = service.client().await;
    let id = fault(&service, json!({"on": "messages", "hub": "chat", "effect": "drop"})).await;
    service.broadcast("a").await;
    service.broadcast("b").await;
    assert_eq!(struck(&service).await, [2]);
    delete(&service, &format!("/emulator/faults/{id}")).await;
    service.broadcast("c").await;
    assert_eq!(client.receive_argument().await, "c");
}

#[tokio::test]
async fn one_connection_is_struck_and_the_others_are_not() {
    let service = service().await;
    let (id, mut struck) = service.client_with_id().await;
    let mut spared = service.client().await;
    let wish = json!({"on": "messages", "hub": "chat", "connection": id, "effect": "drop", "times": 1});
    fault(&service, wish).await;
    service.broadcast("a").await;
    service.broadcast("b").await;
    assert_eq!(struck.receive_argument().await, "b");
    for text in ["a", "b"] {
        assert_eq!(spared.receive_argument().await, text);
    }
    assert_eq!(journal(&service, "connections").await.len(), 2);
}
