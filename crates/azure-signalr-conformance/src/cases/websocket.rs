//! Cases 21 to 34: WebSockets, the handshake, and how a connection goes on and ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{Client, text};
use crate::outcome::{Stop, Verdict, holds, same};
use crate::protocol::Protocol;
use crate::service::within;
use crate::stage::Stage;
use crate::token::Token;
use crate::websocket::{self, Frame, Opened};

const HANDSHAKE: &str = r#"{"protocol":"json","version":1}"#;
/// What a service gives a client for its handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(15);
/// After this long without a word to a client it gets a ping.
const PING_EVERY: Duration = Duration::from_secs(15);
/// After this long without a word from a client that has pinged it is given up.
const SILENCE: Duration = Duration::from_secs(30);

async fn open(stage: &Stage, query: &[(&str, &str)], token: Option<&Token>) -> Verdict<Opened> {
    let query = [&[("hub", stage.hub.as_str())], query].concat();
    websocket::open(stage.service(), &query, token).await
}

/// A client on a WebSocket without an id, as the clients for Python have it.
async fn open_bare(stage: &Stage, token: Token, query: &[(&str, &str)], header: bool) -> Verdict<Client> {
    let socket = open(stage, query, header.then_some(&token)).await?.socket()?;
    Ok(Client::on(socket, stage.service(), &stage.hub, token))
}

pub(super) async fn handshake(stage: Stage) -> Verdict {
    let mut client = stage.client().open().await?;
    let patience = stage.service().patience;
    let socket = client.socket()?;
    socket.send_text(&text(HANDSHAKE)).await?;
    let first = within(patience, "a first frame", async { Ok(socket.frame().await) }).await?;
    same("the first frame", Frame::Text(text("{}")), first)
}

pub(super) async fn without_an_id(stage: Stage) -> Verdict {
    let mut client = open_bare(&stage, stage.service().client_token(&stage.hub), &[], true).await?;
    client.shake_hands(1).await?;
    stage.send(&[], "t", &json!(["x"])).await?;
    let message = client.next().await?;
    same("the invocation", json!({"type": 1, "target": "t", "arguments": ["x"]}), message)
}

pub(super) async fn token_in_the_query(stage: Stage) -> Verdict {
    let token = stage.service().client_token(&stage.hub);
    let in_query = token.clone();
    let mut client = open_bare(&stage, token, &[("access_token", &in_query.0)], false).await?;
    client.shake_hands(1).await?;
    open(&stage, &[], None).await?.status(401).map_err(|stop| stop.at("no token")).map(drop)
}

pub(super) async fn ids(stage: Stage) -> Verdict {
    let token = stage.service().client_token(&stage.hub);
    let unknown = open(&stage, &[("id", "nobody-has-this-id-1234")], Some(&token)).await?;
    unknown.status(404).map_err(|stop| stop.at("unknown id"))?;

    let client = stage.connect(&stage.user).await?;
    let again = open(&stage, &[("id", &client.connection_token)], Some(&client.token)).await?;
    again.status(409).map_err(|stop| stop.at("id in use"))?;

    let negotiated = stage.client().negotiate().await?;
    let public = open(&stage, &[("id", &negotiated.id)], Some(&negotiated.token)).await?;
    public.status(404).map_err(|stop| stop.at("connectionId as id")).map(drop)
}

pub(super) async fn handshake_versions(stage: Stage) -> Verdict {
    for version in [0, 2] {
        let mut client = stage.client().open().await?;
        client.shake_hands(version).await.map_err(|stop| stop.at(format_args!("version {version}")))?;
    }
    refused(&stage, "json", 99, "The server does not support version 99 of the 'json' protocol.").await
}

pub(super) async fn unknown_protocol(stage: Stage) -> Verdict {
    refused(&stage, "blazorpack", 1, "The protocol 'blazorpack' is not supported.").await
}

async fn refused(stage: &Stage, protocol: &str, version: u32, error: &str) -> Verdict {
    let mut client = stage.client().open().await?;
    client.ask_for(protocol, version).await?;
    same("the answer", json!({"error": error}), client.handshake_answer().await?)?;
    client.over().await
}

pub(super) async fn no_handshake(stage: Stage) -> Verdict {
    let short = Duration::from_secs(2);
    let impatient = stage.client().claim("asrs.s.cht", json!("2")).open();
    let (usual, impatient) = tokio::try_join!(stage.client().open(), impatient)?;
    tokio::try_join!(canceled(&stage, usual, HANDSHAKE_LIMIT), canceled(&stage, impatient, short)).map(drop)
}

