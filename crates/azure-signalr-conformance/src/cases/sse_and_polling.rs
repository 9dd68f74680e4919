//! Cases 35 to 44 and 96: Server-Sent Events and long polling.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client::{Client, ClientBuilder, with_separator};
use crate::service::{Call, Response, with_timeout};
use crate::test_context::TestContext;
use crate::transport::TransportType;
use crate::websocket;

/// Longer than a service holds a poll, with or without support for the claim `asrs.s.ttl`.
const POLL_TIMEOUT: Duration = Duration::from_secs(120);
/// The time after which the service removes a client that does not poll.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(15);

fn polling_client(context: &TestContext) -> ClientBuilder {
    context.client().user(&context.user).transport(TransportType::LongPolling)
}

fn event_stream_client(context: &TestContext) -> ClientBuilder {
    context.client().user(&context.user).transport(TransportType::ServerSentEvents)
}

/// Sends the JSON handshake with a POST, and expects 200.
async fn post_handshake(call: Call<'_>) -> CaseResult<Response> {
    let handshake = with_separator(r#"{"protocol":"json","version":1}"#);
    call.body("text/plain;charset=UTF-8", handshake).expect_status(200).await
}

async fn poll(client: &Client) -> CaseResult<Response> {
    client.transport_call(Method::GET).response().await
}

pub(super) async fn event_stream(context: TestContext) -> CaseResult {
    let negotiation = context.client().negotiate().await?;
    let query = [
        ("hub", context.hub.as_str()),
        ("id", negotiation.connection_token.as_str()),
        ("access_token", negotiation.token.0.as_str()),
    ];
    let service = context.service();
    let url = service.client_url(&[], &query);
    let call = service.call_url(Method::GET, url).without_token().header(ACCEPT, "text/event-stream");
    let mut stream = with_timeout(service.timeout, "the headers of an event stream", call.stream()).await?;
    let head =
        Response { status: stream.status(), headers: stream.headers().clone(), body: Vec::new() }.expect_status(200)?;
    head.expect_header("content-type", "text/event-stream")?;
    head.expect_header("cache-control", "no-cache")?;
    head.expect_header("cache-control", "no-store")?;
    head.expect_header("pragma", "no-cache")?;
    head.expect_header("content-encoding", "identity")?;
    let mut pending = Vec::new();
    let mut read_to = async |end: &str, what: &str| {
        with_timeout(service.timeout, what, read_to(&mut stream, &mut pending, end)).await
    };
    expect_eq("the first bytes", ":\r\n", &read_to("\n", "the first line").await?)?;

    let post = service.call_url(Method::POST, service.client_url(&[], &query[..2])).token(&negotiation.token);
    post_handshake(post).await?;
    expect_eq("the event", "data: {}\x1e\r\n\r\n", &read_to("\n\r\n", "an event").await?)
}

/// Reads up to the end of a line or an event, in however many pieces it arrives, or up to the end of the stream. Later bytes stay
/// pending.
async fn read_to(stream: &mut reqwest::Response, pending: &mut Vec<u8>, end: &str) -> CaseResult<String> {
    let is_end = |window: &[u8]| window == end.as_bytes();
    let length = loop {
        if let Some(start) = pending.windows(end.len()).position(is_end) {
            break start + end.len();
        }
        match stream.chunk().await? {
            Some(bytes) => pending.extend_from_slice(&bytes),
            None => break pending.len(),
        }
    };
    let read: Vec<u8> = pending.drain(..length).collect();
    Ok(String::from_utf8_lossy(&read).into_owned())
}

pub(super) async fn event_stream_is_text(context: TestContext) -> CaseResult {
    let mut client = event_stream_client(&context).open().await?;
    client.send_handshake("messagepack", 1).await?;
    let error = concat!(
        "Cannot use the 'messagepack' protocol on the current transport. ",
        "The transport does not support 'Binary' transfer format."
    );
    expect_eq("the response", json!({"error": error}), client.handshake_response().await?)
}

pub(super) async fn event_stream_ids(context: TestContext) -> CaseResult {
    let service = context.service();
    let token = service.client_token(&context.hub);
    let get = |query: &[(&str, &str)]| {
        let url = service.client_url(&[], query);
        service.call_url(Method::GET, url).token(&token).header(ACCEPT, "text/event-stream")
    };
    let missing = get(&[("hub", &context.hub)]).expect_status(400).await.at("no id")?.text();
    expect(missing.contains("Connection ID required"), "`Connection ID required`", missing)?;
    let unknown = [("hub", context.hub.as_str()), ("id", "an-unknown-id-1234")];
    get(&unknown).expect_status(404).await.at("an unknown id").map(drop)
}

pub(super) async fn polls(context: TestContext) -> CaseResult {
    // `open` expects an immediate empty response to the first poll.
    let mut client = polling_client(&context).open().await?;
    let held = poll(&client);
    let handshake = post_handshake(client.transport_call(Method::POST));
    let both = async { tokio::try_join!(held, handshake) };
    let both = with_timeout(context.service().timeout, "a response to the held poll", both);
    let (response, posted) = both.await?;
    expect_eq("the length of the response to the POST", 0, posted.body.len())?;
    let response = response.expect_status(200)?;
    expect_eq("the response to the held poll", with_separator("{}"), response.text())?;
    response.expect_header("content-type", "application/octet-stream")?;
    response.expect_header("cache-control", "no-store")?;
    context.send(&[], "t", &json!(["x"])).await?;
    client.expect_invocations(&[("t", json!(["x"]))]).await
}

pub(super) async fn poll_authorization(context: TestContext) -> CaseResult {
    let negotiation = context.client().negotiate().await?;
    let query = [
        ("hub", context.hub.as_str()),
        ("id", negotiation.connection_token.as_str()),
        ("access_token", negotiation.token.0.as_str()),
    ];
    let url = context.service().client_url(&[], &query);
    context.service().call_url(Method::GET, url).without_token().expect_status(401).await.map(drop)
}

pub(super) async fn idle_poll(context: TestContext) -> CaseResult {
    let mut client = polling_client(&context).claim("asrs.s.ttl", json!("5")).connect().await?;
    let idle = with_timeout(POLL_TIMEOUT, "a response to an idle poll", poll(&client)).await?.expect_status(200)?;
    expect_eq("the length of an idle poll", 0, idle.body.len())?;
    context.send(&["users", &context.user], "t", &json!([1])).await?;
    client.expect_invocations(&[("t", json!([1]))]).await
}

pub(super) async fn concurrent_polls(context: TestContext) -> CaseResult {
    let client = polling_client(&context).connect().await?;
    let timeout = context.service().timeout;
    let first = async {
        let response = with_timeout(timeout, "a response to the first of two polls", poll(&client)).await?;
        response.expect_status(204).map(drop)
    };
    let second = async {
        // The first poll must arrive before the second; the service does not show when it has.
        sleep(Duration::from_millis(500)).await;
        with_timeout(timeout, "a response to the second of two polls", poll(&client)).await?.expect_status(200)
    };
    let message = async {
        sleep(Duration::from_millis(1500)).await;
        context.send(&["users", &context.user], "t", &json!([])).await
    };
    let ((), second, _) = tokio::try_join!(first, second, message)?;
    let message = with_separator(r#"{"type":1,"target":"t","arguments":[]}"#);
    expect_eq("the response to the second poll", message, second.text())
}

pub(super) async fn delete(context: TestContext) -> CaseResult {
    let client = polling_client(&context).connect().await?;
    let held = with_timeout(context.service().timeout, "a response to the held poll", poll(&client));
    let delete = async {
        sleep(Duration::from_millis(500)).await;
        client.transport_call(Method::DELETE).expect_status(202).await
    };
    let (held, _) = tokio::try_join!(held, delete)?;
    held.expect_status(204).at("the held poll")?;
    poll(&client).await?.expect_status(404).at("the next poll").map(drop)
}

pub(super) async fn transport_mismatch(context: TestContext) -> CaseResult {
    let socket = context.client().connect().await?;
    let post = socket.transport_call(Method::POST).body("text/plain", with_separator(r#"{"type":6}"#));
    post.expect_status(405).await.at("POST for a WebSocket")?;

    let stream = event_stream_client(&context).connect().await?;
    stream.transport_call(Method::DELETE).expect_status(400).await.at("DELETE of an event stream")?;

    let polls = polling_client(&context).connect().await?;
    let query = [("hub", context.hub.as_str()), ("id", polls.connection_token.as_str())];
    let upgrade = websocket::open(context.service(), &query, Some(&polls.token), None).await?;
    upgrade.expect_status(400).at("a WebSocket for polls").map(drop)
}

pub(super) async fn poll_timeout(context: TestContext) -> CaseResult {
    let client = polling_client(&context).connect().await?;
    context.join_group(&client).await?;
    let exists = || context.rest(Method::HEAD, &["connections", &client.id]);
    exists().expect_status(200).await?;
    let deadline = Instant::now() + DISCONNECT_TIMEOUT * 2 + context.service().timeout;
    while exists().response().await?.status == 200 {
        if Instant::now() > deadline {
            let actual = format!("it exists after {:?}", DISCONNECT_TIMEOUT * 2);
            return Err(Failure::new("the removal of a connection without polls", actual));
        }
        sleep(Duration::from_millis(500)).await;
    }
    exists().expect_error(404, "Warning.Connection.NotExisted").await?;
    let group = context.rest(Method::HEAD, &["groups", &context.group]);
    group.expect_error(404, "Warning.Group.NotExisted").await.map(drop)
}

/// A caller may write line breaks between the tokens of a message, and a service passes arguments on unchanged. Each of them would
/// end a `data` line, and two the event.
///
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>
pub(super) async fn line_breaks(context: TestContext) -> CaseResult {
    let mut client = event_stream_client(&context).connect().await?;
    for line_break in ["\n", "\r", "\r\n", "\n\n", "\r\r", "\n\r", "\r\n\r\n"] {
        let step = format!("{line_break:?}");
        let body = format!(r#"{{"target":"t","arguments":[{line_break}"a"{line_break},{line_break}1]}}"#);
        let send = context.rest(Method::POST, &[":send"]).body("application/json", body);
        send.expect_status(202).await.at(&step)?;
        let expected = json!({"type": 1, "target": "t", "arguments": ["a", 1]});
        expect_eq("the message", expected, client.next_message().await.at(&step)?).at(&step)?;
    }
    // A message that the caller has framed is sent as it is.
    let framed = with_separator("{\"type\":1,\r\"target\":\"t\",\n\r\"arguments\":[\r\n]}");
    let mut body = Vec::new();
    let map = rmpv::Value::Map(vec![("json".into(), rmpv::Value::Binary(framed.into_bytes()))]);
    rmpv::encode::write_value(&mut body, &map).expect("writing to a vector cannot fail");
    let send = context.rest(Method::POST, &[":send"]).body("application/octet-stream", body);
    send.expect_status(202).await.at("a framed message")?;
    let message = client.next_message().await.at("a framed message")?;
    expect_eq("the framed message", json!({"type": 1, "target": "t", "arguments": []}), message)
}
