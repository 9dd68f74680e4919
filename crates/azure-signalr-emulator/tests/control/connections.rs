//! Actions on connections: drop, freeze, expire, and restart.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::control_client::{act_on_all, list, post, start};
use crate::support::{DEADLINE, client_token};

#[tokio::test]
async fn a_dropped_socket_ends_without_a_close_message() {
    let service = start().await;
    let (_, mut client) = service.client_with_id().await;
    assert_eq!(act_on_all(&service, "drop").await, 1);
    assert_eq!(client.receive_until_end().await, (vec![], None));
    service.wait_until_empty().await;
    service.client().await;
}

#[tokio::test]
async fn a_dropped_client_with_stateful_reconnect_receives_missed_messages() {
    let service = start().await;
    let token = client_token(json!({}));
    let query = "&negotiateVersion=1&useStatefulReconnect=true";
    let answer: Value = service.negotiate(query, &token).await.json().await.unwrap();
    let path = format!("/client/?hub=chat&id={}", answer["connectionToken"].as_str().unwrap());
    let mut first = service.open(&path, Some(&token)).await.unwrap();
    first.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(first.receive().await, json!({}));
    assert_eq!(act_on_all(&service, "drop").await, 1);
    assert_eq!(first.receive_until_end().await, (vec![], None));
    service.broadcast("missed").await;
    assert_eq!(act_on_all(&service, "drop").await, 1, "it is away, and stays in its hub");
    let mut second = service.open(&path, Some(&token)).await.unwrap();
    assert_eq!(second.receive().await, json!({"type": 9, "sequenceId": 1}));
    assert_eq!(second.receive_argument().await, "missed");
}

#[tokio::test]
async fn a_frozen_connection_neither_reads_nor_writes() {
    let service = start().await;
    let (mut ann, mut bob) = (service.user("ann").await, service.user("bob").await);
    let selector = json!({"hub": "chat", "user": "ann"});
    assert_eq!(post(&service, "/emulator/connections/freeze", &selector).await, (200, json!({"connections": 1})));
    ann.send_text("{\"type\":1,\"target\":\"x\",\"invocationId\":\"1\",\"arguments\":[]}\u{1e}").await;
    service.broadcast("cold").await;
    assert_eq!(bob.receive_argument().await, "cold");
    let connections = list(&service, "connections").await;
    let frozen = connections.iter().find(|info| info["user"] == "ann").unwrap();
    assert_eq!((&frozen["frozen"], &frozen["queued"]), (&json!(true), &json!(1)));
    let messages = list(&service, "frames").await;
    assert!(!messages.iter().any(|frame| frame["direction"] == "fromClient" && frame["type"] == 1), "{messages:?}");

    assert_eq!(post(&service, "/emulator/connections/thaw", &selector).await.0, 200);
    let messages = [ann.receive().await, ann.receive().await];
    assert!(messages.contains(&json!({"type": 1, "target": "t", "arguments": ["cold"]})), "{messages:?}");
    assert!(messages.iter().any(|message| message["invocationId"] == "1"), "{messages:?}");
}

#[tokio::test]
async fn a_frozen_connection_can_still_be_dropped() {
    let service = start().await;
    let mut client = service.client().await;
    act_on_all(&service, "freeze").await;
    act_on_all(&service, "drop").await;
    assert_eq!(client.receive_until_end().await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn an_expired_connection_is_closed_and_may_reconnect() {
    let service = start().await;
    let mut client = service.client().await;
    assert_eq!(act_on_all(&service, "expire").await, 1);
    let (messages, code) = client.receive_until_end().await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!((&messages[0]["type"], &messages[0]["allowReconnect"], code), (&json!(7), &json!(true), Some(1000)));
}

#[tokio::test]
async fn connections_are_selected_by_hub_user_or_id() {
    let service = start().await;
    let (id, mut known) = service.client_with_id().await;
    let (mut ann, mut bob) = (service.user("ann").await, service.user("bob").await);
    for unknown in [json!({"hub": "news"}), json!({"hub": "chat", "user": "eve"}), json!({"connection": "x"})] {
        assert_eq!(post(&service, "/emulator/connections/drop", &unknown).await.0, 404, "{unknown}");
    }
    for invalid in [json!({}), json!({"user": "ann"}), json!({"hup": "chat"})] {
        assert_eq!(post(&service, "/emulator/connections/drop", &invalid).await.0, 400, "{invalid}");
    }
    assert_eq!(post(&service, "/emulator/connections/melt", &json!({"hub": "chat"})).await.0, 404);
    for selector in [json!({"hub": "chat", "user": "ann"}), json!({"connection": id})] {
        assert_eq!(post(&service, "/emulator/connections/drop", &selector).await, (200, json!({"connections": 1})));
    }
    assert_eq!(ann.receive_until_end().await, (vec![], None));
    assert_eq!(known.receive_until_end().await, (vec![], None));
    service.broadcast("still here").await;
    assert_eq!(bob.receive_argument().await, "still here");
}

#[tokio::test]
async fn a_restart_removes_all_state_and_clients_can_connect_again() {
    let service = start().await;
    let token = client_token(json!({}));
    let (_, waiting) = service.negotiated_ids(&token).await;
    let (id, mut client) = service.client_with_id().await;
    assert_eq!(post(&service, "/emulator/restart", &json!({})).await.0, 204);
    assert_eq!(client.receive_until_end().await, (vec![], None));
    let path = format!("/api/hubs/chat/connections/{id}?api-version=2022-06-01");
    assert_eq!(service.call(Method::HEAD, &path).send().await.unwrap().status(), 404);
    let unused = format!("/client/?hub=chat&id={waiting}");
    assert_eq!(service.open(&unused, Some(&token)).await.err().unwrap().0, 404);
    let mut next = service.client().await;
    service.broadcast("new").await;
    assert_eq!(timeout(DEADLINE, next.receive_argument()).await.unwrap(), "new");
}
