//! Cases 74 to 81: what the service posts to the app, and what becomes of the answers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::listener::{Received, Reply};
use crate::outcome::{Stop, Verdict, holds, same};
use crate::protocol::{Protocol, framed};
use crate::stage::Stage;

const JSON: Option<&str> = Some("application/json");

fn body(event: &Received) -> Verdict<Value> {
    let text = String::from_utf8_lossy(&event.body);
    serde_json::from_str(&text)
        .map_err(|_| Stop::failed("a JSON body without a separator", format!("{text:?}")))
}

/// What it is, in lower case: `messages foo`.
fn kind(event: &Received) -> String {
    let header = |name| event.header(name).unwrap_or("-").to_lowercase();
    format!("{} {}", header("x-asrs-category"), header("x-asrs-event"))
}

fn error_of(completion: &Value) -> &str {
    completion["error"].as_str().unwrap_or_default()
}

/// The properties of a body in lower case, since one known service spells them in capitals.
fn property<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A Completion in JSON for the invocation that was posted.
fn completed(event: &Received, result: &Value) -> Reply {
    let invocation: Value = serde_json::from_slice(&event.body).unwrap_or_default();
    let message = json!({"type": 3, "invocationId": invocation["invocationId"], "result": result});
    Reply::Body { content_type: None, bytes: Protocol::Json.write(&message) }
}

/// Events of the hub are kept, and answered with 204.
fn listen(stage: &Stage) -> Verdict<&crate::webhooks::Webhooks> {
    let webhooks = stage.webhooks()?;
    webhooks.answer(&stage.hub, |_| Reply::Status(204));
    Ok(webhooks)
}

pub(super) async fn connected(stage: Stage) -> Verdict {
    let webhooks = listen(&stage)?;
    let patience = stage.service().patience;
    let mut client = stage.connect(&stage.user).await?;
    client.invoke(None, "Foo", json!([1])).await?;
    let events = webhooks.events(&stage.hub, 2, patience).await?;
    same(
        "the events",
        vec!["connections connected".to_owned(), "messages foo".to_owned()],
        events.iter().map(kind).collect(),
    )?;
    let event = &events[0];
    same("the method", "POST", event.method.as_str())?;
    same("the path", format!("/{}/connections/connected", stage.hub), event.path.clone())?;
    same("X-ASRS-Connection-Id", Some(client.id.as_str()), event.header("x-asrs-connection-id"))?;
    same("X-ASRS-Hub", Some(stage.hub.as_str()), event.header("x-asrs-hub"))?;
    same("X-ASRS-User-Id", Some(stage.user.as_str()), event.header("x-asrs-user-id"))?;
    same(
        "Content-Type",
        Some("application/json"),
        event.header("content-type").and_then(|value| value.split(';').next()),
    )?;
    same("the type", Some(&json!(10)), property(&body(event)?, "type"))?;
    let signature = stage.service().key.signature_of(&client.id);
    let came = event.header("x-asrs-signature").unwrap_or_default().to_lowercase();
    holds(
        came.split(',').any(|one| one == signature),
        "a signature with our key in X-ASRS-Signature",
        "others, or none",
    )
}

pub(super) async fn messages(stage: Stage) -> Verdict {
    let webhooks = listen(&stage)?;
    let patience = stage.service().patience;
    let mut client = stage.connect(&stage.user).await?;
    client.invoke(None, "Foo", json!([1])).await?;
    let event = webhooks.events(&stage.hub, 2, patience).await?.remove(1);
    same("the path", format!("/{}/messages/Foo", stage.hub), event.path.clone())?;
    same("Content-Type", JSON, event.header("content-type").and_then(|value| value.split(';').next()))?;
    same("the body", json!({"type": 1, "target": "Foo", "arguments": [1]}), body(&event)?)?;

    webhooks.answer(&stage.hub, |_| Reply::Status(204));
    let mut packed = stage.client().protocol(Protocol::MessagePack).connect().await?;
    packed.invoke(None, "Foo", json!([1])).await?;
    let event = webhooks.events(&stage.hub, 2, patience).await?.remove(1);
    same("Content-Type", Some("application/x-msgpack"), event.header("content-type"))?;
    let array =
        rmpv::decode::read_value(&mut &event.body[..]).map_err(|error| Stop::failed("MessagePack", error))?;
    // Framed once more, it is what a reader of the protocol reads.
    let message = Protocol::MessagePack.read(&mut framed(&array)).and_then(Result::ok);
    same("the body", Some(json!({"type": 1, "target": "Foo", "arguments": [1]})), message)
}

