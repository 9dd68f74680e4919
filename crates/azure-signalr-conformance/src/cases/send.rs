//! Cases 45 to 58 and 91: sending messages with REST calls.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use rmpv::Value as Packed;
use serde_json::{Value, json};

use crate::case_result::{AtStep, CaseResult};
use crate::client::Client;
use crate::credentials::{AccessKey, HEADER};
use crate::protocol::Protocol;
use crate::service::{API_VERSION, Call, unix_now};
use crate::test_context::TestContext;

/// The numbers of clients, messages and concurrent connection attempts of case 91.
const CLIENTS: usize = 1000;
const MESSAGES: usize = 5;
const CONCURRENCY: usize = 50;

fn to_all(context: &TestContext) -> Call<'_> {
    context.rest(Method::POST, &[":send"])
}

async fn connect_two(context: &TestContext) -> CaseResult<(Client, Client)> {
    tokio::try_join!(context.connect(&context.user), context.connect("another"))
}

pub(super) async fn to_hub(context: TestContext) -> CaseResult {
    let upper = context.client_of(&context.hub.to_uppercase()).connect();
    let other_hub = format!("{}x", context.hub);
    let (mut a, mut b, mut c) =
        tokio::try_join!(context.client().connect(), upper, context.client_of(&other_hub).connect())?;
    to_all(&context).json(&json!({"target": "t", "arguments": ["x"]})).expect_status(202).await?;
    a.expect_invocations(&[("t", json!(["x"]))]).await?;
    b.expect_invocations(&[("t", json!(["x"]))]).await.at("the hub in upper case")?;
    c.expect_no_invocations().await.at("another hub")
}

