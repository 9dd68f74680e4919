//! Creating and deleting identities.

use azure_communication_emulator::Options;
use serde_json::json;

use crate::support::{House, IDENTITIES, NOW, RESOURCE, claims, expiry, options};

/// Whether a text is 8-4-4-4-12 digits of lower-case hex.
fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.concat().bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[tokio::test]
async fn case_18_an_identity_without_a_token_can_be_asked_for_in_every_known_way() {
    let house = House::start().await;
    let mut ids = Vec::new();
    for body in [
        "",
        "{}",
        r#"{"createTokenWithScopes":null,"expiresInMinutes":null}"#,
        r#"{"createTokenWithScopes": [], "expiresInMinutes": 60}"#,
    ] {
        let answer = house.call("POST", IDENTITIES, body).await;
        assert_eq!(answer.status, 201, "{body}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        let json = answer.json();
        let id = json["identity"]["id"].as_str().unwrap().to_owned();
        assert_eq!(json, json!({"identity": {"id": id}}));
        let (resource, user) = id.strip_prefix("8:acs:").unwrap().split_once('_').unwrap();
        assert!(resource == RESOURCE && is_guid(user), "{id}");
        ids.push(id);
    }
    let listed: Vec<_> = house.emulator.identities().into_iter().map(|record| record.id).collect();
    assert_eq!(listed, ids);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn case_19_an_identity_with_a_token_comes_with_one_for_itself() {
    let house = House::start().await;
    let body = r#"{"createTokenWithScopes":["chat"],"expiresInMinutes":60}"#;
    let answer = house.call("POST", IDENTITIES, body).await;
    assert_eq!(answer.status, 201);
    let json = answer.json();
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
async fn a_create_that_is_refused_creates_nobody() {
    let house = House::start().await;
    for (body, target) in [
        (r#"{"createTokenWithScopes":["video"]}"#, "CreateTokenWithScopes"),
        (r#"{"createTokenWithScopes":"chat"}"#, "CreateTokenWithScopes"),
        (r#"{"createTokenWithScopes":["chat",null]}"#, "CreateTokenWithScopes"),
        (r#"{"createTokenWithScopes":["chat"],"expiresInMinutes":59}"#, "ExpiresInMinutes"),
        (r#"{"expiresInMinutes":59}"#, "ExpiresInMinutes"),
    ] {
        let answer = house.call("POST", IDENTITIES, body).await;
        assert_eq!(answer.error(), (400, "ValidationError".to_owned()), "{body}");
        assert_eq!(answer.json()["error"]["target"], target);
    }
    assert!(house.emulator.identities().is_empty());
    assert_eq!(house.emulator.calls().create, 0);
}

#[tokio::test]
async fn case_26_a_deleted_identity_is_gone_and_may_be_deleted_again() {
    let house = House::start().await;
    let (id, other) = (house.create().await, house.create().await);
    for _ in 0..2 {
        let answer = house.of("DELETE", &id, "", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(answer.header("content-type"), None);
    }
    assert_eq!(house.issue(&id, r#"{"scopes":["chat"]}"#).await.error().0, 404);
    assert_eq!(house.of("POST", &id, "/:revokeAccessTokens", "").await.error().0, 404);
    assert_eq!(house.emulator.identities().len(), 1);
    house.token(&other).await;
}

#[tokio::test]
async fn an_identity_of_another_resource_is_unknown_here() {
    let house = House::start().await;
    let foreign = "8:acs:00000000-0000-0000-0000-000000000009_00000005-14a2-493b-8a72-5a3a0d000081";
    assert_eq!(house.of("DELETE", foreign, "", "").await.error(), (404, "NotFound".to_owned()));
    assert_eq!(house.of("POST", foreign, "/:revokeAccessTokens", "").await.error().0, 404);
    assert_eq!(house.issue(foreign, r#"{"scopes":["chat"]}"#).await.error().0, 404);
}

#[tokio::test]
async fn a_full_house_says_so_and_takes_somebody_when_another_leaves() {
    let house = House::with(Options { max_identities: 2, ..options() }).await;
    let first = house.create().await;
    house.create().await;
    let answer = house.call("POST", IDENTITIES, "").await;
    assert_eq!(answer.error(), (507, "InsufficientStorage".to_owned()));
    assert!(answer.message().contains("max_identities"));
    house.of("DELETE", &first, "", "").await;
    house.create().await;
}
