//! Tests of the `x-ms-client-principal*` headers: they are trusted only where Easy Auth is on, and anonymous use where it is allowed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use test_support::http::negotiated_user;

use crate::test_app::{TestApp, api_error, claims};

const NAME: &str = "x-ms-client-principal-name";
const PRINCIPAL: &str = "x-ms-client-principal";
const ID: &str = "x-ms-client-principal-id";
const EASY_AUTH: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "True");
/// As if the setting were not there.
const DEFAULT_GUESTS: (&str, &str) = ("ChatAllowAnonymous", "");
const ON_AZURE: (&str, &str) = ("WEBSITE_SITE_NAME", "chat");

/// The user id in the token of a negotiation with one more header; null if anonymous.
async fn user_id(app: &TestApp, header: &str, value: impl AsRef<[u8]>) -> Value {
    let value = reqwest::header::HeaderValue::from_bytes(value.as_ref()).unwrap();
    negotiated_user(app.post("/api/negotiate").header(header, value)).await
}

#[tokio::test]
async fn without_easy_auth_a_forged_name_is_ignored() {
    let app = TestApp::start();
    assert_eq!(user_id(&app, NAME, "root").await, Value::Null);
    assert_eq!(user_id(&app, ID, "root").await, Value::Null);
    assert_eq!(user_id(&app, PRINCIPAL, STANDARD.encode(r#"{"userDetails":"root"}"#)).await, Value::Null);
}

#[tokio::test]
async fn easy_auth_headers_are_trusted_only_where_easy_auth_is_on() {
    for (value, expected) in
        [("True", json!("ann")), ("1", json!("ann")), ("false", Value::Null), ("perhaps", Value::Null)]
    {
        let app = TestApp::with_signalr(1, &[("WEBSITE_AUTH_ENABLED", value)]);
        assert_eq!(user_id(&app, NAME, "ann").await, expected, "{value}");
    }
}

#[tokio::test]
async fn a_malformed_principal_is_anonymous() {
    let app = TestApp::with_signalr(1, &[EASY_AUTH]);
    for broken in ["%%%", "bm90IGpzb24", "e30="] {
        assert_eq!(user_id(&app, PRINCIPAL, broken).await, Value::Null, "{broken}");
    }
}

#[tokio::test]
async fn names_beyond_ascii_are_preserved() {
    let app = TestApp::with_signalr(1, &[EASY_AUTH]);
    let principal = json!({"name_typ": "n", "claims": [{"typ": "n", "val": "Zoë 😀"}]}).to_string();
    assert_eq!(user_id(&app, PRINCIPAL, STANDARD.encode(principal)).await, "Zoë 😀");
    assert_eq!(user_id(&app, NAME, "Zoë").await, "Zoë");
}

#[tokio::test]
async fn behind_any_host_an_anonymous_request_is_rejected_without_a_redirect() {
    // In a container there is no Azure, and a managed identity on Azure only.
    let identity = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/");
    for variables in [&[][..], &[EASY_AUTH], &[ON_AZURE], &[ON_AZURE, EASY_AUTH], &[identity]] {
        let app = TestApp::with_signalr(1, &[variables, &[DEFAULT_GUESTS]].concat());
        for request in [app.post("/api/negotiate"), app.get("/api/SignalRInfo"), app.message(&json!({"text": "hi"}))] {
            let response = request.send().await.unwrap();
            assert!(!response.headers().contains_key("location"));
            assert_eq!(api_error(response).await, (401, "unauthenticated".to_owned()));
        }
    }
}

#[tokio::test]
async fn without_easy_auth_and_guests_a_forged_name_is_rejected() {
    for variables in [&[DEFAULT_GUESTS][..], &[DEFAULT_GUESTS, ON_AZURE]] {
        let app = TestApp::with_signalr(1, variables);
        let response = app.post("/api/negotiate").header(NAME, "root").send().await.unwrap();
        assert_eq!(api_error(response).await, (401, "unauthenticated".to_owned()));
    }
}

#[tokio::test]
async fn on_azure_a_setting_allows_anonymous_use() {
    let app = TestApp::with_signalr(1, &[ON_AZURE, ("ChatAllowAnonymous", "true")]);
    assert_eq!(user_id(&app, NAME, "root").await, Value::Null);
}

#[tokio::test]
async fn the_access_token_is_for_clients_of_this_hub_for_one_hour() {
    let app = TestApp::with_signalr(1, &[EASY_AUTH, ("AzureSignalRHubName", "Lobby")]);
    let response = app.post("/api/negotiate").header(NAME, "ann").send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 2);
    assert_eq!(body["url"], "http://127.0.0.1:1/client/?hub=lobby");
    let claims = claims(body["accessToken"].as_str().unwrap());
    assert_eq!(claims["aud"], "http://127.0.0.1/client/?hub=lobby");
    // Five minutes for clocks that are ahead of the service's.
    let [expires, begins, issued] = ["exp", "nbf", "iat"].map(|name| claims[name].as_u64().unwrap());
    assert_eq!((expires - begins, begins), (3_600 + 300, issued));
}
