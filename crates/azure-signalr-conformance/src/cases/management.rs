//! Cases 59 to 73: questions about connections, users and groups, who is in which group, and the later operations.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use crate::client::Client;
use crate::outcome::{Stop, Verdict, holds, same};
use crate::service::{Call, now};
use crate::stage::Stage;
use crate::token::Token;

const WITH_TOKENS: &str = "2022-11-01";
const WITH_EXECUTE: &str = "2023-07-01";
const NEWEST: &str = "2024-12-01";

fn user_in_group<'a>(stage: &'a Stage, method: Method) -> Call<'a> {
    stage.rest(method, &["users", &stage.user, "groups", &stage.group])
}

async fn to_group(stage: &Stage) -> Verdict {
    stage.send(&["groups", &stage.group], "group", &json!([])).await.map(drop)
}

fn of_group() -> Vec<(&'static str, Value)> {
    vec![("group", json!([]))]
}

pub(super) async fn is_it_there(stage: Stage) -> Verdict {
    let client = stage.connect(&stage.user).await?;
    stage.join(&client).await?;
    let (hub_user, group) = (stage.user.as_str(), stage.group.as_str());
    let cases = [
        (["connections", &client.id], ["connections", "nobody"], "Warning.Connection.NotExisted"),
        (["users", hub_user], ["users", "nobody"], "Warning.User.NotExisted"),
        (["groups", group], ["groups", "nobody"], "Warning.Group.NotExisted"),
    ];
    for (there, not_there, code) in cases {
        let place = |stop: Stop| stop.at(there[0]);
        stage.rest(Method::HEAD, &there).status(200).await.map_err(place)?;
        stage.rest(Method::HEAD, &not_there).error(404, code).await.map_err(place)?;
        stage.v1(Method::GET, &there).status(200).await.map_err(place).map_err(|stop| stop.at("v1"))?;
        stage
            .v1(Method::GET, &not_there)
            .error(404, code)
            .await
            .map_err(place)
            .map_err(|stop| stop.at("v1"))?;
    }
    Ok(())
}

pub(super) async fn is_the_user_in_the_group(stage: Stage) -> Verdict {
    let _client = stage.connect(&stage.user).await?;
    let ask = |method: Method| {
        let v1 = ["groups", stage.group.as_str(), "users", stage.user.as_str()];
        [user_in_group(&stage, method.clone()), stage.v1(method, &v1)]
    };
    for call in [ask(Method::GET), ask(Method::HEAD)].into_iter().flatten() {
        call.error(404, "Info.User.NotInGroup").await?;
    }
    user_in_group(&stage, Method::PUT).status(200).await?;
    for call in [ask(Method::GET), ask(Method::HEAD)].into_iter().flatten() {
        call.status(200).await?;
    }
    Ok(())
}

pub(super) async fn connection_into_group(stage: Stage) -> Verdict {
    let client = stage.connect(&stage.user).await?;
    stage.join(&client).await?;
    let unknown = stage.rest(Method::PUT, &["groups", &stage.group, "connections", "nobody"]);
    unknown.error(404, "Error.Connection.NotExisted").await.map(drop)
}

pub(super) async fn out_of_groups_never_joined(stage: Stage) -> Verdict {
    let client = stage.connect(&stage.user).await?;
    let one = stage.rest(Method::DELETE, &["groups", &stage.group, "connections", &client.id]);
    one.status(200).await.map_err(|stop| stop.at("a connection out of a group"))?;
    let all = stage.rest(Method::DELETE, &["connections", &client.id, "groups"]);
    all.status(200).await.map_err(|stop| stop.at("a connection out of all groups"))?;
    let user = stage.rest(Method::DELETE, &["users", "nobody", "groups"]);
    user.status(204).await.map_err(|stop| stop.at("an unknown user out of all groups")).map(drop)
}

pub(super) async fn user_into_group_of_an_empty_hub(stage: Stage) -> Verdict {
    user_in_group(&stage, Method::PUT).status(200).await?;
    let mut client = stage.connect(&stage.user).await?;
    to_group(&stage).await?;
    client.gets(&of_group()).await
}

pub(super) async fn what_survives_a_connection(stage: Stage) -> Verdict {
    let client = stage.connect(&stage.user).await?;
    user_in_group(&stage, Method::PUT).status(200).await?;
    let own = stage.rest(Method::PUT, &["groups", "connection", "connections", &client.id]);
    own.status(200).await?;
    stage.gone(client).await?;
    let mut client = stage.connect(&stage.user).await?;
    to_group(&stage).await?;
    stage.send(&["groups", "connection"], "connection", &json!([])).await?;
    client.gets(&of_group()).await
}

