//! Tests of access tokens of Microsoft Entra ID that callers bring: which are accepted, for which user, and how others are rejected.
//!
//! Anonymous use is allowed here, so a test would notice if an invalid token were treated as anonymous.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::access_token::{TestEnv, issue, request_as};
use crate::scripted_service::ScriptedService;
use crate::test_app::{ErrorResponse, TestApp, api_error};
use test_support::entra::{CLIENT, Entra, Signer, TENANT, now};
use test_support::http::negotiated_user;

const ACCESS_TOKEN: &str = "/api/access-token";
const NEGOTIATE: &str = "/api/negotiate";
const ALLOW_ANONYMOUS: (&str, &str) = ("ChatAllowAnonymous", "true");

/// Starts a handler without Easy Auth that accepts tokens of the tenant.
fn start_app(env: &TestEnv, entra: &Entra, more: &[(&str, &str)]) -> TestApp {
    let mut variables = vec![("WEBSITE_AUTH_ENABLED", "false"), ALLOW_ANONYMOUS];
    variables.extend(entra.settings());
    variables.extend(more);
    env.start_app(&variables)
}

/// Starts the services, a tenant and a handler that accepts its tokens.
async fn start(more: &[(&str, &str)]) -> (TestEnv, Entra, TestApp) {
    let (env, entra) = (TestEnv::start().await, Entra::start().await);
    let app = start_app(&env, &entra, more);
    (env, entra, app)
}

fn post_with_token(app: &TestApp, path: &str, token: &str) -> RequestBuilder {
    app.post(path).bearer_auth(token)
}

/// Checks that all tokens made by `forge` are rejected by all functions with `status` and a message that contains `part`, and that Azure
/// Communication Services is not called.
async fn assert_rejected(forge: impl Fn(&Entra) -> Vec<String>, status: u16, part: &str) {
    let (env, entra, mut app) = start(&[("RUST_LOG", "trace")]).await;
    assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, &entra.token("ann"))).await, "ann@contoso.com");
    let (code, challenge) = match status {
        401 => ("unauthenticated", "invalid_token"),
        _ => ("insufficient_scope", "insufficient_scope"),
    };
    let tokens = forge(&entra);
    for token in &tokens {
        for request in [
            post_with_token(&app, ACCESS_TOKEN, token),
            app.request(Method::DELETE, ACCESS_TOKEN).bearer_auth(token),
            post_with_token(&app, NEGOTIATE, token),
            app.message(&json!({"text": "hi"})).bearer_auth(token),
        ] {
            let error = ErrorResponse::read(request.send().await.unwrap()).await;
            assert_eq!((error.status, error.code.as_str()), (status, code), "{}", error.message);
            assert!(error.message.contains(part), "{}", error.message);
            assert_eq!(error.challenge, Some(format!("Bearer error=\"{challenge}\"")));
            assert!(token.is_empty() || !error.message.contains(token));
        }
    }
    assert_eq!(env.emulator.calls().received, 0);
    assert!(env.blobs.blobs().is_empty());
    let log = app.stop() + &app.process.err.text();
    assert!(log.contains("operation=\"SendMessage\""), "{log}");
    for segment in tokens.iter().flat_map(|token| token.split('.')).filter(|segment| segment.len() > 20) {
        assert!(!log.contains(segment), "{segment} in {log}");
    }
}

/// The same for validly signed tokens in which the claim `name` has one of `values`, or is missing.
async fn assert_claim_rejected(name: &str, values: Vec<Value>, status: u16, part: &str) {
    let forge = |entra: &Entra| {
        values.iter().map(|value| Signer::first().sign(&entra.claims_with(name, value.clone()))).collect()
    };
    assert_rejected(forge, status, part).await;
}

