//! Cases 82 to 90: published clients in processes of their own, and the requests of .NET programs that the suite cannot run.
//!
//! The clients are redirected to the service by a negotiate endpoint, or connect to its URL directly.

use std::time::Duration;

use futures_util::stream;
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client_process::ClientProcess;
use crate::credentials::AccessKey;
use crate::local_server::{ReceivedRequest, Reply};
use crate::protocol::Protocol;
use crate::service::{API_VERSION, Call, unique_name};
use crate::test_context::TestContext;

/// Longer than the server timeout of any client.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Values of `asrs-user-agent`.
const SDK_AGENT: &str = "Microsoft.Azure.SignalR.Management/1.21.0 (.NET 6.0.0; Linux; X64)";
const HOST_AGENT: &str = "Microsoft.Azure.SignalR.Management/1.21.0 (.NET 6.0.0; Linux; X64) [func=negotiate]";

/// Adds a negotiate endpoint for a user; returns its name and its URL.
fn negotiate_endpoint(context: &TestContext, user: &str) -> (String, String) {
    let name = unique_name("app");
    let url = context.env.negotiate_server.add(&name, &context.hub, &json!({"asrs.s.uid": user}));
    (name, url)
}

/// The settings of a client that connects to the service directly.
fn direct_settings(context: &TestContext, user: &str) -> Value {
    let service = context.service();
    let token = service.token(&service.client_audience(&context.hub), &json!({"asrs.s.uid": user}));
    json!({
        "url": service.client_url(&[], &[("hub", &context.hub)]).as_str(),
        "headers": {"Authorization": format!("Bearer {}", token.0)},
    })
}

/// Sends a message to a user, and expects its client to receive it.
async fn send_and_expect(
    context: &TestContext,
    user: &str,
    arguments: &Value,
    client: &mut ClientProcess,
) -> CaseResult {
    send_to_user(context, user, arguments).await?;
    expect_received(client, arguments).await
}

async fn send_to_user(context: &TestContext, user: &str, arguments: &Value) -> CaseResult {
    context.wait_until_exists(&["users", user]).await?;
    context.send(&["users", user], "receive", arguments).await.map(drop)
}

async fn expect_received(client: &mut ClientProcess, arguments: &Value) -> CaseResult {
    expect_eq("the received arguments", arguments, &client.wait_for("received").await?)
}

pub(super) async fn javascript(context: TestContext) -> CaseResult {
    for (transport, protocol) in [
        ("WebSockets", "json"),
        ("ServerSentEvents", "json"),
        ("LongPolling", "json"),
        ("WebSockets", "messagepack"),
        ("LongPolling", "messagepack"),
    ] {
        let step = format!("{protocol} over {transport}");
        javascript_over(&context, transport, protocol).await.at(step)?;
    }
    Ok(())
}

async fn javascript_over(context: &TestContext, transport: &str, protocol: &str) -> CaseResult {
    let (_, url) = negotiate_endpoint(context, &unique_name("user"));
    let settings = json!({"url": url, "transport": transport, "protocol": protocol});
    let mut client = ClientProcess::javascript(context, &settings).await?;
    let id = client.wait_for("open").await?;
    let id = id.as_str().ok_or_else(|| Failure::new("a connectionId", &id))?;
    context.rest(Method::HEAD, &["connections", id]).expect_status(200).await?;
    context.send(&[], "receive", &json!(["x", 1])).await?;
    expect_received(&mut client, &json!(["x", 1])).await
}

pub(super) async fn javascript_restart(context: TestContext) -> CaseResult {
    let (endpoint, url) = negotiate_endpoint(&context, &context.user);
    let settings = json!({"url": url, "transport": "WebSockets", "protocol": "json"});
    let mut client = ClientProcess::javascript(&context, &settings).await?;
    let before = client.wait_for("open").await?;
    let restart = context.env.restart_command.as_deref().ok_or_else(|| Failure::needs("--restart-command"))?;
    let exit = Command::new("sh").args(["-c", restart]).status().await;
    expect(exit.is_ok_and(|status| status.success()), "a restart that succeeds", "a failure")?;
    let after = client.wait_for("reconnected").await?;
    expect(before != after, "another connectionId", "the same")?;
    let calls = context.env.negotiate_server.calls(&endpoint);
    expect(calls >= 2, "a second negotiation with the app", calls)?;
    send_and_expect(&context, &context.user, &json!([]), &mut client).await
}

