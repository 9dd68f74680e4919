//! Cases 1 to 8: connection strings, and access tokens for clients.
//!
//! Cases 1 to 5 check the parser of the suite, since a service parses no connection strings.

use serde_json::json;

use crate::case_result::{AtStep, CaseResult, Failure, expect_eq};
use crate::credentials::{AccessKey, ConnectionString, HEADER, user_claim};
use crate::test_context::TestContext;

fn parse(text: &str) -> CaseResult<ConnectionString> {
    text.parse().map_err(|error| Failure::new("a connection string", error))
}

fn expect_parse_error(text: &str, expected: &str) -> CaseResult {
    let actual = text.parse::<ConnectionString>().err().unwrap_or_else(|| "no error".to_owned());
    expect_eq("the error", expected, &actual).at(text)
}

pub(super) async fn separate_port(_: TestContext) -> CaseResult {
    let connection = parse("Endpoint=http://localhost;Port=8888;AccessKey=k;Version=1.0;")?;
    expect_eq("the port", 8888, connection.port())?;
    expect_eq("the start of audiences", "http://localhost/", &connection.audience_base())
}

pub(super) async fn letter_case(_: TestContext) -> CaseResult {
    let connection = parse("endpoint=https://h/;accesskey=a==")?;
    expect_eq("the endpoint", "https://h", connection.display_endpoint())?;
    expect_eq("whether the key is a==", Some(true), connection.key.map(|key| key.0 == "a=="))
}

pub(super) async fn invalid(_: TestContext) -> CaseResult {
    let port = "Invalid value for port property, it must be an positive integer between (0, 65536)";
    expect_parse_error("Endpoint=https://h", "Connection string missing required properties endpoint.")?;
    expect_parse_error("Endpoint=ftp://h;AccessKey=k", "Invalid value for endpoint property, it must be a valid URI.")?;
    expect_parse_error("Endpoint=http://h;AccessKey=k;Port=0", port)?;
    expect_parse_error("Endpoint=http://h;AccessKey=k;Port=70000", port)?;
    expect_parse_error("Endpoint=http://h;AccessKey=k;Version=2.0", "Version 2.0 is not supported.")?;
    let twice = "Duplicate properties found in connection string: accesskey.";
    expect_parse_error("Endpoint=http://h;AccessKey=k;accesskey=k", twice)
}

pub(super) async fn port_precedence(_: TestContext) -> CaseResult {
    let connection = parse("Endpoint=http://a:500;Port=400;AccessKey=k;ClientEndpoint=http://b")?;
    expect_eq("the port", 400, connection.port())?;
    expect_eq("the URL for clients", "http://b/", connection.client_base().as_str())?;
    expect_eq("the URL of the REST API", "http://a:400/", connection.server_base().as_str())
}

pub(super) async fn identities(_: TestContext) -> CaseResult {
    let app = "Endpoint=http://h;AuthType=azure.app;ClientId=c;TenantId=t";
    expect_parse_error(app, "Connection string missing required properties clientSecret or clientCert.")?;
    expect_parse_error("Endpoint=http://h;AuthType=nonsense", "accesskey is required.")
}

pub(super) async fn user_token(context: TestContext) -> CaseResult {
    let service = context.service();
    let hub = context.hub.to_uppercase();
    let token = service.token(&service.client_audience(&hub), &json!({"asrs.s.uid": context.user}));
    let claims = token.claims().ok_or_else(|| Failure::new("a token", "something else"))?;
    let audience = format!("{}client/?hub={}", service.connection.audience_base(), context.hub);
    expect_eq("the audience", &json!(audience), &claims["aud"])?;
    expect_eq("the user", &json!(context.user), &claims["asrs.s.uid"])?;
    let seconds = |name: &str| claims[name].as_u64().unwrap_or_default();
    expect_eq("the lifetime", 3600, seconds("exp") - seconds("nbf"))?;

    let key = AccessKey("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH".to_owned());
    let payload = r#"{"asrs.s.uid":"u1","nbf":1700000000,"exp":1700003600,"iat":1700000000,"aud":"http://localhost/client/?hub=chat"}"#;
    let is_identical = key.sign(HEADER, payload).0.ends_with(".-WYX7JGgJKomLnyllQ2C8IAQj9M75qmV4VRPVxQ8UTM");
    expect_eq("whether a recorded token is signed identically", true, is_identical)?;
    service.negotiate(&[("hub", &context.hub)], &token).expect_status(200).await.map(drop)
}

pub(super) async fn application_token(context: TestContext) -> CaseResult {
    let service = context.service();
    let hub = format!("App_{}", context.hub).to_lowercase();
    let url = service.client_url(&[], &[("hub", &hub)]);
    expect_eq("the query of the client URL", Some(format!("hub=app_{}", context.hub).as_str()), url.query())?;
    let token = service.client_token(&hub);
    service.negotiate(&[("hub", &hub)], &token).expect_status(200).await.map(drop)
}

pub(super) async fn reserved_user_claim(context: TestContext) -> CaseResult {
    expect_eq("the name of the claim", "asrs.u.exp", &user_claim("exp"))?;
    let service = context.service();
    let token = service.token(&service.client_audience(&context.hub), &json!({user_claim("exp"): "x"}));
    service.negotiate(&[("hub", &context.hub)], &token).expect_status(200).await.map(drop)
}