#[tokio::test]
async fn a_token_for_another_app_is_rejected() {
    let graph = "00000003-0000-0000-c000-000000000000";
    assert_claim_rejected("aud", vec![json!(graph), json!("api://another"), json!([CLIENT])], 401, "cannot be used")
        .await;
    assert_claim_rejected("aud", vec![json!(graph)], 401, "it is for another app").await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_rejected() {
    let other = "https://login.microsoftonline.com/6babcaad-604b-40ac-a9d7-9fd97c0b779f/v2.0";
    let other_v1 = "https://sts.windows.net/11111111-604b-40ac-a9d7-9fd97c0b779f/";
    assert_claim_rejected("iss", vec![json!(other), json!(other_v1)], 401, "it is of another tenant").await;
}

#[tokio::test]
async fn a_token_of_another_tenant_with_our_issuer_is_rejected() {
    let other = json!("11111111-604b-40ac-a9d7-9fd97c0b779f");
    assert_claim_rejected("tid", vec![other, Value::Null], 401, "it is of another tenant").await;
}

#[tokio::test]
async fn an_expired_token_is_rejected() {
    assert_claim_rejected("exp", vec![json!(now() - 90), json!(0)], 401, "it has ended").await;
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet_is_rejected() {
    assert_claim_rejected("nbf", vec![json!(now() + 600)], 401, "it has not begun").await;
}

#[tokio::test]
async fn an_unsigned_token_is_rejected() {
    let forge = |entra: &Entra| {
        ["none", "None", "nOnE"].map(|alg| Signer::first().unsigned(alg, &entra.claims("ann"))).to_vec()
    };
    assert_rejected(forge, 401, "it is not signed with RS256").await;
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_as_a_secret_is_rejected() {
    assert_rejected(|entra| Signer::first().sign_with_public_key(&entra.claims("ann")), 401, "RS256").await;
}

#[tokio::test]
async fn a_token_signed_with_an_unpublished_key_is_rejected() {
    let forge = |entra: &Entra| {
        let (claims, other) = (entra.claims("ann"), Signer::second());
        vec![other.with_kid("first").sign(&claims), other.sign(&claims)]
    };
    assert_rejected(forge, 401, "no key of the tenant has signed it").await;
}

#[tokio::test]
async fn a_token_without_the_scope_is_forbidden() {
    let others = vec![json!("User.Read"), json!("access_as_user.read"), Value::Null];
    assert_claim_rejected("scp", others, 403, "access_as_user").await;
}

#[tokio::test]
async fn a_token_of_an_app_without_a_user_is_rejected() {
    assert_claim_rejected("oid", vec![Value::Null], 401, "it is about no user").await;
}

#[tokio::test]
async fn a_malformed_token_is_rejected_and_not_treated_as_anonymous() {
    let forge = |entra: &Entra| {
        let token = entra.token("ann");
        ["", "x", "a.b.c", &token[1..], &format!("{token}.x"), &"a".repeat(20_000)].map(str::to_owned).to_vec()
    };
    assert_rejected(forge, 401, "no access token of Microsoft Entra ID").await;
}

#[tokio::test]
async fn two_tokens_are_rejected_and_other_schemes_are_ignored() {
    let (_env, entra, app) = start(&[]).await;
    let two = post_with_token(&app, NEGOTIATE, &entra.token("ann")).bearer_auth(entra.token("bob"));
    assert_eq!(api_error(two.send().await.unwrap()).await, (401, "unauthenticated".to_owned()));
    assert_eq!(negotiated_user(app.post(NEGOTIATE).basic_auth("ann", Some("x"))).await, Value::Null);
    assert_eq!(negotiated_user(app.post(NEGOTIATE)).await, Value::Null);
    let anonymous = app.post(ACCESS_TOKEN).send().await.unwrap();
    assert_eq!(api_error(anonymous).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn a_token_of_either_version_carries_the_users_name_into_the_chat() {
    let (env, entra) = (TestEnv::start().await, Entra::start().await);
    let signalr = ScriptedService::start(&[(202, None)]).await;
    let connection = signalr.connection();
    let app = start_app(&env, &entra, &[("AzureSignalRConnectionString", &connection)]);
    let v1 = Signer::first().sign(&entra.claims_v1("ann"));
    for token in [&entra.token("ann"), &v1] {
        assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, token)).await, "ann@contoso.com");
        let message = app.message(&json!({"text": "hi", "recipient": "bob@contoso.com"})).bearer_auth(token);
        let message: Value = message.send().await.unwrap().json().await.unwrap();
        assert_eq!(message["sender"], "ann@contoso.com");
    }
    let without_name = Signer::first().sign(&entra.claims_with("preferred_username", Value::Null));
    assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, &without_name)).await, "ann");
}

