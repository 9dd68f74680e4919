//! Cases 74 to 76, 79 and 81: the webhooks that the service sends upstream, and how their responses reach clients.

use reqwest::Method;
use serde_json::{Value, json};

use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client::Client;
use crate::local_server::{ReceivedRequest, Reply};
use crate::protocol::{Protocol, add_length_prefix};
use crate::test_context::TestContext;
use crate::websocket;

pub(super) fn json_body(event: &ReceivedRequest) -> CaseResult<Value> {
    let text = String::from_utf8_lossy(&event.body);
    serde_json::from_str(&text).map_err(|_| Failure::new("a JSON body without a separator", format!("{text:?}")))
}

/// The media type of the event, without parameters.
fn media_type(event: &ReceivedRequest) -> Option<&str> {
    event.header("content-type")?.split(';').next()
}

/// The category and the name of the event, in lower case.
pub(super) fn category_and_name(event: &ReceivedRequest) -> String {
    let header = |name| event.header(name).unwrap_or("-").to_lowercase();
    format!("{} {}", header("x-asrs-category"), header("x-asrs-event"))
}

pub(super) fn completion_error(completion: &Value) -> &str {
    completion["error"].as_str().unwrap_or_default()
}

/// A property of a body, ignoring the case of its name: one known service writes PascalCase.
pub(super) fn property<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A reply with the Completion of the posted invocation.
fn completion_reply(event: &ReceivedRequest, result: &Value) -> Reply {
    let invocation: Value = serde_json::from_slice(&event.body).unwrap_or_default();
    let message = json!({"type": 3, "invocationId": invocation["invocationId"], "result": result});
    Reply::Body { content_type: None, bytes: Protocol::Json.write(&message) }
}

/// Starts to record the events of the hub; the reply is 204.
pub(super) fn record_events(context: &TestContext) -> CaseResult {
    context.webhooks().map(|webhooks| webhooks.set_handler(&context.hub, |_| Reply::Status(204)))
}

pub(super) async fn connected(context: TestContext) -> CaseResult {
    record_events(&context)?;
    let mut client = context.connect(&context.user).await?;
    client.invoke(None, "Foo", json!([1])).await?;
    let events = context.webhook_events(2).await?;
    let names: Vec<_> = events.iter().map(category_and_name).collect();
    expect_eq("the events", "connections connected, messages foo", &names.join(", "))?;
    let event = &events[0];
    expect_eq("the method", "POST", event.method.as_str())?;
    expect_eq("the path", format!("/{}/connections/connected", context.hub), event.path.clone())?;
    expect_eq("X-ASRS-Connection-Id", Some(client.id.as_str()), event.header("x-asrs-connection-id"))?;
    expect_eq("X-ASRS-Hub", Some(context.hub.as_str()), event.header("x-asrs-hub"))?;
    expect_eq("X-ASRS-User-Id", Some(context.user.as_str()), event.header("x-asrs-user-id"))?;
    expect_eq("Content-Type", Some("application/json"), media_type(event))?;
    expect_eq("the type", Some(&json!(10)), property(&json_body(event)?, "type"))?;
    let signature = context.service().key.webhook_signature(&client.id);
    let actual = event.header("x-asrs-signature").unwrap_or_default().to_lowercase();
    let is_signed = actual.split(',').any(|one| one == signature);
    expect(is_signed, "a signature with the access key in X-ASRS-Signature", "others, or none")
}

pub(super) async fn messages(context: TestContext) -> CaseResult {
    record_events(&context)?;
    let mut client = context.connect(&context.user).await?;
    client.invoke(None, "Foo", json!([1])).await?;
    let event = context.webhook_events(2).await?.remove(1);
    expect_eq("the path", format!("/{}/messages/Foo", context.hub), event.path.clone())?;
    expect_eq("Content-Type", Some("application/json"), media_type(&event))?;
    expect_eq("the body", json!({"type": 1, "target": "Foo", "arguments": [1]}), json_body(&event)?)?;

    record_events(&context)?;
    let mut packed = context.client().protocol(Protocol::MessagePack).connect().await?;
    packed.invoke(None, "Foo", json!([1])).await?;
    let event = context.webhook_events(2).await?.remove(1);
    expect_eq("Content-Type", Some("application/x-msgpack"), event.header("content-type"))?;
    let array = rmpv::decode::read_value(&mut &event.body[..]).map_err(|error| Failure::new("MessagePack", error))?;
    // With a length prefix, the body is a message of the hub protocol.
    let message = Protocol::MessagePack.read(&mut add_length_prefix(&array)).and_then(Result::ok);
    expect_eq("the body", Some(json!({"type": 1, "target": "Foo", "arguments": [1]})), message)
}

pub(super) async fn responses(context: TestContext) -> CaseResult {
    let webhooks = context.webhooks()?;
    webhooks.set_handler(&context.hub, |event| match event.header("x-asrs-event") {
        Some("Result") => completion_reply(event, &json!({"is": [7]})),
        Some("Fails") => Reply::Status(500),
        Some("Unreachable") => Reply::CloseConnection,
        _ => Reply::Status(204),
    });
    let mut client = context.connect(&context.user).await?;
    let mut invoke = async |id: &'static str, target: &str| -> CaseResult<Value> {
        client.invoke(Some(id), target, json!([])).await?;
        client.expect_completion(id).await.at(target)
    };
    let completion = json!({"type": 3, "invocationId": "1", "result": {"is": [7]}});
    expect_eq("200 with a Completion", completion, invoke("1", "Result").await?)?;
    let void = invoke("2", "Void").await?;
    let is_void = void.get("error").is_none() && void["result"].is_null();
    expect(is_void, "a Completion without a result for 204", &void)?;
    expect_eq("500", "Invocation failed, status code 500", completion_error(&invoke("3", "Fails").await?))?;
    let unreachable = invoke("4", "Unreachable").await?;
    expect(!completion_error(&unreachable).is_empty(), "an error when the app is unreachable", &unreachable)?;
    invoke("5", "Void").await.at("afterwards").map(drop)
}

pub(super) async fn client_query(context: TestContext) -> CaseResult {
    record_events(&context)?;
    let token = context.client().user(&context.user).token();
    let query = [("hub", context.hub.as_str()), ("room", "blue green"), ("access_token", &token.0)];
    let socket = websocket::open(context.service(), &query, None, None).await?.into_socket()?;
    let mut client = Client::from_socket(socket, context.service(), &context.hub, token.clone());
    client.handshake(1).await?;
    let event = context.webhook_events(1).await?.remove(0);
    let query = event.header("x-asrs-client-query").unwrap_or_default();
    let names = || url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
    let shown = names().map(|(name, _)| name.into_owned()).collect::<Vec<_>>().join(", ");
    expect(query.starts_with('?'), "a query that starts with `?`", &shown)?;
    expect(names().any(|(name, value)| name == "room" && value == "blue green"), "room=blue green", &shown)?;
    expect(!query.contains("access_token") && !query.contains(&token.0), "no access_token", &shown)
}

pub(super) async fn streams(context: TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let stream = json!({"type": 4, "invocationId": "1", "target": "Counter", "arguments": [3]});
    client.send(&stream).await?;
    let completion = client.expect_completion("1").await?;
    expect(!completion_error(&completion).is_empty(), "a Completion with an error", &completion)?;
    context.rest(Method::HEAD, &["connections", &client.id]).expect_status(200).await.map(drop)
}
