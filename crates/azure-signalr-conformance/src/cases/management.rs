//! Cases 59 to 73: connections, users and groups in the REST API, and its newer operations.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use crate::case_result::{AtStep, CaseResult, Failure, expect, expect_eq};
use crate::client::Client;
use crate::credentials::Token;
use crate::service::{Call, unix_now};
use crate::test_context::TestContext;
use crate::websocket;

/// The versions of the API that introduced an operation, and the newest one.
const VERSION_OF_GENERATE_TOKEN: &str = "2022-11-01";
const VERSION_OF_EXECUTE: &str = "2023-07-01";
const NEWEST_VERSION: &str = "2024-12-01";

fn membership<'a>(context: &'a TestContext, method: Method) -> Call<'a> {
    context.rest(method, &["users", &context.user, "groups", &context.group])
}

async fn send_to_group(context: &TestContext) -> CaseResult {
    context.send(&["groups", &context.group], "group", &json!([])).await.map(drop)
}

/// The invocation that `send_to_group` sends.
fn group_invocation() -> Vec<(&'static str, Value)> {
    vec![("group", json!([]))]
}

pub(super) async fn existence(context: TestContext) -> CaseResult {
    let client = context.connect(&context.user).await?;
    context.join_group(&client).await?;
    let (user, group) = (context.user.as_str(), context.group.as_str());
    for (existing, absent, code) in [
        (["connections", &client.id], ["connections", "unknown"], "Warning.Connection.NotExisted"),
        (["users", user], ["users", "unknown"], "Warning.User.NotExisted"),
        (["groups", group], ["groups", "unknown"], "Warning.Group.NotExisted"),
    ] {
        let kind = existing[0];
        context.rest(Method::HEAD, &existing).expect_status(200).await.at(kind)?;
        context.rest(Method::HEAD, &absent).expect_error(404, code).await.at(kind)?;
        context.rest_v1(Method::GET, &existing).expect_status(200).await.at(kind).at("v1")?;
        context.rest_v1(Method::GET, &absent).expect_error(404, code).await.at(kind).at("v1")?;
    }
    Ok(())
}

pub(super) async fn user_in_group(context: TestContext) -> CaseResult {
    let _client = context.connect(&context.user).await?;
    let calls = |method: Method| {
        let v1 = ["groups", context.group.as_str(), "users", context.user.as_str()];
        [membership(&context, method.clone()), context.rest_v1(method, &v1)]
    };
    for call in [calls(Method::GET), calls(Method::HEAD)].into_iter().flatten() {
        call.expect_error(404, "Info.User.NotInGroup").await?;
    }
    membership(&context, Method::PUT).expect_status(200).await?;
    for call in [calls(Method::GET), calls(Method::HEAD)].into_iter().flatten() {
        call.expect_status(200).await?;
    }
    Ok(())
}

pub(super) async fn add_connection_to_group(context: TestContext) -> CaseResult {
    let client = context.connect(&context.user).await?;
    context.join_group(&client).await?;
    let unknown = context.rest(Method::PUT, &["groups", &context.group, "connections", "unknown"]);
    unknown.expect_error(404, "Error.Connection.NotExisted").await.map(drop)
}

pub(super) async fn leave_unjoined_groups(context: TestContext) -> CaseResult {
    let client = context.connect(&context.user).await?;
    let one = context.rest(Method::DELETE, &["groups", &context.group, "connections", &client.id]);
    one.expect_status(200).await.at("a connection leaves a group")?;
    let all = context.rest(Method::DELETE, &["connections", &client.id, "groups"]);
    all.expect_status(200).await.at("a connection leaves all groups")?;
    let user = context.rest(Method::DELETE, &["users", "unknown", "groups"]);
    user.expect_status(204).await.at("an unknown user leaves all groups").map(drop)
}

pub(super) async fn add_absent_user_to_group(context: TestContext) -> CaseResult {
    membership(&context, Method::PUT).expect_status(200).await?;
    let mut client = context.connect(&context.user).await?;
    send_to_group(&context).await?;
    client.expect_invocations(&group_invocation()).await
}

pub(super) async fn memberships_after_reconnect(context: TestContext) -> CaseResult {
    let client = context.connect(&context.user).await?;
    membership(&context, Method::PUT).expect_status(200).await?;
    let own = context.rest(Method::PUT, &["groups", "connection", "connections", &client.id]);
    own.expect_status(200).await?;
    context.close_client(client).await?;
    let mut client = context.connect(&context.user).await?;
    send_to_group(&context).await?;
    context.send(&["groups", "connection"], "connection", &json!([])).await?;
    client.expect_invocations(&group_invocation()).await
}