#[tokio::test]
async fn easy_auth_and_tokens_lead_to_the_same_identity_of_a_person() {
    let (env, entra) = (TestEnv::start().await, Entra::start().await);
    let (with_easy_auth, without) = (env.start_app(&[]), start_app(&env, &entra, &[]));
    let (_, named) = issue(request_as(&with_easy_auth, Method::POST, TENANT, "ann")).await;
    for token in [entra.token("ann"), Signer::first().sign(&entra.claims_v1("ann"))] {
        assert_eq!(issue(post_with_token(&without, ACCESS_TOKEN, &token)).await.1, named);
    }
    assert_ne!(issue(post_with_token(&without, ACCESS_TOKEN, &entra.token("bob"))).await.1, named);
    let ended = without.request(Method::DELETE, ACCESS_TOKEN).bearer_auth(entra.token("ann")).send().await.unwrap();
    assert_eq!((ended.status().as_u16(), env.emulator.calls().revoke), (204, 1));
}

#[tokio::test]
async fn headers_of_easy_auth_take_precedence_over_a_token() {
    let (_env, entra, app) = start(&[("WEBSITE_AUTH_ENABLED", "true")]).await;
    let ann = ("x-ms-client-principal-name", "ann");
    for token in [&entra.token("bob"), "x"] {
        assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, token).header(ann.0, ann.1)).await, "ann");
    }
    assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, &entra.token("bob"))).await, "bob@contoso.com");
    let forged = post_with_token(&app, NEGOTIATE, "x").send().await.unwrap();
    assert_eq!(forged.status(), 401);
}

#[tokio::test]
async fn a_token_beside_headers_of_easy_auth_that_name_no_user_is_not_read() {
    let (env, entra, app) = start(&[("WEBSITE_AUTH_ENABLED", "true")]).await;
    for (name, value, code) in [
        ("x-ms-client-principal", "%%%", "unauthenticated"),
        ("x-ms-client-principal", "e30=", "unauthenticated"),
        ("x-ms-client-principal-idp", "aad", "unauthenticated"),
        ("x-ms-client-principal-id", "sid:7", "session_without_name"),
    ] {
        let request = |path: &str| post_with_token(&app, path, &entra.token("bob")).header(name, value).send();
        assert_eq!(api_error(request(NEGOTIATE).await.unwrap()).await, (401, code.to_owned()), "{value}");
        assert_eq!(request(ACCESS_TOKEN).await.unwrap().status(), 401, "{value}");
    }
    assert_eq!(env.emulator.calls().received, 0);
}

#[tokio::test]
async fn a_token_whose_name_is_no_user_id_does_not_make_its_object_id_the_user() {
    let (_env, entra, app) = start(&[]).await;
    for name in [&"a".repeat(1_100), "..", "a\nb", "  "] {
        let token = Signer::first().sign(&entra.claims_with("preferred_username", json!(name)));
        let error = ErrorResponse::read(post_with_token(&app, NEGOTIATE, &token).send().await.unwrap()).await;
        assert_eq!((error.status, error.code.as_str()), (401, "unauthenticated"), "{name}");
        assert!(error.message.contains("it is about no user"), "{}", error.message);
        // The identity of the person does not depend on the name.
        assert!(!issue(post_with_token(&app, ACCESS_TOKEN, &token)).await.0.is_empty());
    }
}

#[tokio::test]
async fn a_forged_header_beside_a_token_is_ignored_where_easy_auth_is_off() {
    let (_env, entra, app) = start(&[]).await;
    let forged = post_with_token(&app, NEGOTIATE, &entra.token("bob")).header("x-ms-client-principal-name", "root");
    assert_eq!(negotiated_user(forged).await, "bob@contoso.com");
}

