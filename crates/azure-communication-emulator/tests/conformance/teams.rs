//! Exchanging tokens of Microsoft Entra ID for those of Teams users.

use azure_communication_emulator::{Options, TeamsToken, TokenState};
use serde_json::json;

use crate::support::{Answer, House, NOW, claims, expiry, options};

const END: u64 = NOW + 4321;

async fn house() -> House {
    let token = |token: &str, expires_at| TeamsToken {
        token: token.to_owned(),
        app_id: "app".to_owned(),
        user_id: "oid".to_owned(),
        expires_at,
    };
    let teams_tokens = vec![token("entra", END), token("old", NOW), token("", END)];
    House::with(Options { teams_tokens, ..options() }).await
}

async fn exchange(house: &House, token: &str, app: &str, user: &str) -> Answer {
    let body = json!({"token": token, "appId": app, "userId": user}).to_string();
    house.call("POST", "/teamsUser/:exchangeAccessToken?api-version=2023-10-01", &body).await
}

#[tokio::test]
async fn case_29_a_teams_token_ends_with_the_one_it_was_exchanged_for() {
    let house = house().await;
    let answer = exchange(&house, "entra", "app", "oid").await;
    assert_eq!((answer.status, expiry(&answer.json())), (200, END));
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&token)["exp"], END);
    let introspection = house.emulator.introspect(&token).unwrap();
    assert_eq!((introspection.identity.as_str(), introspection.state), ("8:orgid:oid", TokenState::Alive));
    assert!(house.emulator.identities().is_empty());
    assert_eq!(house.emulator.calls().exchange, 1);
}

#[tokio::test]
async fn case_29_every_refusal_is_the_services() {
    let house = house().await;
    for (token, app, user, status, error) in [
        (
            "entra",
            "other",
            "oid",
            400,
            json!({"code": "ValidationError", "message": "AAD application is not the expected one.", "target": "appId"}),
        ),
        (
            "entra",
            "app",
            "other",
            400,
            json!({"code": "ValidationError", "message": "Provided AAD token issued for unexpected user.", "target": "userId"}),
        ),
        (
            "",
            "app",
            "oid",
            401,
            json!({"code": "InvalidAccessToken", "message": "Provided access token is not valid."}),
        ),
        (
            "old",
            "app",
            "oid",
            401,
            json!({"code": "InvalidAccessToken", "message": "Provided access token is not valid."}),
        ),
        (
            "nobody's",
            "app",
            "oid",
            401,
            json!({"code": "InvalidAccessToken", "message": "Provided access token is not valid."}),
        ),
    ] {
        let answer = exchange(&house, token, app, user).await;
        assert_eq!((answer.status, answer.json()), (status, json!({"error": error})));
    }
}

#[tokio::test]
async fn all_three_fields_are_required() {
    let house = house().await;
    for name in ["token", "appId", "userId"] {
        for wrong in [json!(null), json!(1)] {
            let mut body = json!({"token": "entra", "appId": "app", "userId": "oid"});
            body[name] = wrong;
            let target = "/teamsUser/:exchangeAccessToken?api-version=2022-06-01";
            let answer = house.call("POST", target, &body.to_string()).await;
            assert_eq!(answer.error(), (400, "ValidationError".to_owned()));
            assert_eq!(answer.json()["error"]["target"], name);
        }
    }
}