pub(super) async fn answers(stage: Stage) -> Verdict {
    let webhooks = stage.webhooks()?;
    webhooks.answer(&stage.hub, |event| match event.header("x-asrs-event") {
        Some("Result") => completed(event, &json!({"is": [7]})),
        Some("Fails") => Reply::Status(500),
        Some("Down") => Reply::HangUp,
        _ => Reply::Status(204),
    });
    let mut client = stage.connect(&stage.user).await?;
    let mut ask = async |id: &'static str, target: &str| -> Verdict<Value> {
        client.invoke(Some(id), target, json!([])).await?;
        client.completion(id).await.map_err(|stop| stop.at(target))
    };
    same(
        "200 with a Completion",
        json!({"type": 3, "invocationId": "1", "result": {"is": [7]}}),
        ask("1", "Result").await?,
    )?;
    let void = ask("2", "Void").await?;
    holds(
        void.get("error").is_none() && void["result"].is_null(),
        "a Completion without a result for 204",
        &void,
    )?;
    same("500", "Invocation failed, status code 500", error_of(&ask("3", "Fails").await?))?;
    let down = ask("4", "Down").await?;
    holds(!error_of(&down).is_empty(), "an error when the app is down", &down)?;
    ask("5", "Void").await.map_err(|stop| stop.at("afterwards")).map(drop)
}

pub(super) async fn disconnected(stage: Stage) -> Verdict {
    let clean = goodbye(&stage, async |client: Client| client.leave().await).await?;
    same("the error of a clean end", None, property(&clean, "error"))?;
    let broken = goodbye(&stage, async |client: Client| {
        client.vanish();
        Ok(())
    });
    let broken = broken.await?;
    holds(
        property(&broken, "error").is_some_and(Value::is_string),
        "an error for a connection that broke",
        &broken,
    )
}

/// What is posted when a client goes in this way.
async fn goodbye(stage: &Stage, goes: impl AsyncFnOnce(Client) -> Verdict) -> Verdict<Value> {
    let webhooks = listen(stage)?;
    let client = stage.connect(&stage.user).await?;
    let id = client.id.clone();
    goes(client).await?;
    let patience = stage.service().patience;
    let events = webhooks.events(&stage.hub, 2, patience).await?;
    same("the second event", "connections disconnected", &kind(&events[1]))?;
    let body = body(&events[1])?;
    same("the type", Some(&json!(11)), property(&body, "type"))?;
    // Whoever comes next is told of later than a second goodbye would be.
    let next = stage.connect(&stage.user).await?;
    let events = webhooks.events(&stage.hub, 3, patience).await?;
    let goodbyes = events.iter().filter(|event| {
        event.header("x-asrs-connection-id") == Some(&id) && kind(event) == "connections disconnected"
    });
    same("how many goodbyes", 1, goodbyes.count())?;
    next.leave().await?;
    webhooks.events(&stage.hub, 4, patience).await?;
    Ok(body)
}

