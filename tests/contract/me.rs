//! Tests of `GET /api/me`: who the caller is, as the page shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use test_support::entra::{Entra, Signer};

use crate::test_app::{TestApp, api_error};

const PATH: &str = "/api/me";
const NAME: &str = "x-ms-client-principal-name";
const PRINCIPAL: &str = "x-ms-client-principal";
const IDP: &str = "x-ms-client-principal-idp";
const EASY_AUTH: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "true");
const MAPPED_NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";

fn profile(user_id: &str, display_name: &str, provider: impl Into<Value>) -> Value {
    json!({"userId": user_id, "displayName": display_name, "provider": provider.into()})
}

/// The answer to a request with these headers.
async fn answer(app: &TestApp, headers: &[(&str, &str)]) -> Value {
    let request = headers.iter().fold(app.get(PATH), |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{headers:?}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_signed_in_user_has_an_id_a_name_to_show_and_a_provider() {
    let app = TestApp::with_signalr(1, &[EASY_AUTH]);
    let principal = |claims: Value| STANDARD.encode(json!({"auth_typ": "aad", "claims": claims}).to_string());
    let (mail, long) = (json!({"typ": "preferred_username", "val": "ann@contoso.com"}), "a".repeat(200));
    let called = |typ: &str, name: Value| principal(json!([mail, {"typ": typ, "val": name}]));
    let (plain, mapped) = (called("name", json!("Ann Lee")), called(MAPPED_NAME, json!("Ann Lee")));
    let (number, blank) = (called("name", json!(7)), called("name", json!(" ")));
    let (invisible, line) = (called("name", json!("\u{200b}\u{3164}")), called("name", json!("Ann\u{2028}Lee")));
    let (reversed, long_name) = (called("name", json!("\u{202e}eeL nnA")), called("name", json!(long)));
    let unnamed = principal(json!([mail]));
    let static_web_apps =
        STANDARD.encode(json!({"identityProvider": "github", "userId": "7", "userDetails": "ann"}).to_string());
    for (headers, expected) in [
        (&[(NAME, "ann@contoso.com")][..], profile("ann@contoso.com", "ann@contoso.com", Value::Null)),
        (&[(NAME, "ann"), (IDP, "github")], profile("ann", "ann", "github")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &plain)], profile("ann", "Ann Lee", "aad")),
        (&[(NAME, "ann"), (PRINCIPAL, &mapped)], profile("ann", "Ann Lee", "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &number)], profile("ann", "ann", "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &blank)], profile("ann", "ann", "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &invisible)], profile("ann", "ann", "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &line)], profile("ann", "ann", "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &reversed)], profile("ann", "ann", "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, &long_name)], profile("ann", &long, "aad")),
        (&[(NAME, "ann"), (IDP, "aad"), (PRINCIPAL, "%%%")], profile("ann", "ann", "aad")),
        (&[(NAME, "ann"), (PRINCIPAL, "%%%")], profile("ann", "ann", Value::Null)),
        (&[(PRINCIPAL, &unnamed)], profile("ann@contoso.com", "ann@contoso.com", "aad")),
        (&[(PRINCIPAL, &static_web_apps)], profile("ann", "ann", "github")),
        (&[("x-ms-client-principal-id", "7"), (IDP, "x")], profile("7", "7", "x")),
    ] {
        assert_eq!(answer(&app, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn the_user_id_has_the_provider_where_another_one_is_the_apps_own_and_the_name_to_show_has_not() {
    let app = TestApp::with_signalr(1, &[EASY_AUTH, ("ChatIdentityProvider", "aad")]);
    for (name, provider, user_id) in [
        ("ann", "aad", "ann"),
        ("ann", "github", "github:ann"),
        ("ann", "twitter", "x:ann"),
        ("github:ann", "aad", "aad:github:ann"),
    ] {
        let found = answer(&app, &[(NAME, name), (IDP, provider)]).await;
        assert_eq!(found, profile(user_id, name, provider), "{provider}");
    }
    let unknown = app.get(PATH).header(NAME, "ann").send().await.unwrap();
    assert_eq!(api_error(unknown).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn the_user_of_a_bearer_token_is_one_of_microsoft_entra_id() {
    let entra = Entra::start().await;
    let settings = entra.settings();
    for (provider, user_id) in [("", "ann@contoso.com"), ("aad", "ann@contoso.com"), ("github", "aad:ann@contoso.com")]
    {
        let variables: Vec<_> = settings.iter().map(|(name, value)| (*name, *value)).collect();
        let app = TestApp::with_signalr(1, &[&variables[..], &[("ChatIdentityProvider", provider)]].concat());
        for (name, shown) in
            [(json!("Ann Lee"), "Ann Lee"), (json!(7), "ann@contoso.com"), (Value::Null, "ann@contoso.com")]
        {
            let token = Signer::first().sign(&entra.claims_with("name", name));
            let response = app.get(PATH).bearer_auth(token).send().await.unwrap();
            assert_eq!(response.json::<Value>().await.unwrap(), profile(user_id, shown, "aad"), "{provider}");
        }
        let forged = app.get(PATH).bearer_auth("x").send().await.unwrap();
        assert_eq!(api_error(forged).await, (401, "unauthenticated".to_owned()));
    }
}

#[tokio::test]
async fn a_caller_who_has_not_signed_in_is_unauthenticated_even_where_guests_are_allowed() {
    for (easy_auth, name) in [("true", None), ("false", None), ("false", Some("root"))] {
        let app = TestApp::with_signalr(1, &[("WEBSITE_AUTH_ENABLED", easy_auth)]);
        let request = name.into_iter().fold(app.get(PATH), |request, name| request.header(NAME, name));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(api_error(response).await, (401, "unauthenticated".to_owned()));
    }
}
