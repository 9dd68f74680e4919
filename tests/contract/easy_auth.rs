//! Tests of the `x-ms-client-principal*` headers: they are trusted only where Easy Auth is on, and anonymous use where it is allowed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use test_support::http::negotiated_user;

use crate::test_app::{ErrorResponse, TestApp, api_error, claims};

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

type Headers<'a> = &'a [(&'static str, &'a [u8])];

/// The user id, or the code of the error.
async fn outcome(app: &TestApp, headers: Headers<'_>, id: &str) -> String {
    let value = |value: &[u8]| reqwest::header::HeaderValue::from_bytes(value).unwrap();
    let request = app.post("/api/negotiate").header("x-azure-functions-invocationid", id);
    let request = headers.iter().fold(request, |request, (name, bytes)| request.header(*name, value(bytes)));
    let response = request.send().await.unwrap();
    if response.status() == 200 {
        let body: Value = response.json().await.unwrap();
        let user = claims(body["accessToken"].as_str().unwrap())["asrs.s.uid"].clone();
        user.as_str().unwrap_or("a guest").to_owned()
    } else {
        let (status, code) = api_error(response).await;
        format!("{status} {code}")
    }
}

/// Guests are allowed, so a caller who is wrongly taken for one would be served.
#[tokio::test]
async fn trusted_headers_name_a_user_or_the_caller_is_rejected_with_one_warning() {
    const IDP: &str = "x-ms-client-principal-idp";
    const UNREADABLE: &str = "401 unauthenticated";
    const SESSION: &str = "401 session_without_name";
    let mut app = TestApp::with_signalr(1, &[EASY_AUTH]);
    let encoded = |json: Value| STANDARD.encode(json.to_string()).into_bytes();
    let with_claims = |claims: Value| encoded(json!({"auth_typ": "aad", "name_typ": "n", "claims": claims}));
    let name = json!({"typ": "n", "val": "ann"});
    let ann = with_claims(json!([name]));
    let number = with_claims(json!([{"typ": "exp", "val": 1_800_000_000}, name]));
    let null = with_claims(json!([{"typ": "x", "val": null}, name]));
    let boolean = with_claims(json!([{"typ": "x", "val": true}, name, 7, null]));
    let list = with_claims(json!([{"typ": "groups", "val": ["a", "b"]}, {"val": "x"}, name]));
    let unnamed = with_claims(json!([{"typ": "x", "val": "y"}]));
    let number_as_name = with_claims(json!([{"typ": "n", "val": 7}]));
    let static_web_apps =
        encoded(json!({"identityProvider": "github", "userId": "7", "userDetails": "ann", "userRoles": ["anonymous"]}));
    let no_details = encoded(json!({"identityProvider": "github", "userId": "7", "userDetails": ["ann"]}));
    let (array, empty, other) = (encoded(json!([name])), encoded(json!({})), encoded(json!({"user": "ann"})));
    let long = "a".repeat(1_100).into_bytes();
    let cases: &[(Headers<'_>, &str)] = &[
        (&[], "a guest"),
        (&[(PRINCIPAL, &ann), (ID, b"7"), (IDP, b"aad")], "ann"),
        (&[(PRINCIPAL, &number), (ID, b"7"), (IDP, b"aad")], "ann"),
        (&[(PRINCIPAL, &null)], "ann"),
        (&[(PRINCIPAL, &boolean)], "ann"),
        (&[(PRINCIPAL, &list)], "ann"),
        (&[(PRINCIPAL, &static_web_apps)], "ann"),
        (&[(PRINCIPAL, &unnamed), (ID, b"7")], "7"),
        (&[(ID, b"7"), (IDP, b"aad")], "7"),
        (&[(NAME, b"Zo\xeb"), (PRINCIPAL, &ann), (ID, b"7")], "ann"),
        (&[(NAME, &long), (PRINCIPAL, &ann), (ID, b"7")], "ann"),
        (&[(NAME, b"root"), (NAME, b"root"), (PRINCIPAL, &ann), (ID, b"7")], "ann"),
        (&[(NAME, b"Zo\xeb"), (ID, b"7")], UNREADABLE),
        (&[(NAME, &long), (ID, b"7")], UNREADABLE),
        (&[(NAME, b"root"), (NAME, b"root"), (ID, b"7")], UNREADABLE),
        (&[(NAME, b"Zo\xeb"), (PRINCIPAL, &unnamed), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, b"%%%"), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, b"bm90IGpzb24="), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, &array), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, &empty), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, &other), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, &number_as_name), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, &no_details), (ID, b"7")], UNREADABLE),
        (&[(PRINCIPAL, &unnamed)], UNREADABLE),
        (&[(IDP, b"aad")], UNREADABLE),
        (&[(ID, b"7"), (ID, b"7")], UNREADABLE),
        (&[(ID, b"sid:7"), (IDP, b"aad")], SESSION),
        (&[(PRINCIPAL, &unnamed), (ID, b"sid:7")], SESSION),
    ];
    let id = |number: usize| format!("case-{number}-end");
    for (number, (headers, expected)) in cases.iter().enumerate() {
        assert_eq!(outcome(&app, headers, &id(number)).await, *expected, "{headers:?}");
    }
    let log = app.stop();
    for (number, (headers, expected)) in cases.iter().enumerate() {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&id(number))).collect();
        let [line] = lines[..] else { panic!("{headers:?}: {lines:?}") };
        assert_eq!(line.contains(" WARN "), expected.starts_with("401"), "{line}");
        assert!(!line.contains("root") && !line.contains("sid:"), "{line}");
        assert_eq!(line.contains("token store"), *expected == SESSION, "{line}");
    }
}

