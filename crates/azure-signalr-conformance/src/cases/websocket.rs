//! Cases 21 to 24, 28 to 34, 92 and 93: WebSockets, pings, and the end of a connection.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client::{Client, with_separator};
use crate::credentials::Token;
use crate::protocol::Protocol;
use crate::service::with_timeout;
use crate::test_context::TestContext;
use crate::websocket::{self, Frame, Upgrade};

const HANDSHAKE: &str = r#"{"protocol":"json","version":1}"#;
/// The maximum size of a message from a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The `KeepAliveInterval` of the service.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// The `ClientTimeoutInterval` of the service, for clients that have sent a ping.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

async fn open(context: &TestContext, query: &[(&str, &str)], token: Option<&Token>) -> CaseResult<Upgrade> {
    let query = [&[("hub", context.hub.as_str())], query].concat();
    websocket::open(context.service(), &query, token, None).await
}

/// Opens a WebSocket without an id, as Python clients do; the token is in the header or in the query.
async fn open_without_id(
    context: &TestContext,
    token: Token,
    query: &[(&str, &str)],
    in_header: bool,
) -> CaseResult<Client> {
    let socket = open(context, query, in_header.then_some(&token)).await?.into_socket()?;
    Ok(Client::from_socket(socket, context.service(), &context.hub, token))
}

/// The next frame, within a time limit.
pub(super) async fn next_frame(client: &mut Client, what: &str, time_limit: Duration) -> CaseResult<Frame> {
    with_timeout(time_limit, what, async { Ok(client.socket()?.next_frame().await) }).await
}

pub(super) async fn handshake(context: TestContext) -> CaseResult {
    let mut client = context.client().open().await?;
    client.socket()?.send_text(&with_separator(HANDSHAKE)).await?;
    let first = next_frame(&mut client, "a first frame", context.service().timeout).await?;
    expect_eq("the first frame", Frame::Text(with_separator("{}")), first)
}

pub(super) async fn without_id(context: TestContext) -> CaseResult {
    let token = context.service().client_token(&context.hub);
    let mut client = open_without_id(&context, token, &[], true).await?;
    client.handshake(1).await?;
    context.send(&[], "t", &json!(["x"])).await?;
    let message = client.next_message().await?;
    expect_eq("the invocation", json!({"type": 1, "target": "t", "arguments": ["x"]}), message)
}

pub(super) async fn token_in_query(context: TestContext) -> CaseResult {
    let token = context.service().client_token(&context.hub);
    let in_query = token.clone();
    let mut client = open_without_id(&context, token, &[("access_token", &in_query.0)], false).await?;
    client.handshake(1).await?;
    open(&context, &[], None).await?.expect_status(401).at("no token").map(drop)
}

pub(super) async fn ids(context: TestContext) -> CaseResult {
    let token = context.service().client_token(&context.hub);
    let unknown = open(&context, &[("id", "an-unknown-id-1234")], Some(&token)).await?;
    unknown.expect_status(404).at("an unknown id")?;

    let client = context.connect(&context.user).await?;
    let second = open(&context, &[("id", &client.connection_token)], Some(&client.token)).await?;
    second.expect_status(409).at("an id in use")?;

    let negotiation = context.client().negotiate().await?;
    let by_connection_id = open(&context, &[("id", &negotiation.connection_id)], Some(&negotiation.token)).await?;
    by_connection_id.expect_status(404).at("a connectionId as id").map(drop)
}

pub(super) async fn message_pack(context: TestContext) -> CaseResult {
    let mut client = context.client().protocol(Protocol::MessagePack).open().await?;
    let timeout = context.service().timeout;
    client.send_handshake("messagepack", 1).await?;
    match next_frame(&mut client, "a handshake response", timeout).await? {
        Frame::Text(actual) => expect_eq("the response", with_separator("{}"), actual)?,
        Frame::Binary(actual) => expect_eq("the response", with_separator("{}").into_bytes(), actual)?,
        other => return Err(Failure::new("a handshake response", format!("{other:?}"))),
    }
    context.send(&["connections", &client.id.clone()], "hi", &json!(["x"])).await?;
    let invocation = next_frame(&mut client, "an invocation", timeout).await?;
    let bytes = b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90".to_vec();
    expect_eq("the frame of hi(\"x\")", Frame::Binary(bytes), invocation)
}