#[tokio::test]
async fn a_configured_audience_replaces_the_default_audience() {
    let (_env, entra, app) = start(&[("AzureAd__Audience", "api://chat")]).await;
    let token = Signer::first().sign(&entra.claims_with("aud", json!("api://chat")));
    assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, &token)).await, "ann@contoso.com");
    assert_eq!(post_with_token(&app, NEGOTIATE, &entra.token("ann")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_new_key_of_the_tenant_is_accepted_at_once_and_the_old_one_no_longer() {
    let (_env, entra, app) = start(&[]).await;
    let old = entra.token("ann");
    assert!(negotiated_user(post_with_token(&app, NEGOTIATE, &old)).await.is_string());
    entra.publish(&[Signer::second()]);
    let new = Signer::second().sign(&entra.claims("ann"));
    let requests = (0..20).map(|_| negotiated_user(post_with_token(&app, NEGOTIATE, &new)));
    let names = futures_util::future::join_all(requests).await;
    assert!(names.iter().all(|name| name == "ann@contoso.com"), "{names:?}");
    assert_eq!(entra.request_counts(), [2, 2]);
    assert_eq!(post_with_token(&app, NEGOTIATE, &old).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn unknown_key_ids_do_not_trigger_a_fetch_each() {
    let (_env, entra, app) = start(&[]).await;
    let forged = (0..50).map(|number| {
        let token = Signer::second().with_kid(&number.to_string()).sign(&entra.claims("ann"));
        post_with_token(&app, NEGOTIATE, &token).send()
    });
    for response in futures_util::future::join_all(forged).await {
        assert_eq!(response.unwrap().status(), 401);
    }
    assert_eq!(entra.request_counts(), [2, 2]);
}

#[tokio::test]
async fn while_the_tenant_is_unavailable_tokens_are_not_called_invalid() {
    let (env, entra) = (TestEnv::start().await, Entra::start().await);
    for (status, part) in [(Some(503), "answered 503"), (None, "are malformed or of another tenant")] {
        entra.fail_with(status);
        entra.set_issuer("https://login.microsoftonline.com/11111111-604b-40ac-a9d7-9fd97c0b779f/v2.0");
        let mut app = start_app(&env, &entra, &[]);
        for path in [NEGOTIATE, ACCESS_TOKEN] {
            let response = post_with_token(&app, path, &entra.token("ann")).send().await.unwrap();
            let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(api_error(response).await, (503, "unavailable".to_owned()));
        }
        // A malformed token is rejected without keys, and a request without a token is anonymous as before.
        assert_eq!(post_with_token(&app, NEGOTIATE, "x").send().await.unwrap().status(), 401);
        assert_eq!(negotiated_user(app.post(NEGOTIATE)).await, Value::Null);
        let log = app.stop();
        assert!(log.contains(part) && !log.contains("SECRET"), "{log}");
    }
    assert_eq!(env.emulator.calls().received, 0);
}

#[tokio::test]
async fn cached_keys_are_used_while_the_tenant_is_unavailable() {
    let (_env, entra, app) = start(&[]).await;
    let token = entra.token("ann");
    assert!(negotiated_user(post_with_token(&app, NEGOTIATE, &token)).await.is_string());
    entra.fail_with(Some(500));
    let new = Signer::second().sign(&entra.claims("ann"));
    let response = post_with_token(&app, NEGOTIATE, &new).send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, (503, "unavailable".to_owned()));
    assert!(negotiated_user(post_with_token(&app, NEGOTIATE, &token)).await.is_string());
}

#[tokio::test]
async fn a_setting_for_more_than_one_tenant_is_rejected_by_name() {
    let (_env, _entra, app) = start(&[("AzureAd__TenantId", "common")]).await;
    let response = ErrorResponse::read(post_with_token(&app, NEGOTIATE, "x").send().await.unwrap()).await;
    assert_eq!((response.status, response.code.as_str()), (503, "not_configured"));
    assert!(response.message.contains("AzureAd__TenantId"), "{}", response.message);
}

#[tokio::test]
async fn without_the_settings_bearer_tokens_are_ignored() {
    let (env, entra) = (TestEnv::start().await, Entra::start().await);
    let app = env.start_app(&[("WEBSITE_AUTH_ENABLED", "false"), ALLOW_ANONYMOUS]);
    assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, &entra.token("ann"))).await, Value::Null);
    let response = post_with_token(&app, ACCESS_TOKEN, &entra.token("ann")).send().await.unwrap();
    assert_eq!(api_error(response).await, (401, "unauthenticated".to_owned()));
    assert!(entra.request_counts().is_empty());
}

