//! Many clients of one hub.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{House, client_token};

const CLIENTS: usize = 1_000;
const MESSAGES: u64 = 10;

#[tokio::test]
async fn case_91_a_thousand_clients_get_each_message_once_and_in_order() {
    let house = House::start().await;
    let token = client_token(json!({}));
    let mut readers = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = house.client_of("/client/?hub=chat", &token).await;
        readers.spawn(async move {
            let mut received = Vec::new();
            while received.last() != Some(&Value::from("end")) {
                received.push(client.argument().await);
            }
            received
        });
    }
    for number in 0..MESSAGES {
        let message = json!({"target": "t", "arguments": [number]});
        assert_eq!(house.send("/api/hubs/chat/:send?api-version=2022-06-01", &message).await, 202);
    }
    house.broadcast("end").await;
    let expected: Vec<Value> = (0..MESSAGES).map(Value::from).chain([Value::from("end")]).collect();
    let received = readers.join_all().await;
    assert_eq!(received.len(), CLIENTS);
    assert!(received.iter().all(|messages| *messages == expected));
}
