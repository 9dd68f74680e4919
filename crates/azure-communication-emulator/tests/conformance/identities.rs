//! Tests of creating and deleting identities.

use azure_communication_emulator::Options;
use serde_json::json;

use crate::test_support::{IDENTITIES, NOW, RESOURCE, TestService, claims, expiry, options};

/// Whether a text is a UUID in lower case.
fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.concat().bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[tokio::test]
async fn case_18_all_forms_of_a_request_without_scopes_create_an_identity_without_a_token() {
    let service = TestService::start().await;
    let mut ids = Vec::new();
    for body in [
        "",
        "{}",
        r#"{"createTokenWithScopes":null,"expiresInMinutes":null}"#,
        r#"{"createTokenWithScopes": [], "expiresInMinutes": 60}"#,
    ] {
        let response = service.call("POST", IDENTITIES, body).await;
        assert_eq!(response.status, 201, "{body}: {}", response.body);
        assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
        let json = response.json();
        let id = json["identity"]["id"].as_str().unwrap().to_owned();
        assert_eq!(json, json!({"identity": {"id": id}}));
        let (resource, user) = id.strip_prefix("8:acs:").unwrap().split_once('_').unwrap();
        assert!(resource == RESOURCE && is_guid(user), "{id}");
        ids.push(id);
    }
    let listed: Vec<_> = service.emulator.identities().into_iter().map(|record| record.id).collect();
    assert_eq!(listed, ids);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn case_19_an_identity_created_with_scopes_comes_with_a_token() {
    let service = TestService::start().await;
    let body = r#"{"createTokenWithScopes":["chat"],"expiresInMinutes":60}"#;
    let response = service.call("POST", IDENTITIES, body).await;
    assert_eq!(response.status, 201);
    let json = response.json();
    let claims = claims(json["accessToken"]["token"].as_str().unwrap());
    assert_eq!(expiry(&json["accessToken"]), NOW + 3600);
    assert_eq!(
        claims,
        json!({
            "skypeid": json["identity"]["id"].as_str().unwrap().strip_prefix("8:").unwrap(),
            "scp": 1792, "csi": NOW.to_string(), "exp": NOW + 3600, "acsScope": "chat",
            "resourceId": RESOURCE, "iat": NOW,
        })
    );
}

#[tokio::test]
async fn a_failed_create_creates_no_identity() {
    let service = TestService::start().await;
    for (body, target) in [
        (r#"{"createTokenWithScopes":["video"]}"#, "CreateTokenWithScopes"),
        (r#"{"createTokenWithScopes":"chat"}"#, "CreateTokenWithScopes"),
        (r#"{"createTokenWithScopes":["chat",null]}"#, "CreateTokenWithScopes"),
        (r#"{"createTokenWithScopes":["chat"],"expiresInMinutes":59}"#, "ExpiresInMinutes"),
        (r#"{"expiresInMinutes":59}"#, "ExpiresInMinutes"),
    ] {
        let response = service.call("POST", IDENTITIES, body).await;
        assert_eq!(response.error(), (400, "ValidationError".to_owned()), "{body}");
        assert_eq!(response.json()["error"]["target"], target);
    }
    assert!(service.emulator.identities().is_empty());
    assert_eq!(service.emulator.calls().create, 0);
}

#[tokio::test]
async fn case_26_a_deleted_identity_is_gone_and_may_be_deleted_again() {
    let service = TestService::start().await;
    let (id, other) = (service.create().await, service.create().await);
    for _ in 0..2 {
        let response = service.call_identity("DELETE", &id, "", "").await;
        assert_eq!((response.status, response.body.as_str()), (204, ""));
        assert_eq!(response.header("content-type"), None);
    }
    assert_eq!(service.issue(&id, r#"{"scopes":["chat"]}"#).await.error().0, 404);
    assert_eq!(service.call_identity("POST", &id, "/:revokeAccessTokens", "").await.error().0, 404);
    assert_eq!(service.emulator.identities().len(), 1);
    service.token(&other).await;
}

#[tokio::test]
async fn an_identity_of_another_resource_is_unknown_here() {
    let service = TestService::start().await;
    let foreign = "8:acs:00000000-0000-0000-0000-000000000009_00000005-14a2-493b-8a72-5a3a0d000081";
    assert_eq!(service.call_identity("DELETE", foreign, "", "").await.error(), (404, "NotFound".to_owned()));
    assert_eq!(service.call_identity("POST", foreign, "/:revokeAccessTokens", "").await.error().0, 404);
    assert_eq!(service.issue(foreign, r#"{"scopes":["chat"]}"#).await.error().0, 404);
}

#[tokio::test]
async fn a_full_service_is_507_until_an_identity_is_deleted() {
    let service = TestService::with(Options { max_identities: 2, ..options() }).await;
    let first = service.create().await;
    service.create().await;
    let response = service.call("POST", IDENTITIES, "").await;
    assert_eq!(response.error(), (507, "InsufficientStorage".to_owned()));
    assert!(response.message().contains("max_identities"));
    service.call_identity("DELETE", &first, "", "").await;
    service.create().await;
}