pub(super) async fn javascript_stateful(context: TestContext) -> CaseResult {
    let (endpoint, url) = negotiate_endpoint(&context, &context.user);
    let settings = json!({"url": url, "transport": "WebSockets", "protocol": "json", "stateful": true});
    let mut client = ClientProcess::javascript(&context, &settings).await?;
    let before = client.wait_for("open").await?;
    send_and_expect(&context, &context.user, &json!(["before"]), &mut client).await?;
    client.send(&json!({"command": "discard"})).await?;
    client.wait_for("discarding").await?;
    for number in [1, 2] {
        send_to_user(&context, &context.user, &json!([number])).await?;
        expect_eq("the discarded arguments", json!([number]), client.wait_for("discarded").await?)?;
    }
    client.send(&json!({"command": "terminate"})).await?;
    for number in [1, 2] {
        expect_received(&mut client, &json!([number])).await.at("after the reconnect")?;
    }
    // A repeated message would be received before this one.
    send_and_expect(&context, &context.user, &json!(["last"]), &mut client).await?;
    client.send(&json!({"command": "inspect"})).await?;
    let state = client.wait_for("state").await?;
    expect_eq("the connectionId", before, state["id"].clone())?;
    expect_eq("the number of sockets", json!(2), state["sockets"].clone())?;
    let first = state["first"].as_str().unwrap_or_default();
    expect(first.contains(r#""type":9"#), "a Sequence message first on the second socket", first)?;
    expect_eq("the number of negotiations", 1, context.env.negotiate_server.calls(&endpoint))
}

pub(super) async fn javascript_not_stateful(context: TestContext) -> CaseResult {
    let query = [("hub", context.hub.as_str()), ("negotiateVersion", "1"), ("useStatefulReconnect", "true")];
    let token = context.service().client_token(&context.hub);
    let response = context.service().negotiate(&query, &token).expect_json().await?;
    if response["useStatefulReconnect"] == true {
        return Err(Failure::needs("a service that does not offer stateful reconnect; this one does"));
    }
    let (_, url) = negotiate_endpoint(&context, &context.user);
    let settings = json!({"url": url, "transport": "WebSockets", "protocol": "json", "stateful": true});
    let mut client = ClientProcess::javascript(&context, &settings).await?;
    client.wait_for("open").await?;
    send_and_expect(&context, &context.user, &json!(["x"]), &mut client).await?;
    client.send(&json!({"command": "inspect"})).await?;
    let state = client.wait_for("state").await?;
    let first = state["first"].as_str().unwrap_or_default();
    expect(first.contains(r#""version":1"#), "a handshake for version 1", first)
}

pub(super) async fn pysignalr(context: TestContext) -> CaseResult {
    let users = [unique_name("user"), unique_name("user"), unique_name("user")];
    let (_, json_url) = negotiate_endpoint(&context, &users[0]);
    let (_, message_pack_url) = negotiate_endpoint(&context, &users[1]);
    let mut direct = direct_settings(&context, &users[2]);
    direct["protocol"] = json!("json");
    let settings = [
        ("JSON", json!({"url": json_url, "protocol": "json"})),
        ("MessagePack", json!({"url": message_pack_url, "protocol": "messagepack"})),
        ("direct", direct),
    ];
    let mut clients = Vec::new();
    for (name, settings) in &settings {
        clients.push(ClientProcess::pysignalr(&context, settings).await.at(name)?);
    }
    send_now_and_after_idle_time(&context, &settings.map(|(name, _)| name), &users, clients).await
}

/// Sends a message to each client at once, and one after it was idle.
async fn send_now_and_after_idle_time(
    context: &TestContext,
    names: &[&str],
    users: &[String],
    mut clients: Vec<ClientProcess>,
) -> CaseResult {
    for (name, client) in names.iter().zip(&mut clients) {
        client.wait_for("open").await.at(name)?;
    }
    for when in ["at once", "after a minute"] {
        for ((name, client), user) in names.iter().zip(&mut clients).zip(users) {
            let step = format!("{name}, {when}");
            send_and_expect(context, user, &json!([when]), client).await.at(step)?;
        }
        if when == "at once" {
            sleep(IDLE_TIME).await;
        }
    }
    Ok(())
}

pub(super) async fn pysignalr_reconnect(context: TestContext) -> CaseResult {
    let (_, url) = negotiate_endpoint(&context, &context.user);
    let mut client = ClientProcess::pysignalr(&context, &json!({"url": url, "protocol": "json"})).await?;
    client.wait_for("open").await?;
    context.wait_until_exists(&["users", &context.user]).await?;
    context.rest(Method::POST, &["users", &context.user, ":closeConnections"]).expect_status(204).await?;
    client.wait_for("open").await.at("again")?;
    send_and_expect(&context, &context.user, &json!(["x"]), &mut client).await
}

pub(super) async fn signalrcore(context: TestContext) -> CaseResult {
    let users = [unique_name("user"), unique_name("user")];
    let (_, url) = negotiate_endpoint(&context, &users[0]);
    let redirected = ClientProcess::signalrcore(&context, &json!({"url": url})).await?;
    let direct = ClientProcess::signalrcore(&context, &direct_settings(&context, &users[1])).await?;
    send_now_and_after_idle_time(&context, &["redirected", "direct"], &users, vec![redirected, direct]).await
}

/// A call as the .NET SDK makes it: the audience has no port, and `api-version` as its only parameter.
fn sdk_call<'a>(context: &'a TestContext, agent: &str, method: Method, segments: &[&str]) -> Call<'a> {
    let service = context.service();
    let call = context.rest(method, segments);
    let path = call.path().trim_start_matches('/');
    let audience = format!("{}{path}?api-version={API_VERSION}", service.connection.audience_base());
    let token = service.token(&audience, &json!({"nameid": "machine_0123456789abcdef"}));
    call.token(&token).header(HeaderName::from_static("asrs-user-agent"), agent)
}

/// Sends a message as the .NET SDK does: names in PascalCase, the body in chunks.
async fn sdk_send(context: &TestContext, agent: &str, to: &[&str], arguments: &Value) -> CaseResult {
    let text = json!({"Target": "receive", "Arguments": arguments}).to_string();
    let body = reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>(text)]));
    let call = sdk_call(context, agent, Method::POST, &[to, &[":send"]].concat());
    call.body("application/json; charset=utf-8", body).expect_status(202).await.map(drop)
}

