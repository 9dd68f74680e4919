//! Tests of authentication: signatures with an access key, and bearer tokens.

use azure_communication_emulator::{AccessKey, EntraOptions, KeyType, Options, TokenState};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::test_support::{
    IDENTITIES, KEY, NOW, OTHER_KEY, TestRequest, TestResponse, TestService, content_hash, http_date, options,
};

const ISSUER: &str = "https://issuer.test/tenant/";
const WITH_CHAT: &str = r#"{"createTokenWithScopes":["chat"]}"#;

/// A signed request to create an identity.
fn create(service: &TestService) -> TestRequest {
    service.request("POST", IDENTITIES, WITH_CHAT).signed_with(KEY)
}

/// Sends a request that must fail with 401 and change nothing; returns the message.
async fn send_denied(service: &TestService, request: TestRequest) -> String {
    let response = service.send(request).await;
    assert_eq!(response.error(), (401, "Denied".to_owned()), "{}", response.body);
    assert!(response.header("www-authenticate").is_some());
    assert!(service.emulator.identities().is_empty());
    assert!(!response.body.contains(KEY) && !response.body.contains(OTHER_KEY), "{}", response.body);
    response.message()
}

#[tokio::test]
async fn case_7_a_request_without_a_signature_is_401_and_changes_nothing() {
    let service = TestService::start().await;
    let unsigned = service.request("POST", IDENTITIES, WITH_CHAT);
    assert!(send_denied(&service, unsigned.clone()).await.contains("rule `headers`"));
    for other in ["Bearer x", "SharedKey a:b", "HMAC-SHA256", "HMAC-SHA256 x", ""] {
        send_denied(&service, unsigned.clone().header("authorization", other)).await;
    }
    let calls = service.emulator.calls();
    assert_eq!((calls.received, calls.refused, calls.create), (6, 6, 0));
}

#[tokio::test]
async fn case_8_a_wrong_key_is_401_and_the_response_has_the_string_to_sign() {
    let service = TestService::start().await;
    let request = service.request("POST", IDENTITIES, WITH_CHAT).signed_with(OTHER_KEY);
    assert!(send_denied(&service, request.clone()).await.contains("rule `signature`"));
    let detail = service.send(request).await.json()["error"]["details"][0]["message"].as_str().unwrap().to_owned();
    let string_to_sign = r"POST\n/identities?api-version=2023-10-01\nWed, 18 Oct 2023 15:34:16 GMT;127";
    assert!(detail.contains(string_to_sign), "{detail}");
}

#[tokio::test]
async fn case_9_a_changed_body_is_401_with_the_message_of_the_service() {
    let service = TestService::start().await;
    let mut request = create(&service);
    request.body = WITH_CHAT.replace("chat", "voip");
    let message = send_denied(&service, request).await;
    assert_eq!(message, "Request 'x-ms-content-sha256' differs from generated content hash.");
    let hash = content_hash(WITH_CHAT.replace("chat", "voip").as_bytes());
    let mut with_its_hash = create(&service).header("x-ms-content-sha256", &hash);
    with_its_hash.body = WITH_CHAT.replace("chat", "voip");
    assert!(send_denied(&service, with_its_hash).await.contains("rule `signature`"));
}

#[tokio::test]
async fn case_10_a_changed_target_or_method_is_401() {
    let service = TestService::start().await;
    for target in [
        "/identities?api-version=2025-06-30",
        "/identities?api-version=2023-10-01&x=1",
        "/identities?api-version=2023-10-0%31",
        "/identities/?api-version=2023-10-01",
        "/%69dentities?api-version=2023-10-01",
        "//identities?api-version=2023-10-01",
        "/identities",
    ] {
        let changed = TestRequest { target: target.to_owned(), ..create(&service) };
        assert!(send_denied(&service, changed).await.contains("rule `signature`"), "{target}");
    }
    send_denied(&service, TestRequest { method: "PUT".to_owned(), ..create(&service) }).await;
}

#[tokio::test]
async fn case_11_a_changed_host_is_401_and_any_signed_allowed_host_is_accepted() {
    let allowed_hosts = vec!["contoso.communication.azure.com".to_owned()];
    let service = TestService::with(Options { allowed_hosts, ..options() }).await;
    let host = service.host().replace("127.0.0.1", "localhost");
    send_denied(&service, create(&service).header("host", &host)).await;
    send_denied(&service, create(&service).header("host", "127.0.0.1")).await;
    let signed = create(&service).header("host", "contoso.communication.azure.com").signed_with(KEY);
    assert_eq!(service.send(signed).await.status, 201);
}