pub(super) async fn membership_ttl(context: TestContext) -> CaseResult {
    for ttl in ["-1", "x"] {
        let call = membership(&context, Method::PUT).query("ttl", ttl);
        call.expect_status(400).await.at(format_args!("ttl={ttl}"))?;
    }
    let mut early = context.connect(&context.user).await?;
    membership(&context, Method::PUT).query("ttl", "2").expect_status(200).await?;
    send_to_group(&context).await?;
    early.expect_invocations(&group_invocation()).await.at("ttl=2, at once")?;
    sleep(Duration::from_secs(3)).await;
    let mut late = context.connect(&context.user).await?;
    send_to_group(&context).await?;
    late.expect_no_invocations().await.at("ttl=2, connected after 3 s")?;
    early.expect_no_invocations().await.at("ttl=2, connected before")?;

    membership(&context, Method::PUT).query("ttl", "0").expect_status(200).await?;
    let mut later = context.connect(&context.user).await?;
    send_to_group(&context).await?;
    early.expect_invocations(&group_invocation()).await.at("ttl=0, connected before")?;
    later.expect_no_invocations().await.at("ttl=0, connected after")
}

pub(super) async fn close_connection(context: TestContext) -> CaseResult {
    let with_errors = context.client().claim("asrs.s.derror", json!("True")).connect();
    let (with_errors, without) = tokio::try_join!(with_errors, context.client().connect())?;
    for (mut client, error) in [(with_errors, Some("a reason")), (without, None)] {
        let call = context.rest(Method::DELETE, &["connections", &client.id]).query("reason", "a reason");
        call.expect_status(200).await?;
        let close = client.expect_close_message().await?;
        expect_eq("the error of the Close message", error, close["error"].as_str())?;
    }
    Ok(())
}

pub(super) async fn close_connections(context: TestContext) -> CaseResult {
    for to in [&[][..], &["groups", &context.group], &["users", &context.user]] {
        let receiver = to.first().copied().unwrap_or("hub");
        let (mut closed, mut excluded) =
            tokio::try_join!(context.connect(&context.user), context.connect(&context.user))?;
        for client in [&closed, &excluded] {
            context.join_group(client).await?;
        }
        let segments = [to, &[":closeConnections"]].concat();
        let call = context.rest(Method::POST, &segments).query("excluded", &excluded.id).query("reason", "r");
        call.expect_status(204).await.at(receiver)?;
        closed.expect_close_message().await.at(receiver)?;
        excluded.expect_no_invocations().await.at(receiver)?;
        context.close_client(excluded).await?;
    }
    Ok(())
}

pub(super) async fn health(context: TestContext) -> CaseResult {
    let health = |segments: &[&str]| context.service().call(Method::HEAD, segments).without_token();
    health(&["api", "health"]).version("2022-06-01").expect_status(200).await?;
    health(&["api", "v1", "health"]).expect_status(200).await.at("v1").map(drop)
}

pub(super) async fn generate_token(context: TestContext) -> CaseResult {
    let generate = |minutes: &str| {
        let call = context.rest(Method::POST, &[":generateToken"]).version(VERSION_OF_GENERATE_TOKEN);
        call.query("userId", &context.user).query("minutesToExpire", minutes)
    };
    let start = unix_now();
    let response = generate("5").expect_json().await?;
    let token = response["token"].as_str().map(|token| Token(token.to_owned()));
    let token = token.ok_or_else(|| Failure::new("a token", "none"))?;
    let claims = token.claims().ok_or_else(|| Failure::new("a JWT", "something else"))?;
    let lifetime = claims["exp"].as_u64().unwrap_or_default().saturating_sub(start);
    expect((295..=330).contains(&lifetime), "an expiry in 300 s", format_args!("{lifetime} s"))?;

    let socket =
        websocket::open(context.service(), &[("hub", &context.hub)], Some(&token), None).await?.into_socket()?;
    let mut client = Client::from_socket(socket, context.service(), &context.hub, token);
    client.handshake(1).await?;
    context.send(&["users", &context.user], "t", &json!([])).await?;
    let message = client.next_message().await?;
    expect_eq("the target of the message to the user", "t", message["target"].as_str().unwrap_or_default())?;
    generate("0").expect_status(400).await.at("minutesToExpire=0").map(drop)
}