pub(super) async fn management_sdk(context: TestContext) -> CaseResult {
    let call = |method, segments: &[&str]| sdk_call(&context, SDK_AGENT, method, segments);
    let absent: [(&[&str], &str); 4] = [
        (&["connections", "unknown"], "Warning.Connection.NotExisted"),
        (&["users", "unknown"], "Warning.User.NotExisted"),
        (&["groups", "unknown"], "Warning.Group.NotExisted"),
        (&["users", "unknown", "groups", "unknown"], "Info.User.NotInGroup"),
    ];
    for (segments, code) in absent {
        // The SDK treats 404 without this code as an unreachable service.
        let call = call(if segments.len() == 4 { Method::GET } else { Method::HEAD }, segments);
        call.expect_error(404, code).await.at(segments[0])?;
    }

    let mut client = context.connect(&context.user).await?;
    let (id, user, group) = (client.id.clone(), context.user.as_str(), context.group.as_str());
    call(Method::PUT, &["users", user, "groups", group]).query("ttl", "60").expect_status(200).await?;
    call(Method::GET, &["users", user, "groups", group]).expect_status(200).await?;
    let receivers: [&[&str]; 4] = [&[], &["users", user], &["groups", group], &["connections", &id]];
    for (number, to) in receivers.into_iter().enumerate() {
        sdk_send(&context, SDK_AGENT, to, &json!([number])).await?;
    }
    client.expect_invocations(&[0, 1, 2, 3].map(|number| ("receive", json!([number])))).await?;
    call(Method::DELETE, &["users", user, "groups", group]).expect_status(204).await?;
    call(Method::DELETE, &["users", user, "groups"]).expect_status(204).await?;
    sdk_send(&context, SDK_AGENT, &["groups", group], &json!([])).await?;
    client.expect_no_invocations().await?;
    call(Method::DELETE, &["connections", &id]).query("reason", "done").expect_status(200).await?;
    client.expect_close_message().await.map(drop)
}

pub(super) async fn functions_host(context: TestContext) -> CaseResult {
    let webhooks = context.webhooks()?;
    let key = context.service().key.clone();
    webhooks.set_handler(&context.hub, move |event| function_trigger(&key, event));
    // The negotiation binding creates a token with the user and copied claims.
    let mut client = context.client().user(&context.user).claim("role", json!(["reader", "writer"])).connect().await?;
    client.invoke(Some("1"), "Add", json!([3, 4])).await?;
    let completion = client.expect_completion("1").await?;
    let expected = json!({"type": 3, "invocationId": "1", "result": 7});
    expect_eq("the response of the function", expected, completion)?;

    let id = client.id.clone();
    let (user, group) = (context.user.as_str(), context.group.as_str());
    let add = sdk_call(&context, HOST_AGENT, Method::PUT, &["groups", group, "connections", &id]);
    add.expect_status(200).await?;
    let receivers: [&[&str]; 4] = [&["connections", &id], &["users", user], &["groups", group], &[]];
    for to in receivers {
        sdk_send(&context, HOST_AGENT, to, &json!(["x"])).await?;
    }
    client.expect_invocations(&[(); 4].map(|()| ("receive", json!(["x"])))).await?;
    let leave = sdk_call(&context, HOST_AGENT, Method::DELETE, &["users", user, "groups"]);
    leave.expect_status(204).await.map(drop)
}

/// A function with a SignalR trigger: rejects other signatures, and returns a Completion without a content type.
fn function_trigger(key: &AccessKey, event: &ReceivedRequest) -> Reply {
    let header = |name| event.header(name).unwrap_or_default();
    let expected = key.webhook_signature(header("x-asrs-connection-id"));
    if !header("x-asrs-signature").split(',').any(|signature| signature.eq_ignore_ascii_case(&expected)) {
        return Reply::Status(401);
    }
    if header("x-asrs-category") != "messages" {
        return Reply::Body { content_type: None, bytes: Vec::new() };
    }
    let invocation: Value = serde_json::from_slice(&event.body).unwrap_or_default();
    let numbers = invocation["arguments"].as_array().into_iter().flatten().filter_map(Value::as_i64);
    let sum = numbers.sum::<i64>();
    let completion = json!({"type": 3, "invocationId": invocation["invocationId"], "result": sum});
    Reply::Body { content_type: None, bytes: Protocol::Json.write(&completion) }
}
