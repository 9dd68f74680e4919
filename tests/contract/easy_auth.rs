//! Who may claim to be whom. Anyone can send `x-ms-client-principal*`; only where Easy Auth is on are they its words.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::test_app::{House, claims, refusal};

const NAME: &str = "x-ms-client-principal-name";
const PRINCIPAL: &str = "x-ms-client-principal";
const EASY_AUTH: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "True");
const ON_AZURE: (&str, &str) = ("WEBSITE_SITE_NAME", "chat");

/// The user id in the token negotiate hands out; null for nobody.
async fn user(house: &House, header: &str, value: impl AsRef<[u8]>) -> Value {
    let value = reqwest::header::HeaderValue::from_bytes(value.as_ref()).unwrap();
    let response = house.post("/api/negotiate").header(header, value).send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    claims(body["accessToken"].as_str().unwrap())["asrs.s.uid"].clone()
}

#[tokio::test]
async fn case_54_without_easy_auth_a_forged_name_is_nobody() {
    let house = House::start();
    assert_eq!(user(&house, NAME, "root").await, Value::Null);
    assert_eq!(user(&house, "x-ms-client-principal-id", "root").await, Value::Null);
    assert_eq!(user(&house, PRINCIPAL, STANDARD.encode(r#"{"userDetails":"root"}"#)).await, Value::Null);
}

#[tokio::test]
async fn case_55_easy_auth_counts_only_where_it_is_plainly_on() {
    for (value, expected) in
        [("True", json!("ann")), ("1", json!("ann")), ("false", Value::Null), ("perhaps", Value::Null)]
    {
        let house = House::before(1, &[("WEBSITE_AUTH_ENABLED", value)]);
        assert_eq!(user(&house, NAME, "ann").await, expected, "{value}");
    }
}

#[tokio::test]
async fn case_56_a_broken_principal_is_nobody() {
    let house = House::before(1, &[EASY_AUTH]);
    for broken in ["%%%", "bm90IGpzb24", "e30="] {
        assert_eq!(user(&house, PRINCIPAL, broken).await, Value::Null, "{broken}");
    }
}

#[tokio::test]
async fn case_57_a_name_beyond_ascii_arrives_whole() {
    let house = House::before(1, &[EASY_AUTH]);
    let principal = json!({"name_typ": "n", "claims": [{"typ": "n", "val": "Zoë 😀"}]}).to_string();
    assert_eq!(user(&house, PRINCIPAL, STANDARD.encode(principal)).await, "Zoë 😀");
    assert_eq!(user(&house, NAME, "Zoë").await, "Zoë");
}

#[tokio::test]
async fn case_59_on_azure_nobody_without_a_name_gets_in_and_nobody_is_sent_elsewhere() {
    // Azure is also what has a managed identity for us without being App Service.
    let identity = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/");
    for variables in [&[ON_AZURE][..], &[ON_AZURE, EASY_AUTH], &[identity]] {
        let house = House::before(1, variables);
        for request in [
            house.post("/api/negotiate"),
            house.get("/api/SignalRInfo"),
            house.message(&json!({"text": "hi"})),
        ] {
            let response = request.send().await.unwrap();
            assert!(!response.headers().contains_key("location"));
            assert_eq!(refusal(response).await, (401, "unauthenticated".to_owned()));
        }
    }
}

#[tokio::test]
async fn on_azure_without_easy_auth_a_forged_name_opens_nothing() {
    let house = House::before(1, &[ON_AZURE]);
    let response = house.post("/api/negotiate").header(NAME, "root").send().await.unwrap();
    assert_eq!(refusal(response).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn on_azure_anonymous_use_can_be_switched_on_by_name() {
    let house = House::before(1, &[ON_AZURE, ("ChatAllowAnonymous", "true")]);
    assert_eq!(user(&house, NAME, "root").await, Value::Null);
}

#[tokio::test]
async fn the_token_is_for_this_hub_for_an_hour_and_not_for_rest() {
    let house = House::before(1, &[EASY_AUTH, ("AzureSignalRHubName", "Lobby")]);
    let response = house.post("/api/negotiate").header(NAME, "ann").send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert_eq!(body["url"], "http://127.0.0.1:1/client/?hub=lobby");
    let claims = claims(body["accessToken"].as_str().unwrap());
    assert_eq!(claims["aud"], "http://127.0.0.1/client/?hub=lobby");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 3_600);
}
