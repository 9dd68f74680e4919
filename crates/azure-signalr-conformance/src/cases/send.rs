//! Cases 45 to 58: what REST calls send to whom, and whose calls are taken.

use futures_util::stream;
use reqwest::Method;
use rmpv::Value as Packed;
use serde_json::{Value, json};

use crate::client::Client;
use crate::outcome::Verdict;
use crate::protocol::Protocol;
use crate::service::{API_VERSION, Call};
use crate::stage::Stage;
use crate::token::Key;

fn to_all(stage: &Stage) -> Call<'_> {
    stage.rest(Method::POST, &[":send"])
}

async fn two(stage: &Stage) -> Verdict<(Client, Client)> {
    tokio::try_join!(stage.connect(&stage.user), stage.connect("another"))
}

pub(super) async fn to_everybody(stage: Stage) -> Verdict {
    let upper = stage.client_of(&stage.hub.to_uppercase()).connect();
    let elsewhere = format!("{}x", stage.hub);
    let (mut a, mut b, mut c) =
        tokio::try_join!(stage.client().connect(), upper, stage.client_of(&elsewhere).connect())?;
    to_all(&stage).json(&json!({"target": "t", "arguments": ["x"]})).status(202).await?;
    a.gets(&[("t", json!(["x"]))]).await?;
    b.gets(&[("t", json!(["x"]))]).await.map_err(|stop| stop.at("the hub in capitals"))?;
    c.gets_nothing().await.map_err(|stop| stop.at("another hub"))
}

