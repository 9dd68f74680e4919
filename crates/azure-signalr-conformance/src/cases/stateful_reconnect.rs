//! Cases 105 to 109: stateful reconnect.
//!
//! <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md#ack-message-encoding>,
//! <https://learn.microsoft.com/aspnet/core/signalr/configuration#configure-stateful-reconnect>

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::case_result::{AtStep, CaseResult, expect, expect_eq};
use crate::client::{Client, with_separator};
use crate::service::with_timeout;
use crate::test_context::TestContext;
use crate::websocket::{self, Frame};

/// Messages that are more than the buffers of a socket, and less than a service buffers for a client.
const MESSAGES: usize = 7;
const MESSAGE_BYTES: usize = 1_000_000;

/// More than a service may keep for a client that acknowledges nothing. ASP.NET Core keeps 100,000 bytes by default.
const MAX_UNACKNOWLEDGED_BYTES: usize = 16 << 20;

/// A service that sends nothing for this time waits for acknowledgements.
const STALL: Duration = Duration::from_secs(5);

/// Sends more messages to a client than its socket takes while the client does not read.
async fn send_until_blocked(context: &TestContext, client: &Client) -> CaseResult {
    for number in 0..MESSAGES {
        context.send(&["connections", &client.id], "t", &json!([number, "x".repeat(MESSAGE_BYTES)])).await?;
    }
    Ok(())
}

/// Opens another socket, sends the Sequence message and expects that of the service, which has sent nothing that was acknowledged.
async fn resume(client: &mut Client) -> CaseResult {
    let former = client.reconnect().await?;
    client.send(&json!({"type": 9, "sequenceId": 1})).await?;
    expect_eq("the first message", json!({"type": 9, "sequenceId": 1}), client.next_message().await?)?;
    // Open until now: a service must not wait for its end.
    drop(former);
    Ok(())
}

/// Receives the messages of [`send_until_blocked`] and acknowledges each.
async fn expect_all_messages(client: &mut Client) -> CaseResult {
    for number in 0..MESSAGES {
        let message = client.next_message().await.at(format_args!("message {number}"))?;
        let received = (message["type"].clone(), message["arguments"][0].clone());
        expect_eq("type and number of a message", (json!(1), json!(number)), received)?;
        client.send(&json!({"type": 8, "sequenceId": number + 1})).await?;
    }
    // Another message would arrive before this one, and shows that the connection works.
    client.expect_no_invocations().await
}

/// The old socket is open, and the service is blocked in a write to it.
pub(super) async fn takeover(context: TestContext) -> CaseResult {
    let mut client = context.client().stateful().connect().await?;
    send_until_blocked(&context, &client).await?;
    resume(&mut client).await?;
    expect_all_messages(&mut client).await
}

/// The socket breaks each time while the service sends again what was not acknowledged.
pub(super) async fn second_loss(context: TestContext) -> CaseResult {
    let mut client = context.client().stateful().connect().await?;
    send_until_blocked(&context, &client).await?;
    for attempt in ["the first socket", "the second socket", "the third socket"] {
        drop(client.reconnect().await.at(attempt)?);
        client.send(&json!({"type": 9, "sequenceId": 1})).await.at(attempt)?;
        let first = client.next_message().await.at(attempt)?;
        expect_eq("the first message", json!({"type": 9, "sequenceId": 1}), first).at(attempt)?;
    }
    resume(&mut client).await?;
    expect_all_messages(&mut client).await
}

/// A client that reads everything and acknowledges nothing, while each of its messages is answered: the service stops sending or
/// ends the connection.
pub(super) async fn bounded(context: TestContext) -> CaseResult {
    for (kind, name) in [(4, "stream invocations"), (1, "invocations")] {
        let client = context.client().stateful().connect().await?;
        // Every Completion repeats the id.
        let padding = "x".repeat(64 << 10);
        let messages = (0..2 * MAX_UNACKNOWLEDGED_BYTES / padding.len()).map(|number| {
            let id = format!("{number}-{padding}");
            let invocation = json!({"type": kind, "invocationId": id, "target": "t", "arguments": []});
            Message::text(with_separator(&invocation.to_string()))
        });
        let frames = client.into_socket()?.exchange(messages, STALL).await;
        let bytes: usize = frames.iter().map(|frame| if let Frame::Text(text) = frame { text.len() } else { 0 }).sum();
        let expected = format!("at most {MAX_UNACKNOWLEDGED_BYTES} bytes without an acknowledgement");
        expect(bytes <= MAX_UNACKNOWLEDGED_BYTES, expected, format_args!("{bytes} bytes")).at(name)?;
    }
    Ok(())
}

/// After a violation of a protocol the client cannot come back.
pub(super) async fn protocol_error(context: TestContext) -> CaseResult {
    let too_long = json!({"type": 1, "target": "t", "arguments": ["x".repeat(2 << 20)]}).to_string();
    for (name, message) in [
        ("a message that is not JSON", Some(with_separator("not JSON"))),
        ("a message of 2 MiB", Some(with_separator(&too_long))),
        ("a reserved bit in a frame", None),
    ] {
        let mut client = context.client().stateful().connect().await?;
        let (connection_token, token) = (client.connection_token.clone(), client.token.clone());
        if message.is_none() {
            client.socket()?.send_reserved_bit().await.at(name)?;
        }
        let frames = client.into_socket()?.exchange(message.map(Message::text), context.service().timeout).await;
        let has_ended = matches!(frames.last(), Some(Frame::Close(_) | Frame::End));
        expect(has_ended, "the end of the connection", format_args!("{frames:?}")).at(name)?;
        let query = [("hub", context.hub.as_str()), ("id", connection_token.as_str())];
        let again = websocket::open(context.service(), &query, Some(&token), None).await.at(name)?;
        again.expect_status(404).at(name)?;
    }
    Ok(())
}

/// The control API drops the client while it is connected, and again while it is away.
///
/// Documented in `CONTROL.md` of the emulator: a client with stateful reconnect can resume.
pub(super) async fn dropped_twice(context: TestContext) -> CaseResult {
    context.require_emulator().await?;
    let mut client = context.client().stateful().connect().await?;
    let dropping = || {
        let call = context.service().control(Method::POST, &["connections", "drop"]);
        call.json(&json!({"hub": context.hub, "connection": client.id})).response()
    };
    dropping().await?.expect_status(200).at("drop")?;
    let second = dropping();
    let second = with_timeout(context.service().timeout, "an answer to the second drop", second);
    second.await?.expect_status(200).at("drop again")?;
    client.expect_end().await?;
    context.send(&["connections", &client.id], "t", &Value::from(vec![1])).await?;
    resume(&mut client).await?;
    let message = client.next_message().await?;
    expect_eq("the message", json!({"type": 1, "target": "t", "arguments": [1]}), message)
}