pub(super) async fn memberships_that_end(stage: Stage) -> Verdict {
    for ttl in ["-1", "x"] {
        let call = user_in_group(&stage, Method::PUT).query("ttl", ttl);
        call.status(400).await.map_err(|stop| stop.at(format_args!("ttl={ttl}")))?;
    }
    let mut early = stage.connect(&stage.user).await?;
    user_in_group(&stage, Method::PUT).query("ttl", "2").status(200).await?;
    to_group(&stage).await?;
    early.gets(&of_group()).await.map_err(|stop| stop.at("ttl=2, at once"))?;
    sleep(Duration::from_secs(3)).await;
    let mut late = stage.connect(&stage.user).await?;
    to_group(&stage).await?;
    late.gets_nothing().await.map_err(|stop| stop.at("ttl=2, connected after 3 s"))?;
    early.gets_nothing().await.map_err(|stop| stop.at("ttl=2, connected before"))?;

    user_in_group(&stage, Method::PUT).query("ttl", "0").status(200).await?;
    let mut later = stage.connect(&stage.user).await?;
    to_group(&stage).await?;
    early.gets(&of_group()).await.map_err(|stop| stop.at("ttl=0, connected before"))?;
    later.gets_nothing().await.map_err(|stop| stop.at("ttl=0, connected after"))
}

pub(super) async fn close_a_connection(stage: Stage) -> Verdict {
    let told = stage.client().claim("asrs.s.derror", json!("True")).connect();
    let (told, untold) = tokio::try_join!(told, stage.client().connect())?;
    for (mut client, error) in [(told, Some("go away")), (untold, None)] {
        let call = stage.rest(Method::DELETE, &["connections", &client.id]).query("reason", "go away");
        call.status(200).await?;
        let close = client.closed().await?;
        same("the error of the Close message", error, close["error"].as_str())?;
    }
    Ok(())
}

pub(super) async fn close_many(stage: Stage) -> Verdict {
    for to in [&[][..], &["groups", &stage.group], &["users", &stage.user]] {
        let place = to.first().copied().unwrap_or("hub");
        let (mut goes, mut stays) = tokio::try_join!(stage.connect(&stage.user), stage.connect(&stage.user))?;
        for client in [&goes, &stays] {
            stage.join(client).await?;
        }
        let segments = [to, &[":closeConnections"]].concat();
        let call = stage.rest(Method::POST, &segments).query("excluded", &stays.id).query("reason", "r");
        call.status(204).await.map_err(|stop| stop.at(place))?;
        goes.closed().await.map_err(|stop| stop.at(place))?;
        stays.gets_nothing().await.map_err(|stop| stop.at(place))?;
        stage.gone(stays).await?;
    }
    Ok(())
}

pub(super) async fn health(stage: Stage) -> Verdict {
    let ask = |segments: &[&str]| stage.service().call(Method::HEAD, segments).without_token();
    ask(&["api", "health"]).version("2022-06-01").status(200).await?;
    ask(&["api", "v1", "health"]).status(200).await.map_err(|stop| stop.at("v1")).map(drop)
}

pub(super) async fn generate_token(stage: Stage) -> Verdict {
    let generate = |minutes: &str| {
        let call = stage.rest(Method::POST, &[":generateToken"]).version(WITH_TOKENS);
        call.query("userId", &stage.user).query("minutesToExpire", minutes)
    };
    let begun = now();
    let answer = generate("5").status(200).await?.json()?;
    let token = answer["token"].as_str().map(|token| Token(token.to_owned()));
    let token = token.ok_or_else(|| Stop::failed("a token", "none"))?;
    let claims = token.claims().ok_or_else(|| Stop::failed("a JWT", "something else"))?;
    let lifetime = claims["exp"].as_u64().unwrap_or_default().saturating_sub(begun);
    holds((295..=330).contains(&lifetime), "an end in 300 s", format_args!("{lifetime} s"))?;

    let socket =
        crate::websocket::open(stage.service(), &[("hub", &stage.hub)], Some(&token)).await?.socket()?;
    let mut client = Client::on(socket, stage.service(), &stage.hub, token);
    client.shake_hands(1).await?;
    stage.send(&["users", &stage.user], "t", &json!([])).await?;
    same("what the user is told", "t", client.next().await?["target"].as_str().unwrap_or_default())?;
    generate("0").status(400).await.map_err(|stop| stop.at("minutesToExpire=0")).map(drop)
}