pub(super) async fn templates(stage: Stage) -> Verdict {
    let webhooks = listen(&stage)?;
    let template = |place: &str, events: &str| {
        json!({
            "UrlTemplate": webhooks.template(&format!("/{place}/{{hub}}/{{category}}/{{event}}")),
            "HubPattern": stage.hub, "CategoryPattern": "*", "EventPattern": events,
        })
    };
    let templates =
        [template("first", "connected, disconnected"), template("second", "*"), template("third", "*")];
    webhooks.write_settings(&templates).await?;
    let mut client = settled(&stage, "/first/").await?;
    webhooks.answer(&stage.hub, |_| Reply::Status(204));
    client.invoke(None, "a/b ü", json!([])).await?;
    client.leave().await?;
    let paths: Vec<String> = webhooks
        .events(&stage.hub, 2, stage.service().patience)
        .await?
        .into_iter()
        .map(|event| event.path)
        .collect();
    let hub = &stage.hub;
    let expected = vec![
        format!("/second/{hub}/messages/a%2Fb%20%C3%BC"),
        format!("/first/{hub}/connections/disconnected"),
    ];
    same("the paths", expected, paths)?;

    webhooks.write_settings(&[]).await?;
    settled(&stage, &format!("/{hub}/")).await.map(drop)
}

/// A client whose `connected` was posted there: when the service has read its settings again.
async fn settled(stage: &Stage, place: &str) -> Verdict<Client> {
    let patience = stage.service().patience;
    let read = async {
        loop {
            let webhooks = listen(stage)?;
            let client = stage.connect(&stage.user).await?;
            let events = webhooks.events(&stage.hub, 1, patience).await?;
            if events[0].path.starts_with(place) {
                return Ok(client);
            }
            stage.gone(client).await?;
            webhooks.events(&stage.hub, 2, patience).await?;
        }
    };
    crate::service::within(patience, &format!("events at {place} after the settings changed"), read).await
}

pub(super) async fn query_of_the_client(stage: Stage) -> Verdict {
    let webhooks = listen(&stage)?;
    let token = stage.client().user(&stage.user).token();
    let query = [("hub", stage.hub.as_str()), ("room", "blue green"), ("access_token", &token.0)];
    let socket = crate::websocket::open(stage.service(), &query, None).await?.socket()?;
    let mut client = Client::on(socket, stage.service(), &stage.hub, token.clone());
    client.shake_hands(1).await?;
    let event = webhooks.events(&stage.hub, 1, stage.service().patience).await?.remove(0);
    let query = event.header("x-asrs-client-query").unwrap_or_default();
    let names = || url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
    let shown = names().map(|(name, _)| name.into_owned()).collect::<Vec<_>>().join(", ");
    holds(query.starts_with('?'), "a query that starts with `?`", &shown)?;
    holds(names().any(|(name, value)| name == "room" && value == "blue green"), "room=blue green", &shown)?;
    holds(!query.contains("access_token") && !query.contains(&token.0), "no access_token", &shown)
}

pub(super) async fn nobody_to_ask(stage: Stage) -> Verdict {
    if let Some(webhooks) = &stage.house.webhooks {
        if !webhooks.writes_settings() {
            return Err(Stop::needs(
                "--upstream-settings, or a service without an upstream and no --upstream-port",
            ));
        }
        webhooks.write_only(&[]).await?;
    }
    let ended = unanswered(&stage).await;
    if let Some(webhooks) = &stage.house.webhooks {
        webhooks.write_settings(&[]).await?;
    }
    ended
}

/// Asks until nobody is there any more: the settings have just changed.
async fn unanswered(stage: &Stage) -> Verdict {
    let mut client = stage.connect(&stage.user).await?;
    let asked = async {
        for id in 1.. {
            let id = id.to_string();
            client.invoke(Some(&id), "Nobody", json!([])).await?;
            if !error_of(&client.completion(&id).await?).is_empty() {
                return Ok(());
            }
        }
        Ok(())
    };
    crate::service::within(stage.service().patience, "a Completion with an error", asked).await
}

pub(super) async fn streams(stage: Stage) -> Verdict {
    let mut client = stage.connect(&stage.user).await?;
    let stream = json!({"type": 4, "invocationId": "1", "target": "Counter", "arguments": [3]});
    client.send(&stream).await?;
    let completion = client.completion("1").await?;
    holds(!error_of(&completion).is_empty(), "a Completion with an error", &completion)?;
    stage.rest(Method::HEAD, &["connections", &client.id]).status(200).await.map(drop)
}