#[tokio::test]
async fn a_session_without_a_name_asks_to_sign_in_again_on_every_route_of_a_user() {
    let app = TestApp::with_signalr(1, &[EASY_AUTH]);
    for request in [app.post("/api/negotiate"), app.message(&json!({"text": "hi"})), app.get("/api/me")] {
        let response = request.header(ID, "sid:0f8c").header("authorization", "Bearer x").send().await.unwrap();
        let error = ErrorResponse::read(response).await;
        assert_eq!((error.status, error.code.as_str()), (401, "session_without_name"));
        assert!(error.message.contains("Sign in again"), "{}", error.message);
    }
}

#[tokio::test]
async fn people_of_two_providers_with_the_same_name_are_two_users_where_one_provider_is_named() {
    const IDP: &str = "x-ms-client-principal-idp";
    let named = TestApp::with_signalr(1, &[EASY_AUTH, ("ChatIdentityProvider", "AAD")]);
    let unnamed = TestApp::with_signalr(1, &[EASY_AUTH]);
    let of_aad = STANDARD.encode(r#"{"auth_typ":"aad","claims":[]}"#).into_bytes();
    let of_github = STANDARD.encode(r#"{"identityProvider":"github","userDetails":"ann"}"#).into_bytes();
    let nameless = STANDARD.encode(r#"{"auth_typ":"google","claims":[]}"#).into_bytes();
    let unreadable = "401 unauthenticated";
    let cases: &[(Headers<'_>, &str, &str)] = &[
        (&[(NAME, b"ann"), (IDP, b"aad")], "ann", "ann"),
        (&[(NAME, b"ann"), (IDP, b"github")], "github:ann", "ann"),
        (&[(NAME, b"ann"), (IDP, b"GitHub")], "github:ann", "ann"),
        (&[(NAME, b"github:ann"), (IDP, b"aad")], "aad:github:ann", "github:ann"),
        (&[(NAME, b"ann"), (PRINCIPAL, &of_aad)], "ann", "ann"),
        (&[(PRINCIPAL, &of_github)], "github:ann", "ann"),
        (&[(PRINCIPAL, &nameless), (ID, b"7")], "google:7", "7"),
        (&[(NAME, b"ann")], unreadable, "ann"),
        (&[(NAME, b"ann"), (IDP, b"aad"), (IDP, b"github")], unreadable, "ann"),
        (&[(NAME, b"ann"), (IDP, b"a:b")], unreadable, "ann"),
        (&[(NAME, b"ann"), (PRINCIPAL, b"%%%")], unreadable, "ann"),
        (&[], "a guest", "a guest"),
    ];
    for (number, (headers, with_provider, without)) in cases.iter().enumerate() {
        let id = format!("case-{number}-end");
        assert_eq!(outcome(&named, headers, &id).await, *with_provider, "{headers:?}");
        assert_eq!(outcome(&unnamed, headers, &id).await, *without, "{headers:?}");
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
