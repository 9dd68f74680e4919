//! Cases 35 to 44: Server-Sent Events and long polling.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::client::{Client, text};
use crate::connect::{Connect, Transport};
use crate::outcome::{Stop, Verdict, holds, same};
use crate::service::{Answer, within};
use crate::stage::Stage;
use crate::websocket;

/// Longer than a poll is held, whatever the service makes of `asrs.s.ttl`.
const LONGEST_POLL: Duration = Duration::from_secs(120);
/// A client that does not poll for this long is gone.
const DISCONNECT: Duration = Duration::from_secs(15);

fn polling(stage: &Stage) -> Connect {
    stage.client().user(&stage.user).transport(Transport::LongPolling)
}

fn events(stage: &Stage) -> Connect {
    stage.client().user(&stage.user).transport(Transport::ServerSentEvents)
}

async fn poll(client: &Client) -> Verdict<Answer> {
    client.transport_call(Method::GET).answer().await
}

pub(super) async fn event_stream(stage: Stage) -> Verdict {
    let negotiated = stage.client().negotiate().await?;
    let query = [
        ("hub", stage.hub.as_str()),
        ("id", negotiated.connection_token.as_str()),
        ("access_token", negotiated.token.0.as_str()),
    ];
    let service = stage.service();
    let url = service.client_url(&[], &query);
    let call = service.call_url(Method::GET, url).without_token().header(ACCEPT, "text/event-stream");
    let mut stream =
        within(service.patience, "the headers of an event stream, at once", call.stream()).await?;
    let head = Answer { status: stream.status(), headers: stream.headers().clone(), body: Vec::new() }
        .with_status(200)?;
    head.header_with("content-type", "text/event-stream")?;
    head.header_with("cache-control", "no-cache")?;
    head.header_with("cache-control", "no-store")?;
    head.header_with("pragma", "no-cache")?;
    head.header_with("content-encoding", "identity")?;
    let first = within(service.patience, "the first bytes", async { Ok(stream.chunk().await?) }).await?;
    same("the first bytes", ":\r\n", &String::from_utf8_lossy(&first.unwrap_or_default()))?;

    let post = service.call_url(Method::POST, service.client_url(&[], &query[..2])).token(&negotiated.token);
    post.body("text/plain;charset=UTF-8", text(r#"{"protocol":"json","version":1}"#)).status(200).await?;
    let answer = within(service.patience, "an event", async { Ok(stream.chunk().await?) }).await?;
    same("the event", "data: {}\x1e\r\n\r\n", &String::from_utf8_lossy(&answer.unwrap_or_default()))
}

pub(super) async fn events_are_text(stage: Stage) -> Verdict {
    let mut client = events(&stage).open().await?;
    client.ask_for("messagepack", 1).await?;
    let error = concat!(
        "Cannot use the 'messagepack' protocol on the current transport. ",
        "The transport does not support 'Binary' transfer format."
    );
    same("the answer", json!({"error": error}), client.handshake_answer().await?)
}

pub(super) async fn event_stream_ids(stage: Stage) -> Verdict {
    let service = stage.service();
    let token = service.client_token(&stage.hub);
    let get = |query: &[(&str, &str)]| {
        let url = service.client_url(&[], query);
        service.call_url(Method::GET, url).token(&token).header(ACCEPT, "text/event-stream")
    };
    let none = get(&[("hub", &stage.hub)]).status(400).await.map_err(|stop| stop.at("no id"))?.text();
    holds(none.contains("Connection ID required"), "`Connection ID required`", none)?;
    let unknown = [("hub", stage.hub.as_str()), ("id", "nobody-has-this-id-1234")];
    get(&unknown).status(404).await.map_err(|stop| stop.at("unknown id")).map(drop)
}

pub(super) async fn polls(stage: Stage) -> Verdict {
    // Opening asks for an empty answer to the first poll, at once.
    let mut client = polling(&stage).open().await?;
    let held = poll(&client);
    let handshake = async {
        let call = client.transport_call(Method::POST);
        call.body("text/plain;charset=UTF-8", text(r#"{"protocol":"json","version":1}"#)).status(200).await
    };
    let both = async { tokio::try_join!(held, handshake) };
    let (answer, posted) = within(stage.service().patience, "an answer to the held poll", both).await?;
    same("the length of the answer to the POST", 0, posted.body.len())?;
    let answer = answer.with_status(200)?;
    same("the answer to the held poll", text("{}"), answer.text())?;
    answer.header_with("content-type", "application/octet-stream")?;
    answer.header_with("cache-control", "no-store")?;
    stage.send(&[], "t", &json!(["x"])).await?;
    client.gets(&[("t", json!(["x"]))]).await
}

pub(super) async fn polls_carry_a_header(stage: Stage) -> Verdict {
    let negotiated = stage.client().negotiate().await?;
    let query = [
        ("hub", stage.hub.as_str()),
        ("id", negotiated.connection_token.as_str()),
        ("access_token", negotiated.token.0.as_str()),
    ];
    let url = stage.service().client_url(&[], &query);
    stage.service().call_url(Method::GET, url).without_token().status(401).await.map(drop)
}

pub(super) async fn idle_poll(stage: Stage) -> Verdict {
    let mut client = polling(&stage).claim("asrs.s.ttl", json!("5")).connect().await?;
    let idle = within(LONGEST_POLL, "an answer to an idle poll", poll(&client)).await?.with_status(200)?;
    same("the length of an idle poll", 0, idle.body.len())?;
    stage.send(&["users", &stage.user], "t", &json!([1])).await?;
    client.gets(&[("t", json!([1]))]).await
}

pub(super) async fn second_poll(stage: Stage) -> Verdict {
    let client = polling(&stage).connect().await?;
    let patience = stage.service().patience;
    let first = async {
        let answer = within(patience, "an answer to the first of two polls", poll(&client)).await?;
        answer.with_status(204).map(drop)
    };
    let second = async {
        // The first has to be there before; nothing tells when it is.
        sleep(Duration::from_millis(500)).await;
        within(patience, "an answer to the second of two polls", poll(&client)).await?.with_status(200)
    };
    let message = async {
        sleep(Duration::from_millis(1500)).await;
        stage.send(&["users", &stage.user], "t", &json!([])).await
    };
    let ((), second, _) = tokio::try_join!(first, second, message)?;
    same("what the second brings", text(r#"{"type":1,"target":"t","arguments":[]}"#), second.text())
}

pub(super) async fn delete(stage: Stage) -> Verdict {
    let client = polling(&stage).connect().await?;
    let held = within(stage.service().patience, "an answer to the held poll", poll(&client));
    let delete = async {
        sleep(Duration::from_millis(500)).await;
        client.transport_call(Method::DELETE).status(202).await
    };
    let (held, _) = tokio::try_join!(held, delete)?;
    held.with_status(204).map_err(|stop| stop.at("the held poll"))?;
    poll(&client).await?.with_status(404).map_err(|stop| stop.at("the next poll")).map(drop)
}

pub(super) async fn one_transport_each(stage: Stage) -> Verdict {
    let socket = stage.client().connect().await?;
    let post = socket.transport_call(Method::POST).body("text/plain", text(r#"{"type":6}"#));
    post.status(405).await.map_err(|stop| stop.at("POST for a WebSocket"))?;

    let stream = events(&stage).connect().await?;
    stream
        .transport_call(Method::DELETE)
        .status(400)
        .await
        .map_err(|stop| stop.at("DELETE of an event stream"))?;

    let polls = polling(&stage).connect().await?;
    let query = [("hub", stage.hub.as_str()), ("id", polls.connection_token.as_str())];
    let upgrade = websocket::open(stage.service(), &query, Some(&polls.token)).await?;
    upgrade.status(400).map_err(|stop| stop.at("a WebSocket for polls")).map(drop)
}

pub(super) async fn no_polls(stage: Stage) -> Verdict {
    let client = polling(&stage).connect().await?;
    stage.join(&client).await?;
    let exists = || stage.rest(Method::HEAD, &["connections", &client.id]);
    exists().status(200).await?;
    let deadline = Instant::now() + DISCONNECT * 2 + stage.service().patience;
    while exists().answer().await?.status == 200 {
        if Instant::now() > deadline {
            return Err(Stop::failed(
                "a connection without polls to be gone",
                format!("it is there after {:?}", DISCONNECT * 2),
            ));
        }
        sleep(Duration::from_millis(500)).await;
    }
    exists().error(404, "Warning.Connection.NotExisted").await?;
    stage.rest(Method::HEAD, &["groups", &stage.group]).error(404, "Warning.Group.NotExisted").await.map(drop)
}
