//! A client that behaves, and checks that it receives every message to all clients once and in order.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::Client;
use crate::program::Program;

/// Types of messages of the hub protocol.
const INVOCATION: u64 = 1;
const PING: u64 = 6;
const ACK: u64 = 8;
const SEQUENCE: u64 = 9;

/// After so many messages a resumable client acknowledges, and after as many acknowledgements it loses its socket.
const ACK_INTERVAL: u64 = 50;
const ACKS_PER_SOCKET: u64 = 7;

/// Receives until the last message, then leaves. Returns how many numbered messages it has received.
pub(crate) async fn check(program: Arc<Program>, mut client: Client) -> u64 {
    let (mut received, mut last_number) = (0, 0);
    // The sequence id of the next message.
    let mut next = 1;
    loop {
        let message = client.receive().await.unwrap_or_else(|| panic!("a {:?} lost its connection", client.kind));
        match field(&message, "type", 0).as_u64().unwrap() {
            PING | ACK => continue,
            SEQUENCE => {
                next = field(&message, "sequenceId", 1).as_u64().unwrap();
                assert!(next <= received + 1, "messages are missing");
                continue;
            }
            kind => assert_eq!(kind, INVOCATION, "{message}"),
        }
        next += 1;
        if next <= received + 1 {
            continue;
        }
        received += 1;
        let arguments = field(&message, "arguments", 4);
        let Some(number) = arguments[0].as_u64() else { break };
        last_number += 1;
        assert_eq!(number, last_number, "a {:?} misses a message, or got it again", client.kind);
        if client.kind.is_resumable() && received.is_multiple_of(ACK_INTERVAL) {
            if (received / ACK_INTERVAL).is_multiple_of(ACKS_PER_SOCKET) {
                client.reconnect(&program).await;
                // It has sent no messages, so its next one is the first.
                send_number(&mut client, SEQUENCE, 1).await;
            } else {
                send_number(&mut client, ACK, received).await;
            }
        }
    }
    if client.kind.is_websocket() {
        client.close().await;
    } else {
        client.delete().await;
    }
    last_number
}

async fn send_number(client: &mut Client, kind: u64, number: u64) {
    client.send_message(json!({"type": kind, "sequenceId": number}), json!([kind, number])).await;
}

/// A property of a message in JSON, or the element of an array in MessagePack.
fn field<'a>(message: &'a Value, name: &str, index: usize) -> &'a Value {
    if message.is_array() { &message[index] } else { &message[name] }
}
