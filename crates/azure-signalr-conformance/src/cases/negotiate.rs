//! Cases 9 to 20: the second negotiation, with the service itself.

use reqwest::Method;
use reqwest::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use serde_json::{Value, json};

use crate::outcome::{Verdict, holds, same};
use crate::service::{Call, now};
use crate::stage::Stage;
use crate::token::{HEADER, Key};

const FORM: (&str, &str) = ("negotiateVersion", "1");

/// A negotiation in version 1, with a token for the hub unless the case sets another.
fn negotiation(stage: &Stage) -> Call<'_> {
    let token = stage.service().client_token(&stage.hub);
    stage.service().negotiate(&[("hub", &stage.hub), FORM], &token)
}

/// The names of the properties: values would show ids that open connections.
fn names(answer: &Value) -> String {
    let names: Vec<_> = answer.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    names.join(", ")
}

fn transports(answer: &Value) -> Value {
    answer["availableTransports"].clone()
}

pub(super) async fn version_1(stage: Stage) -> Verdict {
    let answer = negotiation(&stage).status(200).await?;
    answer.header_with("content-type", "application/json")?;
    let answer = answer.json()?;
    same("the version", json!(1), answer["negotiateVersion"].clone())?;
    let ids = (answer["connectionId"].as_str(), answer["connectionToken"].as_str());
    holds(
        matches!(ids, (Some(id), Some(token)) if id != token && !id.is_empty() && !token.is_empty()),
        "connectionId and connectionToken, not the same",
        names(&answer),
    )?;
    let expected = json!([
        {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
        {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
        {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
    ]);
    same("the transports", expected, transports(&answer))
}

pub(super) async fn version_0(stage: Stage) -> Verdict {
    let token = stage.service().client_token(&stage.hub);
    let answer = stage.service().negotiate(&[("hub", &stage.hub)], &token).status(200).await?.json()?;
    same("the version", json!(0), answer["negotiateVersion"].clone())?;
    holds(answer["connectionId"].is_string(), "a connectionId", names(&answer))?;
    holds(answer.get("connectionToken").is_none(), "no connectionToken", names(&answer))
}

pub(super) async fn other_versions(stage: Stage) -> Verdict {
    let token = stage.service().client_token(&stage.hub);
    let ask = |version| {
        let query = [("hub", stage.hub.as_str()), ("negotiateVersion", version)];
        stage.service().negotiate(&query, &token)
    };
    let newer = ask("7").status(200).await?.json()?;
    same("the version", json!(1), newer["negotiateVersion"].clone())?;
    let words = ask("x").status(200).await?.json()?;
    holds(words["error"].is_string(), "an error for negotiateVersion=x", names(&words))
}

pub(super) async fn who_may(stage: Stage) -> Verdict {
    let service = stage.service();
    let token = service.client_token(&stage.hub);
    let url = service.client_url(&["negotiate"], &[("hub", &stage.hub), FORM]);
    service.call_url(Method::GET, url).token(&token).status(405).await.map_err(|stop| stop.at("GET"))?;
    negotiation(&stage).without_token().status(401).await.map_err(|stop| stop.at("no token"))?;
    let payload = json!({"aud": service.client_audience(&stage.hub), "exp": now() + 60}).to_string();
    let forged = Key("not the key of this service at all".to_owned()).sign(HEADER, &payload);
    negotiation(&stage).token(&forged).status(401).await.map_err(|stop| stop.at("another key"))?;
    let with_kid = service.key.sign(r#"{"alg":"HS256","typ":"JWT","kid":"-1234567890"}"#, &payload);
    negotiation(&stage).token(&with_kid).status(200).await.map_err(|stop| stop.at("unknown kid")).map(drop)
}

pub(super) async fn expired(stage: Stage) -> Verdict {
    let past = now() - 7200;
    let audience = stage.service().client_audience(&stage.hub);
    let token = stage.service().token(&audience, &json!({"nbf": past, "iat": past, "exp": past + 3600}));
    negotiation(&stage).token(&token).status(401).await.map(drop)
}

pub(super) async fn audiences(stage: Stage) -> Verdict {
    let service = stage.service();
    let (base, port) = (service.connection.audience_base(), service.connection.port());
    let base = base.trim_end_matches('/');
    let hub = &stage.hub;
    for audience in [
        format!("{base}/client/?hub={hub}"),
        format!("{base}:{port}/client/?hub={hub}"),
        format!("{base}/client?hub={hub}"),
        format!("{base}:{port}/client?hub={hub}"),
    ] {
        let token = service.token(&audience, &json!({}));
        negotiation(&stage).token(&token).status(200).await.map_err(|stop| stop.at(audience))?;
    }
    let token = service.client_token(&format!("{hub}x"));
    negotiation(&stage).token(&token).status(401).await.map_err(|stop| stop.at("another hub")).map(drop)
}

pub(super) async fn audience_of_a_rest_call(stage: Stage) -> Verdict {
    let audience = format!("{}api/hubs/{}/:send", stage.service().connection.audience_base(), stage.hub);
    let token = stage.service().token(&audience, &json!({}));
    negotiation(&stage).token(&token).status(401).await.map(drop)
}

pub(super) async fn number_of_hubs(stage: Stage) -> Verdict {
    let service = stage.service();
    let token = service.client_token(&stage.hub);
    let two = [("hub", stage.hub.as_str()), ("hub", stage.hub.as_str()), FORM];
    service.negotiate(&two, &token).status(400).await.map_err(|stop| stop.at("two hubs"))?;
    service.negotiate(&[FORM], &token).status(400).await.map_err(|stop| stop.at("no hub")).map(drop)
}

pub(super) async fn stateful_only_if_asked(stage: Stage) -> Verdict {
    let unasked = negotiation(&stage).status(200).await?.json()?;
    holds(
        unasked.get("useStatefulReconnect").is_none(),
        "no useStatefulReconnect without asking",
        names(&unasked),
    )?;
    let asked = negotiation(&stage).query("useStatefulReconnect", "true").status(200).await?.json()?;
    let flag = asked.get("useStatefulReconnect");
    holds(
        flag.is_none_or(Value::is_boolean),
        "useStatefulReconnect as a boolean, or none",
        format!("{flag:?}"),
    )
}

pub(super) async fn preflight(stage: Stage) -> Verdict {
    const PAGE: &str = "https://page.example";
    let wanted = ["authorization", "x-requested-with", "x-signalr-user-agent"];
    let url = stage.service().client_url(&["negotiate"], &[("hub", &stage.hub), FORM]);
    let call = stage.service().call_url(Method::OPTIONS, url).without_token();
    let call = call.header(ORIGIN, PAGE).header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let answer = call.header(ACCESS_CONTROL_REQUEST_HEADERS, &wanted.join(",")).answer().await?;
    holds(answer.status.is_success(), "2xx", answer.status)?;
    same("the origin allowed", Some(PAGE), answer.header("access-control-allow-origin"))?;
    same("credentials", Some("true"), answer.header("access-control-allow-credentials"))?;
    for header in wanted {
        answer.header_with("access-control-allow-headers", header)?;
    }
    Ok(())
}

pub(super) async fn transports_of_a_token(stage: Stage) -> Verdict {
    let audience = stage.service().client_audience(&stage.hub);
    let token = stage.service().token(&audience, &json!({"asrs.s.htt": "1"}));
    let answer = negotiation(&stage).token(&token).status(200).await?.json()?;
    let names: Vec<&Value> = answer["availableTransports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|offer| &offer["transport"])
        .collect();
    same("the transports", vec![&json!("WebSockets")], names)
}

pub(super) async fn strange_parameters(stage: Stage) -> Verdict {
    let call =
        negotiation(&stage).query("asrs_request_id", "").query("asrs.op", "/x").query("asrs_lang", "de");
    let answer = call.status(200).await?.json()?;
    same("the version", json!(1), answer["negotiateVersion"].clone())
}