async fn canceled(stage: &Stage, mut client: Client, after: Duration) -> Verdict {
    let begun = Instant::now();
    let frame = within(after + stage.service().patience, "the end of a wait for a handshake", async {
        Ok(client.socket()?.frame().await)
    });
    match frame.await? {
        Frame::Text(came) => same("the last words", text(r#"{"error":"Handshake was canceled."}"#), came)?,
        Frame::Close(_) | Frame::End => {}
        other => return Err(Stop::failed("`Handshake was canceled.`, or the end", format!("{other:?}"))),
    }
    let early = begun.elapsed() + Duration::from_secs(1) < after;
    holds(
        !early,
        format_args!("{after:?} of time for the handshake"),
        format_args!("{:?}", begun.elapsed()),
    )?;
    client.over().await
}

pub(super) async fn message_pack(stage: Stage) -> Verdict {
    let mut client = stage.client().protocol(Protocol::MessagePack).open().await?;
    let patience = stage.service().patience;
    let socket = client.socket()?;
    socket.send_text(&text(r#"{"protocol":"messagepack","version":1}"#)).await?;
    let answer = within(patience, "an answer to the handshake", async { Ok(socket.frame().await) }).await?;
    match answer {
        Frame::Text(came) => same("the answer", text("{}"), came)?,
        Frame::Binary(came) => same("the answer", text("{}").into_bytes(), came)?,
        other => return Err(Stop::failed("an answer to the handshake", format!("{other:?}"))),
    }
    stage.send(&["connections", &client.id.clone()], "hi", &json!(["x"])).await?;
    let invocation = within(patience, "an invocation", async { Ok(client.socket()?.frame().await) }).await?;
    let bytes = b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90".to_vec();
    same("the frame of hi(\"x\")", Frame::Binary(bytes), invocation)
}

pub(super) async fn frames_are_not_messages(stage: Stage) -> Verdict {
    let mut client = stage.client().open().await?;
    let socket = client.socket()?;
    // A handshake in two pieces, the second of which goes on with a ping and the beginning of an invocation.
    let (first, second) = HANDSHAKE.split_at(10);
    socket.send_text(first).await?;
    socket.send_text(&(text(second) + &text(r#"{"type":6}"#) + r#"{"type":1,"invocationId":"1","#)).await?;
    socket.send_text(&text(r#""target":"a","arguments":[]}"#)).await?;
    let two = text(r#"{"type":1,"invocationId":"2","target":"a","arguments":[]}"#)
        + &text(r#"{"type":1,"invocationId":"3","target":"a","arguments":[]}"#);
    socket.send_text(&two).await?;
    same("the answer to the handshake", json!({}), client.handshake_answer().await?)?;
    // Whatever is answered, each invocation has been read.
    for id in ["1", "2", "3"] {
        client.completion(id).await?;
    }
    Ok(())
}

pub(super) async fn pings(stage: Stage) -> Verdict {
    let json = stage.client().connect();
    let packed = stage.client().protocol(Protocol::MessagePack).connect();
    let (mut json, mut packed) = tokio::try_join!(json, packed)?;
    let patience = stage.service().patience;
    let socket = json.socket()?;
    socket.ping(b"there?").await?;
    let pong = within(patience, "a Pong", async { Ok(socket.frame().await) }).await?;
    same("the answer to a WebSocket Ping", Frame::Pong(b"there?".to_vec()), pong)?;
    tokio::try_join!(
        pinged(&stage, &mut json, Frame::Text(text(r#"{"type":6}"#))),
        pinged(&stage, &mut packed, Frame::Binary(b"\x02\x91\x06".to_vec())),
    )
    .map(drop)
}

async fn pinged(stage: &Stage, client: &mut Client, ping: Frame) -> Verdict {
    let frame = within(PING_EVERY + stage.service().patience, "a ping of the hub", async {
        Ok(client.socket()?.frame().await)
    });
    same("the first frame of the idle", ping, frame.await?)
}

pub(super) async fn silence(stage: Stage) -> Verdict {
    let (mut falls_silent, mut never_spoke) =
        tokio::try_join!(stage.client().connect(), stage.client().connect())?;
    falls_silent.send(&json!({"type": 6})).await?;
    let limit = SILENCE + stage.service().patience;
    let last = async {
        loop {
            match falls_silent.message().await? {
                Some(message) if message["type"] == 6 => {}
                other => return Ok(other),
            }
        }
    };
    let (last, survivor) = tokio::join!(
        within(limit, "a Close for who fell silent", last),
        timeout(limit, async {
            while never_spoke.message().await?.is_some() {}
            Ok::<_, Stop>(())
        }),
    );
    let last = last?.unwrap_or_default();
    same("the last message for who fell silent", json!(7), last["type"].clone())?;
    falls_silent.over().await?;
    match survivor {
        Err(_) => never_spoke.gets_nothing().await,
        Ok(_) => Err(Stop::failed("who never pinged is kept", "the connection is over")),
    }
}

pub(super) async fn polite_end(stage: Stage) -> Verdict {
    let mut client = stage.connect(&stage.user).await?;
    let id = client.id.clone();
    let connection = ["connections", id.as_str()];
    stage.rest(Method::HEAD, &connection).status(200).await?;
    client.send(&json!({"type": 7})).await?;
    client.over().await?;
    stage.until(&connection, 404).await?;
    stage.rest(Method::HEAD, &connection).error(404, "Warning.Connection.NotExisted").await.map(drop)
}

pub(super) async fn host_without_port(stage: Stage) -> Verdict {
    let service = stage.service();
    let token = service.client_token(&stage.hub);
    let base = service.connection.client_base();
    let query = [("hub", stage.hub.as_str())];
    let socket = websocket::open_as(service, &query, Some(&token), base.host_str()).await?.socket()?;
    Client::on(socket, service, &stage.hub, token).shake_hands(1).await
}

pub(super) async fn unknown_type(stage: Stage) -> Verdict {
    let mut client = stage.connect(&stage.user).await?;
    client.send(&json!({"type": 99, "new": Value::Null})).await?;
    stage.send(&["users", &stage.user], "t", &json!([])).await?;
    client.gets(&[("t", json!([]))]).await
}
