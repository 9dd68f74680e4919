//! Tests of `GET /api/features`: what the deployment can do, as its settings say.

use reqwest::Response;
use serde_json::{Value, json};

use crate::access_token::TestEnv;
use crate::test_app::TestApp;

async fn answer(app: &TestApp) -> Response {
    let response = app.get("/api/features").send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["cache-control"] == "no-store"), (200, true));
    response
}

fn features(guests: bool, access_tokens: bool) -> Value {
    json!({"guests": guests, "history": false, "privateHistory": false, "rooms": [], "accessTokens": access_tokens})
}

#[tokio::test]
async fn rooms_are_a_list_of_names_or_a_star() {
    for (value, expected) in [
        ("", json!([])),
        ("games", json!(["games"])),
        ("Support, games,GAMES", json!(["support", "games"])),
        ("*", json!("*")),
    ] {
        let app = TestApp::with_signalr(1, &[("ChatRooms", value)]);
        assert_eq!(answer(&app).await.json::<Value>().await.unwrap()["rooms"], expected, "{value}");
    }
}

#[tokio::test]
async fn guests_are_a_feature_where_the_settings_allow_them() {
    for (value, guests) in [("true", true), ("false", false), ("", false)] {
        for easy_auth in ["true", "false"] {
            let variables = [("ChatAllowAnonymous", value), ("WEBSITE_AUTH_ENABLED", easy_auth)];
            let app = TestApp::with_signalr(1, &variables);
            assert_eq!(answer(&app).await.json::<Value>().await.unwrap(), features(guests, false), "{value}");
        }
    }
}

#[tokio::test]
async fn access_tokens_are_a_feature_where_the_settings_name_a_resource() {
    let env = TestEnv::start().await;
    let app = env.start_app(&[("ChatAllowAnonymous", "false")]);
    assert_eq!(answer(&app).await.json::<Value>().await.unwrap(), features(false, true));
}

#[tokio::test]
async fn the_features_are_the_same_for_every_caller() {
    let app = TestApp::with_signalr(1, &[("WEBSITE_AUTH_ENABLED", "true"), ("ChatAllowAnonymous", "false")]);
    for (name, value) in
        [("x-ms-client-principal-name", "ann"), ("x-ms-client-principal", "%%%"), ("origin", "https://a.example")]
    {
        let response = app.get("/api/features").header(name, value).send().await.unwrap();
        assert_eq!(response.json::<Value>().await.unwrap(), features(false, false), "{name}");
    }
}
