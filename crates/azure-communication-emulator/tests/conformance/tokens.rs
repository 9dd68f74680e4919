//! Issuing and revoking access tokens.

use azure_communication_emulator::{Clock, TokenState};
use serde_json::json;

use crate::support::{House, NOW, RESOURCE, claims, expiry};

fn state(house: &House, token: &str) -> TokenState {
    house.emulator.introspect(token).unwrap().state
}

#[tokio::test]
async fn case_20_a_token_lives_a_day_unless_something_else_is_said() {
    let house = House::start().await;
    let id = house.create().await;
    for body in [r#"{"scopes":["voip"]}"#, r#"{"scopes": ["voip"], "expiresInMinutes": null}"#] {
        let answer = house.issue(&id, body).await;
        assert_eq!((answer.status, expiry(&answer.json())), (200, NOW + 24 * 3600));
        assert_eq!(claims(answer.json()["token"].as_str().unwrap())["exp"], NOW + 24 * 3600);
    }
}

#[tokio::test]
async fn case_21_a_lifetime_is_an_hour_to_a_day_and_the_refusal_is_the_services() {
    let house = House::start().await;
    let id = house.create().await;
    let issue = async |minutes: &str| {
        let body = format!(r#"{{"scopes":["chat"],"expiresInMinutes":{minutes}}}"#);
        house.issue(&id, &body).await
    };
    for minutes in [60, 61, 1440] {
        let answer = issue(&minutes.to_string()).await;
        assert_eq!((answer.status, expiry(&answer.json())), (200, NOW + minutes * 60));
    }
    for minutes in ["59", "1441", "0", "-1"] {
        let answer = issue(minutes).await;
        let message = format!(
            "ExpiresInMinutes value {minutes} is invalid. Value must be within the [60, 1440] interval."
        );
        let error = json!({"code": "ValidationError", "message": message, "target": "ExpiresInMinutes"});
        assert_eq!((answer.status, answer.json()), (400, json!({"error": error})));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for minutes in ["\"60\"", "60.5", "99999999999", "true", "[60]", "{}"] {
        assert_eq!(issue(minutes).await.error().0, 400, "{minutes}");
    }
    assert_eq!(house.emulator.calls().issue, 3);
}

#[tokio::test]
async fn case_22_issuing_without_scopes_is_refused_in_the_services_words() {
    let house = House::start().await;
    let id = house.create().await;
    for body in ["", "{}", r#"{"scopes":null}"#, r#"{"scopes":[]}"#, r#"{"expiresInMinutes":60}"#] {
        let answer = house.issue(&id, body).await;
        let error = json!({"code": "ValidationError", "message": "Scopes: The Scopes field is required.", "target": "Scopes"});
        assert_eq!((answer.status, answer.json()), (400, json!({"error": error})), "{body}");
    }
}

#[tokio::test]
async fn case_23_all_five_scopes_are_known_and_no_other() {
    let house = House::start().await;
    let id = house.create().await;
    for scope in ["chat", "voip", "chat.join", "chat.join.limited", "voip.join"] {
        let answer = house.issue(&id, &json!({"scopes": [scope]}).to_string()).await;
        assert_eq!(claims(answer.json()["token"].as_str().unwrap())["acsScope"], scope);
    }
    let answer = house.issue(&id, r#"{"scopes":["voip","chat","voip"]}"#).await;
    assert_eq!(claims(answer.json()["token"].as_str().unwrap())["acsScope"], "voip,chat");
    for scopes in [json!(["video"]), json!(["chat", "Chat"]), json!([1]), json!("chat"), json!([["chat"]])] {
        let answer = house.issue(&id, &json!({"scopes": scopes}).to_string()).await;
        assert_eq!(answer.error(), (400, "ValidationError".to_owned()), "{scopes}");
        assert_eq!(answer.json()["error"]["target"], "Scopes");
    }
}

#[tokio::test]
async fn case_24_nobody_is_issued_a_token_who_is_unknown_or_deleted() {
    let house = House::start().await;
    let id = house.create().await;
    house.of("DELETE", &id, "", "").await;
    let never = format!("8:acs:{RESOURCE}_00000005-14a2-493b-8a72-5a3a0d000081");
    for unknown in [id.as_str(), &never, "8:acs:nobody", "alice", &id.to_uppercase()] {
        let answer = house.issue(unknown, r#"{"scopes":["chat"]}"#).await;
        assert_eq!(answer.error(), (404, "NotFound".to_owned()), "{unknown}");
        assert_eq!(answer.message(), "Provided identity doesn't exist");
    }
    assert_eq!(house.emulator.calls().issue, 0);
}

#[tokio::test]
async fn case_25_revoking_kills_the_tokens_so_far_and_no_later_one() {
    let house = House::start().await;
    let (id, other) = (house.create().await, house.create().await);
    let early = [house.token(&id).await, house.token(&id).await];
    let others = house.token(&other).await;
    for _ in 0..2 {
        let answer = house.of("POST", &id, "/:revokeAccessTokens", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(answer.header("content-type"), None);
    }
    // The clock stands, so all this happens within one second.
    let late = house.token(&id).await;
    for token in &early {
        assert_eq!(state(&house, token), TokenState::Revoked);
        assert_eq!(house.emulator.introspect(token).unwrap().honoured_until, Some(NOW + 900));
    }
    assert_eq!([state(&house, &late), state(&house, &others)], [TokenState::Alive; 2]);
    house.of("DELETE", &id, "", "").await;
    assert_eq!(state(&house, &late), TokenState::Deleted);
    assert_eq!(house.emulator.calls().revoke, 2);
}

#[tokio::test]
async fn a_token_is_good_until_its_last_second() {
    let house = House::start().await;
    let id = house.create().await;
    let token = house.token(&id).await;
    house.emulator.advance(24 * 3600 - 1);
    assert_eq!(state(&house, &token), TokenState::Alive);
    house.emulator.set_clock(Clock::Standing { at: NOW + 24 * 3600 });
    assert_eq!(state(&house, &token), TokenState::Expired);
}

#[tokio::test]
async fn a_token_of_another_emulator_is_none_of_ours() {
    let (house, other) = (House::start().await, House::start().await);
    let id = house.create().await;
    let token = house.token(&id).await;
    assert!(other.emulator.introspect(&token).is_none());
    let introspection = house.emulator.introspect(&token).unwrap();
    assert_eq!((introspection.identity, introspection.expires_at), (id, NOW + 24 * 3600));
    assert!(house.emulator.introspect(&token[..token.len() - 1]).is_none());
}
