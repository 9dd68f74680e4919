//! Cases 9 to 20: negotiation with the service.

use reqwest::Method;
use reqwest::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use serde_json::{Value, json};

use crate::case_result::{AtStep, CaseResult, expect, expect_eq};
use crate::credentials::{AccessKey, HEADER};
use crate::service::{Call, unix_now};
use crate::test_context::TestContext;

/// The query parameter for version 1.
const VERSION_1: (&str, &str) = ("negotiateVersion", "1");

/// A negotiate call in version 1 with a token for the hub.
fn negotiation(context: &TestContext) -> Call<'_> {
    let token = context.service().client_token(&context.hub);
    context.service().negotiate(&[("hub", &context.hub), VERSION_1], &token)
}

/// The names of the properties; their values can be connection tokens.
fn property_names(response: &Value) -> String {
    let names = response.as_object().into_iter().flat_map(|properties| properties.keys().cloned());
    names.collect::<Vec<_>>().join(", ")
}

fn transports(response: &Value) -> Value {
    response["availableTransports"].clone()
}

pub(super) async fn version_1(context: TestContext) -> CaseResult {
    let response = negotiation(&context).expect_status(200).await?;
    response.expect_header("content-type", "application/json")?;
    let response = response.json()?;
    expect_eq("the version", json!(1), response["negotiateVersion"].clone())?;
    let ids = (response["connectionId"].as_str(), response["connectionToken"].as_str());
    let two_ids = matches!(ids, (Some(id), Some(token)) if id != token && !id.is_empty() && !token.is_empty());
    expect(two_ids, "connectionId and connectionToken, not the same", property_names(&response))?;
    let expected = json!([
        {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
        {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
        {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
    ]);
    expect_eq("the transports", expected, transports(&response))
}

pub(super) async fn version_0(context: TestContext) -> CaseResult {
    let token = context.service().client_token(&context.hub);
    let response = context.service().negotiate(&[("hub", &context.hub)], &token).expect_json().await?;
    expect_eq("the version", json!(0), response["negotiateVersion"].clone())?;
    expect(response["connectionId"].is_string(), "a connectionId", property_names(&response))?;
    expect(response.get("connectionToken").is_none(), "no connectionToken", property_names(&response))
}

pub(super) async fn other_versions(context: TestContext) -> CaseResult {
    let token = context.service().client_token(&context.hub);
    let negotiate = |version| {
        let query = [("hub", context.hub.as_str()), ("negotiateVersion", version)];
        context.service().negotiate(&query, &token)
    };
    let newer = negotiate("7").expect_json().await?;
    expect_eq("the version", json!(1), newer["negotiateVersion"].clone())?;
    let invalid = negotiate("x").expect_json().await?;
    expect(invalid["error"].is_string(), "an error for negotiateVersion=x", property_names(&invalid))
}

pub(super) async fn authorization(context: TestContext) -> CaseResult {
    let service = context.service();
    let token = service.client_token(&context.hub);
    let url = service.client_url(&["negotiate"], &[("hub", &context.hub), VERSION_1]);
    service.call_url(Method::GET, url).token(&token).expect_status(405).await.at("GET")?;
    negotiation(&context).without_token().expect_status(401).await.at("no token")?;
    let payload = json!({"aud": service.client_audience(&context.hub), "exp": unix_now() + 60}).to_string();
    let forged = AccessKey("not the key of this service at all".to_owned()).sign(HEADER, &payload);
    negotiation(&context).token(&forged).expect_status(401).await.at("another key")?;
    let with_kid = service.key.sign(r#"{"alg":"HS256","typ":"JWT","kid":"-1234567890"}"#, &payload);
    negotiation(&context).token(&with_kid).expect_status(200).await.at("unknown kid").map(drop)
}

pub(super) async fn expired_token(context: TestContext) -> CaseResult {
    let past = unix_now() - 7200;
    let audience = context.service().client_audience(&context.hub);
    let token = context.service().token(&audience, &json!({"nbf": past, "iat": past, "exp": past + 3600}));
    negotiation(&context).token(&token).expect_status(401).await.map(drop)
}

pub(super) async fn audiences(context: TestContext) -> CaseResult {
    let service = context.service();
    let (base, port) = (service.connection.audience_base(), service.connection.port());
    let base = base.trim_end_matches('/');
    let hub = &context.hub;
    for audience in [
        format!("{base}/client/?hub={hub}"),
        format!("{base}:{port}/client/?hub={hub}"),
        format!("{base}/client?hub={hub}"),
        format!("{base}:{port}/client?hub={hub}"),
    ] {
        let token = service.token(&audience, &json!({}));
        negotiation(&context).token(&token).expect_status(200).await.at(audience)?;
    }
    let token = service.client_token(&format!("{hub}x"));
    negotiation(&context).token(&token).expect_status(401).await.at("another hub").map(drop)
}

pub(super) async fn rest_audience(context: TestContext) -> CaseResult {
    let audience = format!("{}api/hubs/{}/:send", context.service().connection.audience_base(), context.hub);
    let token = context.service().token(&audience, &json!({}));
    negotiation(&context).token(&token).expect_status(401).await.map(drop)
}

pub(super) async fn hub_parameter(context: TestContext) -> CaseResult {
    let service = context.service();
    let token = service.client_token(&context.hub);
    let two = [("hub", context.hub.as_str()), ("hub", context.hub.as_str()), VERSION_1];
    service.negotiate(&two, &token).expect_status(400).await.at("two hubs")?;
    service.negotiate(&[VERSION_1], &token).expect_status(400).await.at("no hub").map(drop)
}

pub(super) async fn stateful_reconnect_on_request(context: TestContext) -> CaseResult {
    let default = negotiation(&context).expect_json().await?;
    let is_absent = default.get("useStatefulReconnect").is_none();
    expect(is_absent, "no useStatefulReconnect without a request", property_names(&default))?;
    let requested = negotiation(&context).query("useStatefulReconnect", "true").expect_json().await?;
    let flag = requested.get("useStatefulReconnect");
    let is_valid = flag.is_none_or(Value::is_boolean);
    expect(is_valid, "useStatefulReconnect as a boolean, or none", format!("{flag:?}"))
}

pub(super) async fn preflight(context: TestContext) -> CaseResult {
    const PAGE: &str = "https://page.example";
    let headers = ["authorization", "x-requested-with", "x-signalr-user-agent"];
    let url = context.service().client_url(&["negotiate"], &[("hub", &context.hub), VERSION_1]);
    let call = context.service().call_url(Method::OPTIONS, url).without_token();
    let call = call.header(ORIGIN, PAGE).header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let response = call.header(ACCESS_CONTROL_REQUEST_HEADERS, &headers.join(",")).response().await?;
    expect(response.status.is_success(), "2xx", response.status)?;
    expect_eq("the allowed origin", Some(PAGE), response.header("access-control-allow-origin"))?;
    expect_eq("credentials", Some("true"), response.header("access-control-allow-credentials"))?;
    for header in headers {
        response.expect_header("access-control-allow-headers", header)?;
    }
    Ok(())
}

pub(super) async fn transports_claim(context: TestContext) -> CaseResult {
    let audience = context.service().client_audience(&context.hub);
    let token = context.service().token(&audience, &json!({"asrs.s.htt": "1"}));
    let response = negotiation(&context).token(&token).expect_json().await?;
    let names: Vec<&Value> =
        response["availableTransports"].as_array().into_iter().flatten().map(|offer| &offer["transport"]).collect();
    expect_eq("the transports", vec![&json!("WebSockets")], names)
}

pub(super) async fn unknown_parameters(context: TestContext) -> CaseResult {
    let call = negotiation(&context).query("asrs_request_id", "").query("asrs.op", "/x").query("asrs_lang", "de");
    let response = call.expect_json().await?;
    expect_eq("the version", json!(1), response["negotiateVersion"].clone())
}