pub(super) async fn list_a_group(stage: Stage) -> Verdict {
    let mut members = Vec::new();
    for number in 0..5 {
        let client = stage.connect(&format!("{}{number}", stage.user)).await?;
        stage.join(&client).await?;
        members.push(client);
    }
    let list = || stage.rest(Method::GET, &["groups", &stage.group, "connections"]).version(NEWEST);
    let (sizes, mut found) = pages(&stage, list().query("maxpagesize", "2")).await?;
    same("sizes of the pages", vec![2, 2, 1], sizes)?;
    let mut expected: Vec<(String, String)> = members
        .iter()
        .enumerate()
        .map(|(number, client)| (client.id.clone(), format!("{}{number}", stage.user)))
        .collect();
    expected.sort();
    found.sort();
    same("members and their users", expected, found)?;
    let (sizes, _) = pages(&stage, list().query("maxpagesize", "2").query("top", "3")).await?;
    same("with top=3", 3, sizes.iter().sum())?;
    for size in ["0", "201"] {
        let call = list().query("maxpagesize", size);
        call.status(400).await.map_err(|stop| stop.at(format_args!("maxpagesize={size}")))?;
    }
    Ok(())
}

/// The sizes of all pages, and the connections and users on them.
async fn pages(stage: &Stage, first: Call<'_>) -> Verdict<(Vec<usize>, Vec<(String, String)>)> {
    let (mut sizes, mut found) = (Vec::new(), Vec::new());
    let mut page = first.status(200).await?.json()?;
    loop {
        let members = page["value"].as_array().cloned().ok_or_else(|| Stop::failed("a page", &page))?;
        sizes.push(members.len());
        let text = |member: &Value, name: &str| member[name].as_str().unwrap_or_default().to_owned();
        found.extend(members.iter().map(|member| (text(member, "connectionId"), text(member, "userId"))));
        let Some(next) = page.get("nextLink").and_then(Value::as_str) else { return Ok((sizes, found)) };
        holds(sizes.len() < 10, "an end of the pages", "ten pages")?;
        let next = Url::parse(next).map_err(|_| Stop::failed("an absolute nextLink", next))?;
        page = stage.service().call_url(Method::GET, next).status(200).await?.json()?;
    }
}

pub(super) async fn invoke_a_client(stage: Stage) -> Verdict {
    let mut client = stage.connect(&stage.user).await?;
    let invoke = |id: &str| {
        let call = stage.rest(Method::POST, &["connections", id, ":invoke"]).version(NEWEST);
        call.message("add", &json!([3, 4]))
    };
    let id = client.id.clone();
    let (answer, _) = tokio::try_join!(invoke(&id).status(200), complete(&mut client, json!({"result": 7})))?;
    same("the result", json!(7), answer.json()?["result"].clone())?;
    let refusal = json!({"error": "Client didn't provide a result."});
    let (answer, _) = tokio::try_join!(invoke(&id).answer(), complete(&mut client, refusal))?;
    let refused = answer.status.is_client_error() || answer.status.is_server_error();
    holds(refused, "an error for a client without a handler", answer.status)?;
    invoke("nobody").status(404).await.map_err(|stop| stop.at("an unknown connection")).map(drop)
}

/// Answers the next invocation of this client.
async fn complete(client: &mut Client, with: Value) -> Verdict {
    let invocation = client.next().await?;
    same(
        "the invocation",
        (json!("add"), json!([3, 4])),
        (invocation["target"].clone(), invocation["arguments"].clone()),
    )?;
    holds(invocation["invocationId"].is_string(), "an invocationId", &invocation)?;
    let mut completion = json!({"type": 3, "invocationId": invocation["invocationId"]});
    for (name, value) in with.as_object().into_iter().flatten() {
        completion[name] = value.clone();
    }
    client.send(&completion).await
}

pub(super) async fn execute(stage: Stage) -> Verdict {
    let (mut matching, mut other) = tokio::try_join!(stage.connect(&stage.user), stage.connect("another"))?;
    let call = stage.rest(Method::POST, &[":execute"]).version(WITH_EXECUTE);
    let call = call.query("filter", &format!("userId eq '{}'", stage.user));
    call.json(&json!([{"type": "JoinGroup", "group": stage.group}])).status(202).await?;
    stage.until_there(&["groups", &stage.group]).await?;
    to_group(&stage).await?;
    matching.gets(&of_group()).await?;
    other.gets_nothing().await
}

pub(super) async fn unknown_paths(stage: Stage) -> Verdict {
    let unknown = stage.rest(Method::GET, &["no", "such", "thing"]);
    unknown.status(404).await.map_err(|stop| stop.at("an unknown path"))?;
    let method = stage.rest(Method::PATCH, &["users", &stage.user]);
    method.status(405).await.map_err(|stop| stop.at("another method")).map(drop)
}
