//! Clients that connect, do something, and leave in one of many ways.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::client::{ALL_KINDS, Client};
use crate::program::Program;

/// How long a visitor reads, or does not read.
const STAY: Duration = Duration::from_millis(300);

/// More than the limit for messages of clients.
const TOO_MANY_BYTES: usize = (1 << 20) + 2_000;

/// One visit. Its number chooses the kind of the client, what it does and how it leaves.
pub(crate) async fn visit(program: &Program, number: u64) {
    let choose = |index: u64, count: u64| number / 7_u64.pow(index as u32) % count;
    let kind = ALL_KINDS[(number % ALL_KINDS.len() as u64) as usize];
    if choose(1, 9) == 0 {
        // Leaves before the handshake.
        drop(Client::open(program, kind).await);
        return;
    }
    let mut client = Client::connect(program, kind).await;
    let connection = format!("connections/{}", client.id);
    let message = json!({"target": "one", "arguments": ["x".repeat(100_000)]});
    match choose(2, 7) {
        0 => {
            let member = format!("groups/g/connections/{}", client.id);
            program.call(Method::PUT, &member, json!({})).await;
            program.call(Method::POST, "groups/g/:send", message).await;
        }
        1 => {
            // Stalls while more is sent than its socket holds, then goes on or leaves.
            for _ in 0..20 {
                program.call(Method::POST, &format!("{connection}/:send"), message.clone()).await;
            }
        }
        2 => {
            // A caller that gives up waiting for a result that does not come.
            let _ = timeout(STAY, program.call(Method::POST, &format!("{connection}/:invoke"), message)).await;
        }
        3 => {
            let invocation = json!({"type": 1, "target": "t", "arguments": [], "invocationId": "1"});
            client.send_message(invocation, json!([1, {}, "1", "t", []])).await;
        }
        4 if kind.is_resumable() => {
            for _ in 0..3 {
                client.reconnect(program).await;
                client.send_message(json!({"type": 9, "sequenceId": 1}), json!([9, 1])).await;
            }
        }
        _ => {}
    }
    // The end of the connection is one, too.
    let _ = timeout(STAY, async { while client.receive().await.is_some() {} }).await;
    match choose(3, 8) {
        0 => client.close().await,
        1 => drop(program.call(Method::DELETE, &connection, json!({})).await),
        2 => program.control("drop", &client.id).await,
        3 => program.control("expire", &client.id).await,
        4 => client.send(vec![b'x'; TOO_MANY_BYTES]).await,
        5 => client.send_message(json!({"type": 7}), json!([7])).await,
        6 => client.delete().await,
        // The socket is lost, or a client over long polling falls silent.
        _ => return,
    }
    let _ = timeout(STAY, async { while client.receive().await.is_some() {} }).await;
}