pub(super) async fn message_framing(context: TestContext) -> CaseResult {
    let mut client = context.client().open().await?;
    let socket = client.socket()?;
    // The second frame has the rest of the handshake, a ping, and the start of an invocation.
    let (first, second) = HANDSHAKE.split_at(10);
    socket.send_text(first).await?;
    socket
        .send_text(&(with_separator(second) + &with_separator(r#"{"type":6}"#) + r#"{"type":1,"invocationId":"1","#))
        .await?;
    socket.send_text(&with_separator(r#""target":"a","arguments":[]}"#)).await?;
    let two = with_separator(r#"{"type":1,"invocationId":"2","target":"a","arguments":[]}"#)
        + &with_separator(r#"{"type":1,"invocationId":"3","target":"a","arguments":[]}"#);
    socket.send_text(&two).await?;
    expect_eq("the handshake response", json!({}), client.handshake_response().await?)?;
    // With or without an upstream, each invocation has a Completion.
    for id in ["1", "2", "3"] {
        client.expect_completion(id).await?;
    }
    Ok(())
}

pub(super) async fn pings(context: TestContext) -> CaseResult {
    let json = context.client().connect();
    let packed = context.client().protocol(Protocol::MessagePack).connect();
    let (mut json, mut packed) = tokio::try_join!(json, packed)?;
    json.socket()?.ping(b"there?").await?;
    let pong = next_frame(&mut json, "a Pong", context.service().timeout).await?;
    expect_eq("the response to a WebSocket Ping", Frame::Pong(b"there?".to_vec()), pong)?;
    tokio::try_join!(
        expect_ping(&context, &mut json, Frame::Text(with_separator(r#"{"type":6}"#))),
        expect_ping(&context, &mut packed, Frame::Binary(b"\x02\x91\x06".to_vec())),
    )
    .map(drop)
}

async fn expect_ping(context: &TestContext, client: &mut Client, ping: Frame) -> CaseResult {
    let time_limit = KEEP_ALIVE_INTERVAL + context.service().timeout;
    expect_eq("the first frame on an idle connection", ping, next_frame(client, "a hub ping", time_limit).await?)
}

pub(super) async fn client_timeout(context: TestContext) -> CaseResult {
    let (mut silent, mut never_pinged) = tokio::try_join!(context.client().connect(), context.client().connect())?;
    silent.send(&json!({"type": 6})).await?;
    let time_limit = CLIENT_TIMEOUT + context.service().timeout;
    let last = async {
        loop {
            match silent.next_message_or_ping().await? {
                Some(message) if message["type"] == 6 => {}
                other => return Ok(other),
            }
        }
    };
    let (last, other) = tokio::join!(
        with_timeout(time_limit, "a Close for a client that stopped pinging", last),
        timeout(time_limit, async {
            while never_pinged.next_message_or_ping().await?.is_some() {}
            Ok::<_, Failure>(())
        }),
    );
    let last = last?.unwrap_or_default();
    expect_eq("the last message for a client that stopped pinging", json!(7), last["type"].clone())?;
    silent.expect_end().await?;
    match other {
        Err(_) => never_pinged.expect_no_invocations().await,
        Ok(_) => Err(Failure::new("an open connection for a client that never pinged", "a closed one")),
    }
}

pub(super) async fn close_message(context: TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let id = client.id.clone();
    let connection = ["connections", id.as_str()];
    context.rest(Method::HEAD, &connection).expect_status(200).await?;
    client.send(&json!({"type": 7})).await?;
    client.expect_end().await?;
    context.wait_for_status(&connection, 404).await?;
    context.rest(Method::HEAD, &connection).expect_error(404, "Warning.Connection.NotExisted").await.map(drop)
}

pub(super) async fn host_without_port(context: TestContext) -> CaseResult {
    let service = context.service();
    let token = service.client_token(&context.hub);
    let base = service.connection.client_base();
    let query = [("hub", context.hub.as_str())];
    let socket = websocket::open(service, &query, Some(&token), base.host_str()).await?.into_socket()?;
    Client::from_socket(socket, service, &context.hub, token).handshake(1).await
}

pub(super) async fn unknown_message_type(context: TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    client.send(&json!({"type": 99, "new": Value::Null})).await?;
    context.send(&["users", &context.user], "t", &json!([])).await?;
    client.expect_invocations(&[("t", json!([]))]).await
}

/// The answer has the received code, or 1000 as ASP.NET Core sends it.
///
/// <https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1>
pub(super) async fn close_frame(context: TestContext) -> CaseResult {
    for code in [None, Some(1000), Some(1001)] {
        let step = format!("code {code:?}");
        let mut client = context.connect(&context.user).await?;
        client.socket()?.close(code).await?;
        let answer = async {
            loop {
                match client.socket()?.next_frame().await {
                    Frame::Close(code) => return Ok(code),
                    Frame::End => return Err(Failure::new("a Close frame", "the end of the connection")),
                    // Sent before the service has read the Close frame.
                    _ => {}
                }
            }
        };
        let answer = with_timeout(context.service().timeout, "a Close frame", answer).await.at(&step)?;
        expect(answer == code || answer == Some(1000), "the same code, or 1000", format_args!("{answer:?}"))
            .at(&step)?;
        client.expect_end().await.at(&step)?;
    }
    Ok(())
}

/// A WebSocket message that is too big ends with code 1009, and a hub client is told the reason by a Close message before.
///
/// <https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1>,
/// <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md#close-message-encoding>
pub(super) async fn message_too_long(context: TestContext) -> CaseResult {
    let mut sentences = Vec::new();
    for protocol in [Protocol::Json, Protocol::MessagePack] {
        // From just above the limit to several times of it: the reaction does not depend on where the service finds out.
        for bytes in [MAX_MESSAGE_BYTES + 1, MAX_MESSAGE_BYTES + 2_000, 2 * MAX_MESSAGE_BYTES, 8 * MAX_MESSAGE_BYTES] {
            let step = format!("{bytes} bytes of {}", protocol.name());
            let client = context.client().protocol(protocol).connect().await?;
            let invocation = json!({"type": 1, "target": "t", "arguments": ["x".repeat(bytes)]});
            let message = match protocol {
                Protocol::Json => Message::text(with_separator(&invocation.to_string())),
                Protocol::MessagePack => Message::binary(protocol.write(&invocation)),
            };
            let frames = client.into_socket()?.exchange([message], context.service().timeout).await;
            let close = close_message_of(protocol, &frames).at(&step)?;
            let sentence = close["error"].as_str().unwrap_or_default().to_owned();
            expect(!sentence.is_empty(), "a Close message with an error", &close).at(&step)?;
            sentences.push(sentence);
            let code = frames.last().map(|frame| format!("{frame:?}")).unwrap_or_default();
            expect_eq("the last frame", format!("{:?}", Frame::Close(Some(1009))), code).at(&step)?;
        }
    }
    sentences.dedup();
    expect_eq("the number of different sentences", 1, sentences.len()).at(sentences.join("; "))
}

/// The Close message among received frames, of which each is a whole message.
fn close_message_of(protocol: Protocol, frames: &[Frame]) -> CaseResult<Value> {
    let mut bytes: Vec<u8> = Vec::new();
    for frame in frames {
        match frame {
            Frame::Text(text) => bytes.extend(text.as_bytes()),
            Frame::Binary(binary) => bytes.extend(binary),
            _ => {}
        }
    }
    let messages = std::iter::from_fn(|| protocol.read(&mut bytes)).filter_map(Result::ok);
    let close = messages.into_iter().find(|message| message["type"] == 7);
    close.ok_or_else(|| Failure::new("a Close message", format!("the frames {frames:?}")))
}