pub(super) async fn list_group(context: TestContext) -> CaseResult {
    let (mut members, mut expected) = (Vec::new(), Vec::new());
    for number in 0..5 {
        let user = format!("{}{number}", context.user);
        let client = context.connect(&user).await?;
        context.join_group(&client).await?;
        expected.push((client.id.clone(), user));
        members.push(client);
    }
    let list = || context.rest(Method::GET, &["groups", &context.group, "connections"]).version(NEWEST_VERSION);
    let (sizes, mut found) = read_pages(&context, list().query("maxpagesize", "2")).await?;
    expect_eq("the sizes of the pages", vec![2, 2, 1], sizes)?;
    expected.sort();
    found.sort();
    expect_eq("the members and their users", expected, found)?;
    let (sizes, _) = read_pages(&context, list().query("maxpagesize", "2").query("top", "3")).await?;
    expect_eq("the number of members with top=3", 3, sizes.iter().sum())?;
    for size in ["0", "201"] {
        let call = list().query("maxpagesize", size);
        call.expect_status(400).await.at(format_args!("maxpagesize={size}"))?;
    }
    Ok(())
}

/// Reads all pages; returns their sizes, and the connections and users on them.
async fn read_pages(context: &TestContext, first: Call<'_>) -> CaseResult<(Vec<usize>, Vec<(String, String)>)> {
    let (mut sizes, mut found) = (Vec::new(), Vec::new());
    let mut page = first.expect_json().await?;
    loop {
        let members = page["value"].as_array().cloned().ok_or_else(|| Failure::new("a page", &page))?;
        sizes.push(members.len());
        let text = |member: &Value, name: &str| member[name].as_str().unwrap_or_default().to_owned();
        found.extend(members.iter().map(|member| (text(member, "connectionId"), text(member, "userId"))));
        let Some(next) = page.get("nextLink").and_then(Value::as_str) else { return Ok((sizes, found)) };
        expect(sizes.len() < 10, "fewer than ten pages", "ten pages")?;
        let next = Url::parse(next).map_err(|_| Failure::new("an absolute nextLink", next))?;
        page = context.service().call_url(Method::GET, next).expect_json().await?;
    }
}

pub(super) async fn invoke_client(context: TestContext) -> CaseResult {
    let mut client = context.connect(&context.user).await?;
    let invoke = |id: &str| {
        let call = context.rest(Method::POST, &["connections", id, ":invoke"]).version(NEWEST_VERSION);
        call.message("add", &json!([3, 4]))
    };
    let id = client.id.clone();
    let (response, _) = tokio::try_join!(invoke(&id).expect_status(200), complete(&mut client, json!({"result": 7})))?;
    expect_eq("the result", json!(7), response.json()?["result"].clone())?;
    let error = json!({"error": "Client didn't provide a result."});
    let (response, _) = tokio::try_join!(invoke(&id).response(), complete(&mut client, error))?;
    let is_error = response.status.is_client_error() || response.status.is_server_error();
    expect(is_error, "an error for a client without a handler", response.status)?;
    invoke("unknown").expect_status(404).await.at("an unknown connection").map(drop)
}

/// Completes the next invocation of the client with a result or an error.
async fn complete(client: &mut Client, outcome: Value) -> CaseResult {
    let invocation = client.next_message().await?;
    let called = (invocation["target"].clone(), invocation["arguments"].clone());
    expect_eq("the invocation", (json!("add"), json!([3, 4])), called)?;
    expect(invocation["invocationId"].is_string(), "an invocationId", &invocation)?;
    let mut completion = json!({"type": 3, "invocationId": invocation["invocationId"]});
    for (name, value) in outcome.as_object().into_iter().flatten() {
        completion[name] = value.clone();
    }
    client.send(&completion).await
}

pub(super) async fn execute(context: TestContext) -> CaseResult {
    let (matching, other) = (context.connect(&context.user), context.connect("another"));
    let (mut matching, mut other) = tokio::try_join!(matching, other)?;
    let call = context.rest(Method::POST, &[":execute"]).version(VERSION_OF_EXECUTE);
    let call = call.query("filter", &format!("userId eq '{}'", context.user));
    call.json(&json!([{"type": "JoinGroup", "group": context.group}])).expect_status(202).await?;
    context.wait_until_exists(&["groups", &context.group]).await?;
    send_to_group(&context).await?;
    matching.expect_invocations(&group_invocation()).await?;
    other.expect_no_invocations().await
}

pub(super) async fn unknown_paths(context: TestContext) -> CaseResult {
    let unknown = context.rest(Method::GET, &["no", "such", "thing"]);
    unknown.expect_status(404).await.at("an unknown path")?;
    let method = context.rest(Method::PATCH, &["users", &context.user]);
    method.expect_status(405).await.at("another method").map(drop)
}