#[tokio::test]
async fn case_12_a_date_must_be_valid_and_at_most_15_minutes_off() {
    let service = TestService::start().await;
    let dated = |date: &str| create(&service).header("x-ms-date", date).signed_with(KEY);
    for wrong in ["", "yesterday", "2023-10-18T15:34:16Z", "1697643256", "Thu, 18 Oct 2023 15:34:16 GMT"] {
        assert!(send_denied(&service, dated(wrong)).await.contains("rule `date`"), "{wrong}");
    }
    for off in [NOW + 920, NOW - 920] {
        assert!(send_denied(&service, dated(&http_date(off))).await.contains("920 s"));
    }
    let undated = create(&service).without("x-ms-date");
    assert!(send_denied(&service, undated).await.contains(r#""x-ms-date", once"#));
    for near in [NOW + 880, NOW - 880] {
        assert_eq!(service.send(dated(&http_date(near))).await.status, 201);
    }
    service.emulator.advance(1000);
    assert_eq!(service.send(dated(&http_date(NOW))).await.status, 401);
}

#[tokio::test]
async fn case_13_a_valid_signature_without_host_hash_or_date_is_401() {
    let service = TestService::start().await;
    for names in [
        &["x-ms-date", "x-ms-content-sha256"][..],
        &["x-ms-date", "host"],
        &["host", "x-ms-content-sha256"],
        &["host"],
        &[],
    ] {
        let request = create(&service).signed(KEY, names);
        assert!(send_denied(&service, request).await.contains("rule `signed headers`"), "{names:?}");
    }
}

#[tokio::test]
async fn signed_headers_may_have_another_order_more_headers_and_capitals() {
    let service = TestService::start().await;
    let more = ["host", "x-extra", "x-ms-content-sha256", "x-ms-date"];
    assert_eq!(service.send(create(&service).header("x-extra", "1").signed(KEY, &more)).await.status, 201);
    let request = create(&service).header("x-extra", "1").signed(KEY, &more).header("x-extra", "2");
    assert_eq!(service.send(request).await.status, 401);
    let usual = create(&service).into_bytes();
    let capitals =
        String::from_utf8(usual).unwrap().replace("SignedHeaders=x-ms-date;host", "SignedHeaders=X-Ms-Date;Host");
    assert_eq!(service.send_bytes(capitals.as_bytes()).await.status, 201);
}

#[tokio::test]
async fn a_signed_header_must_not_be_repeated() {
    let service = TestService::start().await;
    let hash = content_hash(WITH_CHAT.as_bytes());
    for (name, value) in [("x-ms-date", &http_date(NOW)), ("x-ms-content-sha256", &hash)] {
        let repeated = create(&service).second_header(name, value);
        assert!(send_denied(&service, repeated).await.contains("several"), "{name}");
    }
}

#[tokio::test]
async fn case_14_date_replaces_x_ms_date_which_takes_precedence() {
    let service = TestService::start().await;
    let with_date = create(&service).without("x-ms-date").header("date", &http_date(NOW));
    let names = ["date", "host", "x-ms-content-sha256"];
    assert_eq!(service.send(with_date.clone().signed(KEY, &names)).await.status, 201);
    let both = ["date", "x-ms-date", "host", "x-ms-content-sha256"];
    let old_date = create(&service).header("date", &http_date(NOW - 5000)).signed(KEY, &both);
    assert_eq!(service.send(old_date).await.status, 201);
    let old_ms_date = with_date.header("x-ms-date", &http_date(NOW - 5000));
    assert_eq!(service.send(old_ms_date.signed(KEY, &both)).await.status, 401);
}

#[tokio::test]
async fn case_15_a_signed_request_may_be_sent_again() {
    let service = TestService::start().await;
    let bytes = create(&service).into_bytes();
    for expected in 1..=3 {
        assert_eq!(service.send_bytes(&bytes).await.status, 201);
        assert_eq!(service.emulator.identities().len(), expected);
    }
}

#[tokio::test]
async fn case_16_all_escapings_of_an_id_are_signed_as_sent_and_name_the_same_identity() {
    let (service, id) = TestService::with_identity().await;
    for spelled in [id.clone(), id.replace(':', "%3A"), id.replace(':', "%3a"), id.replace('_', "%5F")] {
        let target = format!("/identities/{spelled}/:issueAccessToken?api-version=2023-10-01");
        let response = service.call("POST", &target, r#"{"scopes":["chat"]}"#).await;
        assert_eq!(response.status, 200, "{spelled}: {}", response.body);
    }
    assert_eq!(service.emulator.identities()[0].tokens, 4);
    let signed = format!("/identities/{}/:issueAccessToken?api-version=2023-10-01", id.replace(':', "%3A"));
    let request = service.request("POST", &signed, r#"{"scopes":["chat"]}"#).signed_with(KEY);
    let respelled = TestRequest { target: signed.replace("%3A", ":"), ..request };
    assert_eq!(service.send(respelled).await.status, 401);
}

#[tokio::test]
async fn case_17_both_keys_are_accepted_and_regenerating_one_invalidates_its_tokens() {
    let access_keys = [KEY, OTHER_KEY].map(|key| AccessKey::new(key).unwrap());
    let service = TestService::with(Options { access_keys, ..options() }).await;
    let mut tokens = Vec::new();
    for key in [KEY, OTHER_KEY] {
        let request = service.request("POST", IDENTITIES, WITH_CHAT).signed_with(key);
        let response = service.send(request).await.json();
        tokens.push(response["accessToken"]["token"].as_str().unwrap().to_owned());
    }
    let states = || {
        let state = |token: &String| service.emulator.introspect(token).unwrap().state;
        tokens.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(), [TokenState::Alive, TokenState::Alive]);

    service.emulator.regenerate_key(KeyType::Primary);
    assert_eq!(states(), [TokenState::KeyChanged, TokenState::Alive]);
    assert_eq!(service.send(create(&service)).await.status, 401);
    let request = service.request("POST", IDENTITIES, "").signed_with(OTHER_KEY);
    assert_eq!(service.send(request).await.status, 201);

    let connection_string = service.emulator.connection_string("http://localhost:8889");
    let new_key = connection_string.strip_prefix("endpoint=http://localhost:8889/;accesskey=").unwrap();
    let request = service.request("POST", IDENTITIES, "").signed_with(new_key);
    assert_eq!(service.send(request).await.status, 201);
}

async fn service_with_entra() -> TestService {
    let signing_key = AccessKey::new(OTHER_KEY).unwrap();
    let entra = EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners: vec!["the-app".to_owned()] };
    TestService::with(Options { entra: Some(entra), ..options() }).await
}

/// A valid bearer token in which one claim is replaced.
fn bearer_token(algorithm: &str, claim: &str, value: Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": "https://communication.azure.com/", "oid": "the-app", "nbf": NOW, "exp": NOW + 60,
    });
    claims[claim] = value;
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": algorithm, "typ": "JWT"})), part(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(OTHER_KEY).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Creates an identity with a token; the request has a bearer token and no signature.
async fn create_with_bearer(service: &TestService, token: &str) -> TestResponse {
    let request = service.request("POST", IDENTITIES, r#"{"createTokenWithScopes":["chat"]}"#);
    let request = request.without("x-ms-date").without("x-ms-content-sha256");
    service.send(request.header("authorization", &format!("Bearer {token}"))).await
}

#[tokio::test]
async fn a_bearer_token_of_an_owner_is_accepted_beside_signatures() {
    let service = service_with_entra().await;
    let response = create_with_bearer(&service, &bearer_token("HS256", "x", json!(1))).await;
    assert_eq!(response.status, 201, "{}", response.body);
    service.create().await;
}

#[tokio::test]
async fn a_token_issued_to_a_bearer_outlives_the_access_keys() {
    let service = service_with_entra().await;
    let response = create_with_bearer(&service, &bearer_token("HS256", "x", json!(1))).await.json();
    let issued = response["accessToken"]["token"].as_str().unwrap();
    service.emulator.regenerate_key(KeyType::Primary);
    service.emulator.regenerate_key(KeyType::Secondary);
    assert_eq!(service.emulator.introspect(issued).unwrap().state, TokenState::Alive);
}

#[tokio::test]
async fn a_rejected_bearer_token_returns_the_rule_it_breaks() {
    let service = service_with_entra().await;
    for (claim, value, status, rule) in [
        ("iss", json!("https://elsewhere.test/"), 401, "issuer"),
        ("aud", json!("https://signalr.azure.com"), 401, "audience"),
        ("exp", json!(NOW), 401, "exp"),
        ("nbf", json!(NOW + 60), 401, "nbf"),
        ("oid", json!("another-app"), 403, "role"),
    ] {
        let rejected = bearer_token("HS256", claim, value);
        let response = create_with_bearer(&service, &rejected).await;
        assert_eq!(response.error(), (status, "Denied".to_owned()), "{claim}");
        assert!(response.message().contains(&format!("rule `{rule}`")), "{}", response.body);
        assert!(!response.body.contains(&rejected) && !response.body.contains(OTHER_KEY));
    }
    for algorithm in ["none", "HS512"] {
        assert_eq!(create_with_bearer(&service, &bearer_token(algorithm, "x", json!(1))).await.status, 401);
    }
    let unsigned = bearer_token("HS256", "x", json!(1)).rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(create_with_bearer(&service, &unsigned).await.status, 401);
    assert!(service.emulator.identities().is_empty());
}

#[tokio::test]
async fn bearer_tokens_are_rejected_without_entra_options() {
    let service = TestService::start().await;
    assert_eq!(create_with_bearer(&service, &bearer_token("HS256", "x", json!(1))).await.status, 401);
}
