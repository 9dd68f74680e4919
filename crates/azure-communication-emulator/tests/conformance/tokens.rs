//! Tests of access tokens: issuing, revoking, and exchanging those of Teams users.

use azure_communication_emulator::{Clock, Options, TeamsToken, TokenState};
use serde_json::json;

use crate::test_support::{NOW, RESOURCE, TestResponse, TestService, claims, expiry, options};

/// The expiry of a Teams token.
const END: u64 = NOW + 4321;

fn state(service: &TestService, token: &str) -> TokenState {
    service.emulator.introspect(token).unwrap().state
}

#[tokio::test]
async fn case_20_the_default_lifetime_of_a_token_is_a_day() {
    let (service, id) = TestService::with_identity().await;
    for body in [r#"{"scopes":["voip"]}"#, r#"{"scopes": ["voip"], "expiresInMinutes": null}"#] {
        let response = service.issue(&id, body).await;
        assert_eq!((response.status, expiry(&response.json())), (200, NOW + 24 * 3600));
        assert_eq!(claims(response.json()["token"].as_str().unwrap())["exp"], NOW + 24 * 3600);
    }
}

#[tokio::test]
async fn case_21_a_lifetime_is_an_hour_to_a_day_and_the_error_is_that_of_the_service() {
    let (service, id) = TestService::with_identity().await;
    let issue = async |minutes: &str| {
        let body = format!(r#"{{"scopes":["chat"],"expiresInMinutes":{minutes}}}"#);
        service.issue(&id, &body).await
    };
    for minutes in [60, 61, 1440] {
        let response = issue(&minutes.to_string()).await;
        assert_eq!((response.status, expiry(&response.json())), (200, NOW + minutes * 60));
    }
    for minutes in ["59", "1441", "0", "-1"] {
        let response = issue(minutes).await;
        let message =
            format!("ExpiresInMinutes value {minutes} is invalid. Value must be within the [60, 1440] interval.");
        let error = json!({"code": "ValidationError", "message": message, "target": "ExpiresInMinutes"});
        assert_eq!((response.status, response.json()), (400, json!({"error": error})));
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    for minutes in ["\"60\"", "60.5", "99999999999", "true", "[60]", "{}"] {
        assert_eq!(issue(minutes).await.error().0, 400, "{minutes}");
    }
    assert_eq!(service.emulator.calls().issue, 3);
}

#[tokio::test]
async fn case_22_issuing_without_scopes_fails_with_the_message_of_the_service() {
    let (service, id) = TestService::with_identity().await;
    for body in ["", "{}", r#"{"scopes":null}"#, r#"{"scopes":[]}"#, r#"{"expiresInMinutes":60}"#] {
        let response = service.issue(&id, body).await;
        let error =
            json!({"code": "ValidationError", "message": "Scopes: The Scopes field is required.", "target": "Scopes"});
        assert_eq!((response.status, response.json()), (400, json!({"error": error})), "{body}");
    }
}

#[tokio::test]
async fn case_23_exactly_five_scopes_are_accepted() {
    let (service, id) = TestService::with_identity().await;
    for scope in ["chat", "voip", "chat.join", "chat.join.limited", "voip.join"] {
        let response = service.issue(&id, &json!({"scopes": [scope]}).to_string()).await;
        assert_eq!(claims(response.json()["token"].as_str().unwrap())["acsScope"], scope);
    }
    let response = service.issue(&id, r#"{"scopes":["voip","chat","voip"]}"#).await;
    assert_eq!(claims(response.json()["token"].as_str().unwrap())["acsScope"], "voip,chat");
    for scopes in [json!(["video"]), json!(["chat", "Chat"]), json!([1]), json!("chat"), json!([["chat"]])] {
        let response = service.issue(&id, &json!({"scopes": scopes}).to_string()).await;
        assert_eq!(response.error(), (400, "ValidationError".to_owned()), "{scopes}");
        assert_eq!(response.json()["error"]["target"], "Scopes");
    }
}

#[tokio::test]
async fn case_24_an_unknown_or_deleted_identity_gets_no_token() {
    let (service, id) = TestService::with_identity().await;
    service.call_identity("DELETE", &id, "", "").await;
    let never = format!("8:acs:{RESOURCE}_00000005-14a2-493b-8a72-5a3a0d000081");
    for unknown in [id.as_str(), &never, "8:acs:unknown", "alice", &id.to_uppercase()] {
        let response = service.issue(unknown, r#"{"scopes":["chat"]}"#).await;
        assert_eq!(response.error(), (404, "NotFound".to_owned()), "{unknown}");
        assert_eq!(response.message(), "Provided identity doesn't exist");
    }
    assert_eq!(service.emulator.calls().issue, 0);
}

#[tokio::test]
async fn case_25_revoking_affects_earlier_tokens_and_no_later_one() {
    let service = TestService::start().await;
    let (id, other) = (service.create().await, service.create().await);
    let early = [service.token(&id).await, service.token(&id).await];
    let others = service.token(&other).await;
    for _ in 0..2 {
        let response = service.call_identity("POST", &id, "/:revokeAccessTokens", "").await;
        assert_eq!((response.status, response.body.as_str()), (204, ""));
        assert_eq!(response.header("content-type"), None);
    }
    // The clock is stopped, so all of this happens within one second.
    let late = service.token(&id).await;
    for token in &early {
        assert_eq!(state(&service, token), TokenState::Revoked);
        assert_eq!(service.emulator.introspect(token).unwrap().honoured_until, Some(NOW + 900));
    }
    assert_eq!([state(&service, &late), state(&service, &others)], [TokenState::Alive; 2]);
    service.call_identity("DELETE", &id, "", "").await;
    assert_eq!(state(&service, &late), TokenState::Deleted);
    assert_eq!(service.emulator.calls().revoke, 2);
}

#[tokio::test]
async fn a_token_is_valid_until_its_last_second() {
    let (service, id) = TestService::with_identity().await;
    let token = service.token(&id).await;
    service.emulator.advance(24 * 3600 - 1);
    assert_eq!(state(&service, &token), TokenState::Alive);
    service.emulator.set_clock(Clock::Stopped { at: NOW + 24 * 3600 });
    assert_eq!(state(&service, &token), TokenState::Expired);
}

#[tokio::test]
async fn a_token_of_another_emulator_is_unknown() {
    let (service, other) = (TestService::start().await, TestService::start().await);
    let id = service.create().await;
    let token = service.token(&id).await;
    assert!(other.emulator.introspect(&token).is_none());
    let introspection = service.emulator.introspect(&token).unwrap();
    assert_eq!((introspection.identity, introspection.expires_at), (id, NOW + 24 * 3600));
    assert!(service.emulator.introspect(&token[..token.len() - 1]).is_none());
}

async fn service_with_teams_tokens() -> TestService {
    let token = |token: &str, expires_at| TeamsToken {
        token: token.to_owned(),
        app_id: "app".to_owned(),
        user_id: "oid".to_owned(),
        expires_at,
    };
    let teams_tokens = vec![token("entra", END), token("old", NOW), token("", END)];
    TestService::with(Options { teams_tokens, ..options() }).await
}

async fn exchange(service: &TestService, token: &str, app: &str, user: &str) -> TestResponse {
    let body = json!({"token": token, "appId": app, "userId": user}).to_string();
    service.call("POST", "/teamsUser/:exchangeAccessToken?api-version=2023-10-01", &body).await
}

#[tokio::test]
async fn case_29_a_teams_access_token_expires_with_the_token_it_was_exchanged_for() {
    let service = service_with_teams_tokens().await;
    let response = exchange(&service, "entra", "app", "oid").await;
    assert_eq!((response.status, expiry(&response.json())), (200, END));
    let token = response.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&token)["exp"], END);
    let introspection = service.emulator.introspect(&token).unwrap();
    assert_eq!((introspection.identity.as_str(), introspection.state), ("8:orgid:oid", TokenState::Alive));
    assert!(service.emulator.identities().is_empty());
    assert_eq!(service.emulator.calls().exchange, 1);
}

#[tokio::test]
async fn case_29_exchange_fails_with_the_errors_of_the_service() {
    let service = service_with_teams_tokens().await;
    let invalid =
        |message: &str, target: &str| (400, json!({"code": "ValidationError", "message": message, "target": target}));
    let message = "Provided access token is not valid.";
    let invalid_token = (401, json!({"code": "InvalidAccessToken", "message": message}));
    for (token, app, user, (status, error)) in [
        ("entra", "other", "oid", invalid("AAD application is not the expected one.", "appId")),
        ("entra", "app", "other", invalid("Provided AAD token issued for unexpected user.", "userId")),
        ("", "app", "oid", invalid_token.clone()),
        ("old", "app", "oid", invalid_token.clone()),
        ("unknown", "app", "oid", invalid_token),
    ] {
        let response = exchange(&service, token, app, user).await;
        assert_eq!((response.status, response.json()), (status, json!({"error": error})));
    }
}

#[tokio::test]
async fn all_three_fields_of_an_exchange_are_required() {
    let service = service_with_teams_tokens().await;
    for name in ["token", "appId", "userId"] {
        for wrong in [json!(null), json!(1)] {
            let mut body = json!({"token": "entra", "appId": "app", "userId": "oid"});
            body[name] = wrong;
            let target = "/teamsUser/:exchangeAccessToken?api-version=2022-06-01";
            let response = service.call("POST", target, &body.to_string()).await;
            assert_eq!(response.error(), (400, "ValidationError".to_owned()));
            assert_eq!(response.json()["error"]["target"], name);
        }
    }
}