pub(super) async fn as_the_sdk_writes_it(stage: Stage) -> Verdict {
    let mut client = stage.client().connect().await?;
    let pieces = [r#"{"Target":"t","#, r#""Arguments":["x"]}"#].map(Ok::<_, std::io::Error>);
    let chunked = reqwest::Body::wrap_stream(stream::iter(pieces));
    to_all(&stage).body("application/json; charset=utf-8", chunked).status(202).await?;
    client.gets(&[("t", json!(["x"]))]).await
}

pub(super) async fn numbers_of_arguments(stage: Stage) -> Verdict {
    let mut client = stage.client().connect().await?;
    let twelve: Value = (1..=12).collect();
    let payloads = [
        json!({"target": "absent"}),
        json!({"target": "null", "arguments": null}),
        json!({"target": "none", "arguments": []}),
        json!({"target": "twelve", "arguments": twelve}),
    ];
    for payload in payloads {
        to_all(&stage).json(&payload).status(202).await.map_err(|stop| stop.at(&payload))?;
    }
    client.gets(&[("absent", json!([])), ("null", json!([])), ("none", json!([])), ("twelve", twelve)]).await
}

pub(super) async fn excluded(stage: Stage) -> Verdict {
    let (mut a, mut b) = two(&stage).await?;
    let mut c = stage.client().connect().await?;
    to_all(&stage)
        .query("excluded", &a.id)
        .query("excluded", &b.id)
        .message("t", &json!([]))
        .status(202)
        .await?;
    a.gets_nothing().await?;
    b.gets_nothing().await?;
    c.gets(&[("t", json!([]))]).await
}

pub(super) async fn in_the_first_version(stage: Stage) -> Verdict {
    let mut client = stage.client().connect().await?;
    stage.v1(Method::POST, &[]).message("t", &json!([])).status(202).await?;
    client.gets(&[("t", json!([]))]).await
}

pub(super) async fn to_a_user(stage: Stage) -> Verdict {
    let (mut a, mut b) = tokio::try_join!(stage.connect(&stage.user), stage.connect(&stage.user))?;
    let mut other = stage.connect("another").await?;
    stage.send(&["users", &stage.user], "t", &json!([])).await?;
    stage.send(&["users", "nobody"], "t", &json!([])).await?;
    a.gets(&[("t", json!([]))]).await?;
    b.gets(&[("t", json!([]))]).await?;
    other.gets_nothing().await
}

pub(super) async fn values(stage: Stage) -> Verdict {
    let packed = stage.client().protocol(Protocol::MessagePack).connect();
    let (json, packed) = tokio::try_join!(stage.client().connect(), packed)?;
    let arguments = json!([
        0, -1, 127, 128, -129, 65_536, 4_294_967_296_u64, -4_294_967_297_i64, 9_007_199_254_740_991_u64,
        0.5, -1.25e-7, true, null, "", "Zoë 🎈 日本", "2026-11-22T06:00:00.0000000+02:00", "2026-11-22",
        {"a": {"b": [{"c": [[]]}]}, "": {}},
    ]);
    let deep = (0..40).fold(json!("deep"), |inner, _| json!([inner]));
    for mut client in [json, packed] {
        let place = client.protocol;
        stage.send(&["connections", &client.id], "t", &arguments).await?;
        client.gets(&[("t", arguments.clone())]).await.map_err(|stop| stop.at(place.name()))?;
        stage
            .send(&["connections", &client.id], "t", &json!([deep]))
            .await
            .map_err(|stop| stop.at("40 levels"))?;
        client.gets(&[("t", json!([deep]))]).await.map_err(|stop| stop.at(place.name()))?;
    }
    Ok(())
}

pub(super) async fn to_a_group(stage: Stage) -> Verdict {
    let (mut a, mut b) = two(&stage).await?;
    let mut outside = stage.client().connect().await?;
    stage.join(&a).await?;
    stage.join(&b).await?;
    stage.send(&["groups", &stage.group], "all", &json!([])).await?;
    let call = stage.rest(Method::POST, &["groups", &stage.group, ":send"]).query("excluded", &a.id);
    call.message("one", &json!([])).status(202).await?;
    a.gets(&[("all", json!([]))]).await?;
    b.gets(&[("all", json!([])), ("one", json!([]))]).await?;
    outside.gets_nothing().await
}

pub(super) async fn of_an_application(stage: Stage) -> Verdict {
    let of_app = stage.client_of(&format!("app_{}", stage.hub)).connect();
    let (mut inside, mut outside) = tokio::try_join!(of_app, stage.client().connect())?;
    to_all(&stage).query("application", "app").message("t", &json!([])).status(202).await?;
    inside.gets(&[("t", json!([]))]).await?;
    outside.gets_nothing().await
}

pub(super) async fn malformed(stage: Stage) -> Verdict {
    for body in [r#"{"arguments":[]}"#, "", "not JSON", r#"{"target":"","arguments":[]}"#] {
        let call = to_all(&stage).body("application/json", body);
        call.status(400).await.map_err(|stop| stop.at(format_args!("body `{body}`")))?;
    }
    let call = to_all(&stage).body("text/plain", r#"{"target":"t","arguments":[]}"#);
    call.status(415).await.map_err(|stop| stop.at("text/plain")).map(drop)
}

/// `hi("x")` framed for one protocol, and `hi("y")` for the other, so that a mix-up shows.
fn framed(protocols: &[Protocol]) -> Vec<u8> {
    let entry = |protocol: &Protocol| {
        let argument = if *protocol == Protocol::Json { "x" } else { "y" };
        let message = json!({"type": 1, "target": "hi", "arguments": [argument]});
        (protocol.name().into(), Packed::Binary(protocol.write(&message)))
    };
    let mut body = Vec::new();
    let map = Packed::Map(protocols.iter().map(entry).collect());
    rmpv::encode::write_value(&mut body, &map).expect("a vector takes everything");
    body
}

pub(super) async fn framed_by_the_caller(stage: Stage) -> Verdict {
    let packed = stage.client().protocol(Protocol::MessagePack).connect();
    let (mut json, mut packed) = tokio::try_join!(stage.client().connect(), packed)?;
    let send = |protocols| to_all(&stage).body("application/octet-stream", framed(protocols)).status(202);
    send(&[Protocol::Json]).await?;
    json.gets(&[("hi", json!(["x"]))]).await?;
    packed.gets_nothing().await?;
    send(&[Protocol::Json, Protocol::MessagePack]).await?;
    json.gets(&[("hi", json!(["x"]))]).await?;
    packed.gets(&[("hi", json!(["y"]))]).await
}

pub(super) async fn limits(stage: Stage) -> Verdict {
    let large = json!({"target": "t", "arguments": ["x".repeat(1 << 20)]});
    to_all(&stage).json(&large).status(413).await.map_err(|stop| stop.at("more than 1 MiB"))?;
    let long = "h".repeat(129);
    for hub in ["1abc", &long] {
        let call = stage.rest_of(hub, Method::POST, &[":send"]).message("t", &json!([]));
        call.status(400).await.map_err(|stop| stop.at(format_args!("hub of {} characters", hub.len())))?;
    }
    let long = "g".repeat(1025);
    for group in ["   ", &long] {
        let call = stage.rest(Method::POST, &["groups", group, ":send"]).message("t", &json!([]));
        call.status(400)
            .await
            .map_err(|stop| stop.at(format_args!("group of {} characters", group.len())))?;
    }
    Ok(())
}

pub(super) async fn encoded_segments(stage: Stage) -> Verdict {
    let user = format!("{}/a b%2F:ü", stage.user);
    let group = format!("{}/../%41", stage.group);
    let mut client = stage.connect(&user).await?;
    let call = stage.rest(Method::PUT, &["groups", &group, "connections", &client.id]);
    call.status(200).await?;
    stage.send(&["users", &user], "user", &json!([])).await?;
    stage.send(&["groups", &group], "group", &json!([])).await?;
    client.gets(&[("user", json!([])), ("group", json!([]))]).await?;
    // What would match if it were decoded twice, or not at all.
    stage.send(&["users", &user.replace("%2F", "/")], "user", &json!([])).await?;
    stage.send(&["groups", &group.replace("%41", "A")], "group", &json!([])).await?;
    client.gets_nothing().await?;
    let strange = stage.rest(Method::HEAD, &["connections", "no/such:connection"]);
    strange.error(404, "Warning.Connection.NotExisted").await.map(drop)
}

pub(super) async fn whose_calls(stage: Stage) -> Verdict {
    let service = stage.service();
    let call = || to_all(&stage).message("t", &json!([]));
    call().without_token().status(401).await.map_err(|stop| stop.at("no token"))?;
    let base = service.connection.audience_base();
    let path = format!("api/hubs/{}/:send", stage.hub);
    let claims = json!({"aud": format!("{base}{path}"), "exp": crate::service::now() + 60});
    let forged =
        Key("not the key of this service at all".to_owned()).sign(crate::token::HEADER, &claims.to_string());
    call().token(&forged).status(401).await.map_err(|stop| stop.at("another key"))?;

    let with_port = format!("{}:{}/{path}", base.trim_end_matches('/'), service.connection.port());
    for audience in [format!("{base}{path}?api-version={API_VERSION}"), with_port] {
        let token = service.token(&audience, &json!({}));
        call().token(&token).status(202).await.map_err(|stop| stop.at(audience))?;
    }
    let audience = format!("{base}api/v1/hubs/{}", stage.hub);
    let first =
        stage.v1(Method::POST, &[]).message("t", &json!([])).token(&service.token(&audience, &json!({})));
    first.status(202).await.map_err(|stop| stop.at(audience)).map(drop)
}