pub(super) async fn sdk_body(context: TestContext) -> CaseResult {
    let mut client = context.client().connect().await?;
    let pieces = [r#"{"Target":"t","#, r#""Arguments":["x"]}"#].map(Ok::<_, std::io::Error>);
    let chunked = reqwest::Body::wrap_stream(stream::iter(pieces));
    to_all(&context).body("application/json; charset=utf-8", chunked).expect_status(202).await?;
    client.expect_invocations(&[("t", json!(["x"]))]).await
}

pub(super) async fn arguments(context: TestContext) -> CaseResult {
    let mut client = context.client().connect().await?;
    let twelve: Value = (1..=12).collect();
    let payloads = [
        json!({"target": "absent"}),
        json!({"target": "null", "arguments": null}),
        json!({"target": "none", "arguments": []}),
        json!({"target": "twelve", "arguments": twelve}),
    ];
    for payload in payloads {
        to_all(&context).json(&payload).expect_status(202).await.at(&payload)?;
    }
    let expected = [("absent", json!([])), ("null", json!([])), ("none", json!([])), ("twelve", twelve)];
    client.expect_invocations(&expected).await
}

pub(super) async fn excluded(context: TestContext) -> CaseResult {
    let (mut a, mut b) = connect_two(&context).await?;
    let mut c = context.client().connect().await?;
    let call = to_all(&context).query("excluded", &a.id).query("excluded", &b.id);
    call.message("t", &json!([])).expect_status(202).await?;
    a.expect_no_invocations().await?;
    b.expect_no_invocations().await?;
    c.expect_invocations(&[("t", json!([]))]).await
}

pub(super) async fn v1(context: TestContext) -> CaseResult {
    let mut client = context.client().connect().await?;
    context.rest_v1(Method::POST, &[]).message("t", &json!([])).expect_status(202).await?;
    client.expect_invocations(&[("t", json!([]))]).await
}

pub(super) async fn to_user(context: TestContext) -> CaseResult {
    let (mut a, mut b) = tokio::try_join!(context.connect(&context.user), context.connect(&context.user))?;
    let mut other = context.connect("another").await?;
    context.send(&["users", &context.user], "t", &json!([])).await?;
    context.send(&["users", "unknown"], "t", &json!([])).await?;
    a.expect_invocations(&[("t", json!([]))]).await?;
    b.expect_invocations(&[("t", json!([]))]).await?;
    other.expect_no_invocations().await
}

pub(super) async fn values(context: TestContext) -> CaseResult {
    let packed = context.client().protocol(Protocol::MessagePack).connect();
    let (json, packed) = tokio::try_join!(context.client().connect(), packed)?;
    let arguments = json!([
        0, -1, 127, 128, -129, 65_536, 4_294_967_296_u64, -4_294_967_297_i64, 9_007_199_254_740_991_u64,
        0.5, -1.25e-7, true, null, "", "Zoë 🎈 日本", "2026-11-22T06:00:00.0000000+02:00", "2026-11-22",
        {"a": {"b": [{"c": [[]]}]}, "": {}},
    ]);
    let deep = (0..40).fold(json!("deep"), |inner, _| json!([inner]));
    for mut client in [json, packed] {
        let protocol = client.protocol.name();
        context.send(&["connections", &client.id], "t", &arguments).await?;
        client.expect_invocations(&[("t", arguments.clone())]).await.at(protocol)?;
        context.send(&["connections", &client.id], "t", &json!([deep])).await.at("40 levels")?;
        client.expect_invocations(&[("t", json!([deep]))]).await.at(protocol)?;
    }
    Ok(())
}

pub(super) async fn to_group(context: TestContext) -> CaseResult {
    let (mut a, mut b) = connect_two(&context).await?;
    let mut outside = context.client().connect().await?;
    context.join_group(&a).await?;
    context.join_group(&b).await?;
    context.send(&["groups", &context.group], "all", &json!([])).await?;
    let call = context.rest(Method::POST, &["groups", &context.group, ":send"]).query("excluded", &a.id);
    call.message("one", &json!([])).expect_status(202).await?;
    a.expect_invocations(&[("all", json!([]))]).await?;
    b.expect_invocations(&[("all", json!([])), ("one", json!([]))]).await?;
    outside.expect_no_invocations().await
}

pub(super) async fn to_application_hub(context: TestContext) -> CaseResult {
    let in_application = context.client_of(&format!("app_{}", context.hub)).connect();
    let (mut inside, mut outside) = tokio::try_join!(in_application, context.client().connect())?;
    to_all(&context).query("application", "app").message("t", &json!([])).expect_status(202).await?;
    inside.expect_invocations(&[("t", json!([]))]).await?;
    outside.expect_no_invocations().await
}

pub(super) async fn invalid_body(context: TestContext) -> CaseResult {
    for body in [r#"{"arguments":[]}"#, "", "not JSON", r#"{"target":"","arguments":[]}"#] {
        let call = to_all(&context).body("application/json", body);
        call.expect_status(400).await.at(format_args!("body `{body}`"))?;
    }
    let call = to_all(&context).body("text/plain", r#"{"target":"t","arguments":[]}"#);
    call.expect_status(415).await.at("text/plain").map(drop)
}

/// A body with a frame for each protocol: `hi("x")` for JSON, `hi("y")` for MessagePack.
fn frames_body(protocols: &[Protocol]) -> Vec<u8> {
    let entry = |protocol: &Protocol| {
        let argument = if *protocol == Protocol::Json { "x" } else { "y" };
        let message = json!({"type": 1, "target": "hi", "arguments": [argument]});
        (protocol.name().into(), Packed::Binary(protocol.write(&message)))
    };
    let mut body = Vec::new();
    let map = Packed::Map(protocols.iter().map(entry).collect());
    rmpv::encode::write_value(&mut body, &map).expect("writing to a vector cannot fail");
    body
}

pub(super) async fn protocol_frames(context: TestContext) -> CaseResult {
    let packed = context.client().protocol(Protocol::MessagePack).connect();
    let (mut json, mut packed) = tokio::try_join!(context.client().connect(), packed)?;
    let send = |protocols| to_all(&context).body("application/octet-stream", frames_body(protocols)).expect_status(202);
    send(&[Protocol::Json]).await?;
    json.expect_invocations(&[("hi", json!(["x"]))]).await?;
    packed.expect_no_invocations().await?;
    send(&[Protocol::Json, Protocol::MessagePack]).await?;
    json.expect_invocations(&[("hi", json!(["x"]))]).await?;
    packed.expect_invocations(&[("hi", json!(["y"]))]).await
}

pub(super) async fn limits(context: TestContext) -> CaseResult {
    let large = json!({"target": "t", "arguments": ["x".repeat(1 << 20)]});
    to_all(&context).json(&large).expect_status(413).await.at("more than 1 MiB")?;
    let long = "h".repeat(129);
    for hub in ["1abc", &long] {
        let call = context.rest_of(hub, Method::POST, &[":send"]).message("t", &json!([]));
        call.expect_status(400).await.at(format_args!("hub of {} characters", hub.len()))?;
    }
    let long = "g".repeat(1025);
    for group in ["   ", &long] {
        let call = context.rest(Method::POST, &["groups", group, ":send"]).message("t", &json!([]));
        call.expect_status(400).await.at(format_args!("group of {} characters", group.len()))?;
    }
    Ok(())
}

pub(super) async fn encoded_segments(context: TestContext) -> CaseResult {
    let user = format!("{}/a b%2F:ü", context.user);
    let group = format!("{}/../%41", context.group);
    let mut client = context.connect(&user).await?;
    let call = context.rest(Method::PUT, &["groups", &group, "connections", &client.id]);
    call.expect_status(200).await?;
    context.send(&["users", &user], "user", &json!([])).await?;
    context.send(&["groups", &group], "group", &json!([])).await?;
    client.expect_invocations(&[("user", json!([])), ("group", json!([]))]).await?;
    // These names would match if they were decoded twice.
    context.send(&["users", &user.replace("%2F", "/")], "user", &json!([])).await?;
    context.send(&["groups", &group.replace("%41", "A")], "group", &json!([])).await?;
    client.expect_no_invocations().await?;
    let unknown = context.rest(Method::HEAD, &["connections", "no/such:connection"]);
    unknown.expect_error(404, "Warning.Connection.NotExisted").await.map(drop)
}

pub(super) async fn authorization(context: TestContext) -> CaseResult {
    let service = context.service();
    let call = || to_all(&context).message("t", &json!([]));
    call().without_token().expect_status(401).await.at("no token")?;
    let base = service.connection.audience_base();
    let path = format!("api/hubs/{}/:send", context.hub);
    let claims = json!({"aud": format!("{base}{path}"), "exp": unix_now() + 60});
    let forged = AccessKey("not the key of this service at all".to_owned()).sign(HEADER, &claims.to_string());
    call().token(&forged).expect_status(401).await.at("another key")?;

    let with_port = format!("{}:{}/{path}", base.trim_end_matches('/'), service.connection.port());
    for audience in [format!("{base}{path}?api-version={API_VERSION}"), with_port] {
        let token = service.token(&audience, &json!({}));
        call().token(&token).expect_status(202).await.at(audience)?;
    }
    let audience = format!("{base}api/v1/hubs/{}", context.hub);
    let first =
        context.rest_v1(Method::POST, &[]).message("t", &json!([])).token(&service.token(&audience, &json!({})));
    first.expect_status(202).await.at(audience).map(drop)
}

pub(super) async fn thousand_clients(context: TestContext) -> CaseResult {
    let connecting = stream::iter(0..CLIENTS).map(|_| context.client().connect()).buffer_unordered(CONCURRENCY);
    let clients: Vec<_> = connecting.try_collect().await?;
    for number in 0..MESSAGES {
        context.rest(Method::POST, &[":send"]).message("t", &json!([number])).expect_status(202).await?;
    }
    let expected: Vec<_> = (0..MESSAGES).map(|number| ("t", json!([number]))).collect();
    let checks = stream::iter(clients).map(|mut client| {
        let expected = &expected;
        async move { client.expect_invocations(expected).await }
    });
    checks.buffer_unordered(CONCURRENCY).try_collect().await
}
