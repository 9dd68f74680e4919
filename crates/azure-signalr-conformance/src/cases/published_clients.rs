//! Cases 82 to 88: the published clients, end to end, each in a process of its own.
//!
//! They come as they come: an app sends them on to the service, or they are given the service's own address.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use crate::outcome::{Stop, Verdict, holds, same};
use crate::random::name;
use crate::script::Script;
use crate::stage::Stage;

/// Longer than any client waits for a sign of life.
const A_MINUTE: Duration = Duration::from_secs(60);

/// An app of the case whose visitors are this user; its name and its address.
fn app(stage: &Stage, user: &str) -> (String, String) {
    let app = name("app");
    let url = stage.house.apps.open(&app, &stage.hub, &json!({"asrs.s.uid": user}));
    (app, url)
}

async fn tell(stage: &Stage, user: &str, arguments: &Value) -> Verdict {
    stage.until_there(&["users", user]).await?;
    stage.send(&["users", user], "told", arguments).await.map(drop)
}

pub(super) async fn javascript(stage: Stage) -> Verdict {
    let ways = [
        ("WebSockets", "json"),
        ("ServerSentEvents", "json"),
        ("LongPolling", "json"),
        ("WebSockets", "messagepack"),
        ("LongPolling", "messagepack"),
    ];
    for (transport, protocol) in ways {
        let way = |stop: Stop| stop.at(format_args!("{protocol} over {transport}"));
        javascript_by(&stage, transport, protocol).await.map_err(way)?;
    }
    Ok(())
}

async fn javascript_by(stage: &Stage, transport: &str, protocol: &str) -> Verdict {
    let (_, url) = app(stage, &name("user"));
    let settings = json!({"url": url, "transport": transport, "protocol": protocol});
    let mut client = Script::javascript(stage, &settings).await?;
    let id = client.says("open").await?;
    let id = id.as_str().ok_or_else(|| Stop::failed("a connectionId", &id))?;
    stage.rest(Method::HEAD, &["connections", id]).status(200).await?;
    stage.send(&[], "told", &json!(["x", 1])).await?;
    same("what it is told", json!(["x", 1]), client.says("told").await?)
}

pub(super) async fn javascript_after_a_restart(stage: Stage) -> Verdict {
    let (app, url) = app(&stage, &stage.user);
    let settings = json!({"url": url, "transport": "WebSockets", "protocol": "json"});
    let mut client = Script::javascript(&stage, &settings).await?;
    let before = client.says("open").await?;
    let restart = stage.house.restart_command.as_deref().ok_or_else(|| Stop::needs("--restart-command"))?;
    let ended = Command::new("sh").args(["-c", restart]).status().await;
    holds(ended.is_ok_and(|status| status.success()), "a restart that succeeds", "a failure")?;
    let after = client.says("reconnected").await?;
    holds(before != after, "another connectionId", "the same")?;
    holds(stage.house.apps.calls(&app) >= 2, "a second negotiation with the app", "only one")?;
    tell(&stage, &stage.user, &json!([])).await?;
    client.says("told").await.map(drop)
}