/// RFC 9110, section 15.5.2, and RFC 6750, section 3: a challenge has at least one parameter, and an error only if a token was sent.
#[tokio::test]
async fn every_401_of_every_route_has_a_challenge_for_which_browsers_show_no_dialog() {
    let (env, entra) = (TestEnv::start().await, Entra::start().await);
    let settings = entra.settings();
    let validating: Vec<_> = settings.into_iter().chain([("WEBSITE_AUTH_ENABLED", "false")]).collect();
    for (settings, challenge_of_a_token) in [
        (&[][..], r#"Bearer realm="chat""#),
        (&[("WEBSITE_AUTH_ENABLED", "false")], r#"Bearer realm="chat""#),
        (&validating, r#"Bearer error="invalid_token""#),
    ] {
        let settings: Vec<_> = settings.iter().copied().chain([("ChatAllowAnonymous", "false")]).collect();
        let app = env.start_app(&settings);
        let requests = || {
            [
                app.post(NEGOTIATE),
                app.post("/api/SignalRInfo"),
                app.get("/api/SignalRInfo"),
                app.message(&json!({"text": "hi"})),
                app.post(ACCESS_TOKEN),
                app.request(Method::DELETE, ACCESS_TOKEN),
                app.request(Method::DELETE, &format!("{ACCESS_TOKEN}?forget=true")),
            ]
        };
        for request in requests() {
            let error = ErrorResponse::read(request.send().await.unwrap()).await;
            assert_eq!((error.status, error.challenge.as_deref()), (401, Some(r#"Bearer realm="chat""#)));
        }
        for request in requests() {
            let error = ErrorResponse::read(request.bearer_auth("x").send().await.unwrap()).await;
            assert_eq!((error.status, error.challenge.as_deref()), (401, Some(challenge_of_a_token)));
        }
        for request in requests() {
            let error = ErrorResponse::read(request.basic_auth("ann", Some("x")).send().await.unwrap()).await;
            assert_eq!((error.status, error.challenge.as_deref()), (401, Some(r#"Bearer realm="chat""#)));
        }
    }
}

#[tokio::test]
async fn a_guest_who_sends_to_one_person_is_challenged_too() {
    let app = TestApp::with_signalr(1, &[ALLOW_ANONYMOUS]);
    let message = app.message(&json!({"text": "hi", "recipient": "bob"}));
    let error = ErrorResponse::read(message.send().await.unwrap()).await;
    assert_eq!((error.status, error.challenge.as_deref()), (401, Some(r#"Bearer realm="chat""#)));
}

#[tokio::test]
async fn with_an_audience_no_client_id_is_asked_for() {
    let without_client_id = ("AzureAd__ClientId", "");
    let (_env, entra, app) = start(&[("AzureAd__Audience", "api://chat"), without_client_id]).await;
    let token = Signer::first().sign(&entra.claims_with("aud", json!("api://chat")));
    assert_eq!(negotiated_user(post_with_token(&app, NEGOTIATE, &token)).await, "ann@contoso.com");
    let (_env, _entra, app) = start(&[without_client_id]).await;
    let error = ErrorResponse::read(app.post(NEGOTIATE).send().await.unwrap()).await;
    assert_eq!((error.status, error.code.as_str()), (503, "not_configured"));
    assert!(error.message.contains("AzureAd__ClientId"), "{}", error.message);
}
