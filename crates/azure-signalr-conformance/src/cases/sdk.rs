//! Cases 89 and 90: the .NET management SDK and the Functions host, played by the requests they send.
//!
//! Neither is run: both need .NET. What is played is what their published sources write, down to the letter case of a body.

use futures_util::stream;
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::listener::{Received, Reply};
use crate::outcome::{Verdict, same};
use crate::protocol::Protocol;
use crate::service::{API_VERSION, Call};
use crate::stage::Stage;
use crate::token::Key;

const SDK: &str = "Microsoft.Azure.SignalR.Management/1.21.0 (.NET 6.0.0; Linux; X64)";
const HOST: &str = "Microsoft.Azure.SignalR.Management/1.21.0 (.NET 6.0.0; Linux; X64) [func=negotiate]";

/// A call as the SDK makes it: the audience has no port, and the version as its only parameter.
fn sdk<'a>(stage: &'a Stage, agent: &str, method: Method, segments: &[&str]) -> Call<'a> {
    let service = stage.service();
    let call = stage.rest(method, segments);
    let path = call.path().trim_start_matches('/');
    let audience = format!("{}{path}?api-version={API_VERSION}", service.connection.audience_base());
    let token = service.token(&audience, &json!({"nameid": "machine_0123456789abcdef"}));
    call.token(&token).header(HeaderName::from_static("asrs-user-agent"), agent)
}

/// A message as the SDK writes it: names in capitals, in chunks since it does not compute the length.
async fn tell(stage: &Stage, agent: &str, to: &[&str], arguments: &Value) -> Verdict {
    let text = json!({"Target": "told", "Arguments": arguments}).to_string();
    let body = reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>(text)]));
    let call = sdk(stage, agent, Method::POST, &[to, &[":send"]].concat());
    call.body("application/json; charset=utf-8", body).status(202).await.map(drop)
}

pub(super) async fn management_sdk(stage: Stage) -> Verdict {
    let call = |method, segments: &[&str]| sdk(&stage, SDK, method, segments);
    let absent: [(&[&str], &str); 4] = [
        (&["connections", "nobody"], "Warning.Connection.NotExisted"),
        (&["users", "nobody"], "Warning.User.NotExisted"),
        (&["groups", "nobody"], "Warning.Group.NotExisted"),
        (&["users", "nobody", "groups", "nobody"], "Info.User.NotInGroup"),
    ];
    for (segments, code) in absent {
        // Only an absence with its code is an answer; without, the SDK takes the service to be away.
        let ask = call(if segments.len() == 4 { Method::GET } else { Method::HEAD }, segments);
        ask.error(404, code).await.map_err(|stop| stop.at(segments[0]))?;
    }

    let mut client = stage.connect(&stage.user).await?;
    let (id, user, group) = (client.id.clone(), stage.user.as_str(), stage.group.as_str());
    call(Method::PUT, &["users", user, "groups", group]).query("ttl", "60").status(200).await?;
    call(Method::GET, &["users", user, "groups", group]).status(200).await?;
    let everywhere: [&[&str]; 4] = [&[], &["users", user], &["groups", group], &["connections", &id]];
    for (number, to) in everywhere.into_iter().enumerate() {
        tell(&stage, SDK, to, &json!([number])).await?;
    }
    client.gets(&[0, 1, 2, 3].map(|number| ("told", json!([number])))).await?;
    call(Method::DELETE, &["users", user, "groups", group]).status(204).await?;
    call(Method::DELETE, &["users", user, "groups"]).status(204).await?;
    tell(&stage, SDK, &["groups", group], &json!([])).await?;
    client.gets_nothing().await?;
    call(Method::DELETE, &["connections", &id]).query("reason", "done").status(200).await?;
    client.closed().await.map(drop)
}

pub(super) async fn functions_host(stage: Stage) -> Verdict {
    let webhooks = stage.webhooks()?;
    let key = stage.service().key.clone();
    webhooks.answer(&stage.hub, move |event| trigger(&key, event));
    // What the negotiation binding makes: a user, and a claim copied from who signed in.
    let mut client =
        stage.client().user(&stage.user).claim("role", json!(["reader", "writer"])).connect().await?;
    client.invoke(Some("1"), "Add", json!([3, 4])).await?;
    let completion = client.completion("1").await?;
    same("the answer of the function", json!({"type": 3, "invocationId": "1", "result": 7}), completion)?;

    let id = client.id.clone();
    let (user, group) = (stage.user.as_str(), stage.group.as_str());
    sdk(&stage, HOST, Method::PUT, &["groups", group, "connections", &id]).status(200).await?;
    let everywhere: [&[&str]; 4] = [&["connections", &id], &["users", user], &["groups", group], &[]];
    for to in everywhere {
        tell(&stage, HOST, to, &json!(["x"])).await?;
    }
    client.gets(&[(); 4].map(|()| ("told", json!(["x"])))).await?;
    sdk(&stage, HOST, Method::DELETE, &["users", user, "groups"]).status(204).await.map(drop)
}

/// A function behind the trigger: nothing without the right signature, and a Completion without a content type.
fn trigger(key: &Key, event: &Received) -> Reply {
    let header = |name| event.header(name).unwrap_or_default();
    let expected = key.signature_of(header("x-asrs-connection-id"));
    if !header("x-asrs-signature").split(',').any(|signature| signature.eq_ignore_ascii_case(&expected)) {
        return Reply::Status(401);
    }
    if header("x-asrs-category") != "messages" {
        return Reply::Body { content_type: None, bytes: Vec::new() };
    }
    let invocation: Value = serde_json::from_slice(&event.body).unwrap_or_default();
    let numbers = invocation["arguments"].as_array().into_iter().flatten().filter_map(Value::as_i64);
    let completion =
        json!({"type": 3, "invocationId": invocation["invocationId"], "result": numbers.sum::<i64>()});
    Reply::Body { content_type: None, bytes: Protocol::Json.write(&completion) }
}
