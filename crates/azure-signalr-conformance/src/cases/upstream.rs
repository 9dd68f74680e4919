//! Cases 74 to 81: the webhooks that the service sends upstream, and how their responses reach clients.

use reqwest::Method;
use serde_json::{Value, json};

use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client::Client;
use crate::local_server::{ReceivedRequest, Reply};
use crate::protocol::{Protocol, add_length_prefix};
use crate::service::with_timeout;
use crate::test_context::TestContext;
use crate::websocket;

fn json_body(event: &ReceivedRequest) -> CaseResult<Value> {
    let text = String::from_utf8_lossy(&event.body);
    serde_json::from_str(&text).map_err(|_| Failure::new("a JSON body without a separator", format!("{text:?}")))
}

/// The media type of the event, without parameters.
fn media_type(event: &ReceivedRequest) -> Option<&str> {
    event.header("content-type")?.split(';').next()
}

/// The category and the name of the event, in lower case.
fn category_and_name(event: &ReceivedRequest) -> String {
    let header = |name| event.header(name).unwrap_or("-").to_lowercase();
    format!("{} {}", header("x-asrs-category"), header("x-asrs-event"))
}

fn completion_error(completion: &Value) -> &str {
    completion["error"].as_str().unwrap_or_default()
}

/// A property of a body, ignoring the case of its name: one known service writes PascalCase.
fn property<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A reply with the Completion of the posted invocation.
fn completion_reply(event: &ReceivedRequest, result: &Value) -> Reply {
    let invocation: Value = serde_json::from_slice(&event.body).unwrap_or_default();
    let message = json!({"type": 3, "invocationId": invocation["invocationId"], "result": result});
    Reply::Body { content_type: None, bytes: Protocol::Json.write(&message) }
}

/// Starts to record the events of the hub; the reply is 204.
fn record_events(context: &TestContext) -> CaseResult {
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

pub(super) async fn disconnected(context: TestContext) -> CaseResult {
    let clean = disconnected_event(&context, async |client: Client| client.close().await).await?;
    expect_eq("the error of a closed connection", None, property(&clean, "error"))?;
    let broken = disconnected_event(&context, async |client: Client| {
        client.abort();
        Ok(())
    });
    let broken = broken.await?;
    let has_error = property(&broken, "error").is_some_and(Value::is_string);
    expect(has_error, "an error for a broken connection", &broken)
}

/// The body of the only `disconnected` event after a client is disconnected by the function.
async fn disconnected_event(
    context: &TestContext,
    disconnect: impl AsyncFnOnce(Client) -> CaseResult,
) -> CaseResult<Value> {
    record_events(context)?;
    let client = context.connect(&context.user).await?;
    let id = client.id.clone();
    disconnect(client).await?;
    let events = context.webhook_events(2).await?;
    expect_eq("the second event", "connections disconnected", &category_and_name(&events[1]))?;
    let body = json_body(&events[1])?;
    expect_eq("the type", Some(&json!(11)), property(&body, "type"))?;
    // A second `disconnected` event would arrive before the `connected` event of another client.
    let next = context.connect(&context.user).await?;
    let events = context.webhook_events(3).await?;
    let disconnected = events.iter().filter(|event| {
        event.header("x-asrs-connection-id") == Some(&id) && category_and_name(event) == "connections disconnected"
    });
    expect_eq("the number of `disconnected` events", 1, disconnected.count())?;
    next.close().await?;
    context.webhook_events(4).await?;
    Ok(body)
}

pub(super) async fn templates(context: TestContext) -> CaseResult {
    let webhooks = context.webhooks()?;
    let template = |prefix: &str, events: &str| {
        json!({
            "UrlTemplate": webhooks.url(&format!("/{prefix}/{{hub}}/{{category}}/{{event}}")),
            "HubPattern": context.hub, "CategoryPattern": "*", "EventPattern": events,
        })
    };
    let templates = [template("first", "connected, disconnected"), template("second", "*"), template("third", "*")];
    let written = webhooks.write_templates(&templates)?;
    let mut client = connect_when_posted_to(&context, "/first/").await?;
    record_events(&context)?;
    client.invoke(None, "a/b ü", json!([])).await?;
    client.close().await?;
    let paths: Vec<String> = context.webhook_events(2).await?.into_iter().map(|event| event.path).collect();
    let hub = &context.hub;
    let expected =
        vec![format!("/second/{hub}/messages/a%2Fb%20%C3%BC"), format!("/first/{hub}/connections/disconnected")];
    expect_eq("the paths", expected, paths)?;

    drop(written);
    connect_when_posted_to(&context, &format!("/{hub}/")).await.map(drop)
}

/// Connects clients until a `connected` event has a path prefix: until the service has read its new settings.
async fn connect_when_posted_to(context: &TestContext, prefix: &str) -> CaseResult<Client> {
    let timeout = context.service().timeout;
    let read = async {
        loop {
            record_events(context)?;
            let client = context.connect(&context.user).await?;
            let events = context.webhook_events(1).await?;
            if events[0].path.starts_with(prefix) {
                return Ok(client);
            }
            context.close_client(client).await?;
            context.webhook_events(2).await?;
        }
    };
    with_timeout(timeout, &format!("events at {prefix} after the settings changed"), read).await
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

pub(super) async fn without_upstream(context: TestContext) -> CaseResult {
    let Some(webhooks) = &context.env.webhooks else { return expect_invocation_error(&context).await };
    if !webhooks.can_write_settings() {
        return Err(Failure::needs("--upstream-settings, or a service without an upstream and no --upstream-port"));
    }
    let _written = webhooks.write_settings(r#"{"UpstreamSettings":{"Templates":[]}}"#)?;
    expect_invocation_error(&context).await
}

/// Invokes until a Completion has an error, since the service may read its new settings with a delay.
async fn expect_invocation_error(context: &TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let invoking = async {
        for id in 1.. {
            let id = id.to_string();
            client.invoke(Some(&id), "Method", json!([])).await?;
            if !completion_error(&client.expect_completion(&id).await?).is_empty() {
                return Ok(());
            }
        }
        Ok(())
    };
    with_timeout(context.service().timeout, "a Completion with an error", invoking).await
}

pub(super) async fn streams(context: TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let stream = json!({"type": 4, "invocationId": "1", "target": "Counter", "arguments": [3]});
    client.send(&stream).await?;
    let completion = client.expect_completion("1").await?;
    expect(!completion_error(&completion).is_empty(), "a Completion with an error", &completion)?;
    context.rest(Method::HEAD, &["connections", &client.id]).expect_status(200).await.map(drop)
}