pub(super) async fn javascript_stateful(stage: Stage) -> Verdict {
    let (app, url) = app(&stage, &stage.user);
    let settings = json!({"url": url, "transport": "WebSockets", "protocol": "json", "stateful": true});
    let mut client = Script::javascript(&stage, &settings).await?;
    let before = client.says("open").await?;
    tell(&stage, &stage.user, &json!(["seen"])).await?;
    same("what it is told", json!(["seen"]), client.says("told").await?)?;
    client.tell(&json!({"order": "deafen"})).await?;
    client.says("deaf").await?;
    for number in [1, 2] {
        tell(&stage, &stage.user, &json!([number])).await?;
        same("what gets lost", json!([number]), client.says("lost").await?)?;
    }
    client.tell(&json!({"order": "cut"})).await?;
    for number in [1, 2] {
        same("what it is told again", json!([number]), client.says("told").await?)?;
    }
    // Had anything come twice, it would be told before this.
    tell(&stage, &stage.user, &json!(["last"])).await?;
    same("what it is told next", json!(["last"]), client.says("told").await?)?;
    client.tell(&json!({"order": "look"})).await?;
    let look = client.says("look").await?;
    same("the connectionId", before, look["id"].clone())?;
    same("the sockets", json!(2), look["sockets"].clone())?;
    let first = look["first"].as_str().unwrap_or_default();
    holds(first.contains(r#""type":9"#), "a Sequence as the first thing on the second socket", first)?;
    same("the negotiations", 1, stage.house.apps.calls(&app))
}

pub(super) async fn javascript_without_stateful(stage: Stage) -> Verdict {
    let query = [("hub", stage.hub.as_str()), ("negotiateVersion", "1"), ("useStatefulReconnect", "true")];
    let token = stage.service().client_token(&stage.hub);
    let offer = stage.service().negotiate(&query, &token).status(200).await?.json()?;
    if offer["useStatefulReconnect"] == true {
        return Err(Stop::needs("a service with stateful reconnect switched off; this one offers it"));
    }
    let (_, url) = app(&stage, &stage.user);
    let settings = json!({"url": url, "transport": "WebSockets", "protocol": "json", "stateful": true});
    let mut client = Script::javascript(&stage, &settings).await?;
    client.says("open").await?;
    tell(&stage, &stage.user, &json!(["x"])).await?;
    same("what it is told", json!(["x"]), client.says("told").await?)?;
    client.tell(&json!({"order": "look"})).await?;
    let look = client.says("look").await?;
    let first = look["first"].as_str().unwrap_or_default();
    holds(first.contains(r#""version":1"#), "a handshake for version 1", first)
}

/// What makes a client go to the service itself, as this user.
fn direct(stage: &Stage, user: &str) -> Value {
    let service = stage.service();
    let token = service.token(&service.client_audience(&stage.hub), &json!({"asrs.s.uid": user}));
    json!({
        "url": service.client_url(&[], &[("hub", &stage.hub)]).as_str(),
        "headers": {"Authorization": format!("Bearer {}", token.0)},
    })
}

pub(super) async fn pysignalr(stage: Stage) -> Verdict {
    let users = [name("user"), name("user"), name("user")];
    let (_, json_app) = app(&stage, &users[0]);
    let (_, packed_app) = app(&stage, &users[1]);
    let mut directly = direct(&stage, &users[2]);
    directly["protocol"] = json!("json");
    let settings = [
        ("JSON", json!({"url": json_app, "protocol": "json"})),
        ("MessagePack", json!({"url": packed_app, "protocol": "messagepack"})),
        ("direct", directly),
    ];
    let mut clients = Vec::new();
    for (way, settings) in &settings {
        clients.push(Script::pysignalr(&stage, settings).await.map_err(|stop| stop.at(way))?);
    }
    told_now_and_later(&stage, &settings.map(|(way, _)| way), &users, clients).await
}

/// Each client is told something at once, and after a minute of nothing.
async fn told_now_and_later(
    stage: &Stage,
    ways: &[&str],
    users: &[String],
    mut clients: Vec<Script>,
) -> Verdict {
    for (way, client) in ways.iter().zip(&mut clients) {
        client.says("open").await.map_err(|stop| stop.at(way))?;
    }
    for when in ["at once", "after a minute"] {
        for ((way, client), user) in ways.iter().zip(&mut clients).zip(users) {
            let place = |stop: Stop| stop.at(format_args!("{way}, {when}"));
            tell(stage, user, &json!([when])).await.map_err(place)?;
            same("what it is told", json!([when]), client.says("told").await.map_err(place)?)
                .map_err(place)?;
        }
        if when == "at once" {
            sleep(A_MINUTE).await;
        }
    }
    Ok(())
}

pub(super) async fn pysignalr_after_a_close(stage: Stage) -> Verdict {
    let (_, url) = app(&stage, &stage.user);
    let mut client = Script::pysignalr(&stage, &json!({"url": url, "protocol": "json"})).await?;
    client.says("open").await?;
    stage.until_there(&["users", &stage.user]).await?;
    stage.rest(Method::POST, &["users", &stage.user, ":closeConnections"]).status(204).await?;
    client.says("open").await.map_err(|stop| stop.at("again"))?;
    tell(&stage, &stage.user, &json!(["x"])).await?;
    same("what it is told", json!(["x"]), client.says("told").await?)
}

pub(super) async fn signalrcore(stage: Stage) -> Verdict {
    let users = [name("user"), name("user")];
    let (_, url) = app(&stage, &users[0]);
    let redirected = Script::signalrcore(&stage, &json!({"url": url})).await?;
    let directly = Script::signalrcore(&stage, &direct(&stage, &users[1])).await?;
    told_now_and_later(&stage, &["redirected", "direct"], &users, vec![redirected, directly]).await
}
