//! Tests of `/api/me` and `/api/features` behind the local Functions host and sign-in.

use serde_json::{Value, json};
use test_support::http::{api_error, negotiated_user};

use crate::test_stack::{FREE_PORTS, TestStack, json_of};

/// Signs in with a provider and returns the session token.
async fn sign_in(stack: &TestStack, provider: &str, name: &str) -> String {
    let sign_in = stack.post(&format!("/.auth/login/{provider}")).json(&json!({"access_token": name}));
    json_of(sign_in).await["authenticationToken"].as_str().unwrap().to_owned()
}

async fn me(stack: &TestStack, session: &str) -> Value {
    json_of(stack.get("/api/me").header("x-zumo-auth", session)).await
}

#[tokio::test]
async fn a_signed_in_person_is_shown_as_themselves() {
    let stack = TestStack::start();
    for (provider, name) in [("aad", "ann@contoso.com"), ("github", "ann"), ("x", "Łucja 🦊"), ("google", "Zoë")] {
        let session = sign_in(&stack, provider, name).await;
        let expected = json!({"userId": name, "displayName": name, "provider": provider});
        assert_eq!(me(&stack, &session).await, expected);
    }
    let guest = stack.get("/API/Me/").header("x-ms-client-principal-name", "root").send().await.unwrap();
    assert_eq!(api_error(guest).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn people_with_the_same_name_at_two_providers_have_different_user_ids_where_one_is_named() {
    let stack = TestStack::with(&FREE_PORTS, &[("ChatIdentityProvider", "aad")]);
    for (provider, user_id) in [("aad", "ann"), ("github", "github:ann"), ("twitter", "x:ann"), ("x", "x:ann")] {
        let session = sign_in(&stack, provider, "ann").await;
        assert_eq!(negotiated_user(stack.post_as(Some(&session), "/api/negotiate")).await, user_id);
        assert_eq!(stack.send(Some(&session), &json!({"text": "hi"})).await["sender"], user_id);
        let expected = json!({"userId": user_id, "displayName": "ann", "provider": provider});
        assert_eq!(me(&stack, &session).await, expected);
    }
}

#[tokio::test]
async fn the_local_stack_has_guests_unless_they_are_off_and_access_tokens() {
    for (value, guests) in [("", true), ("true", true), ("false", false)] {
        let stack = TestStack::with(&FREE_PORTS, &[("ChatAllowAnonymous", value)]);
        let features = json_of(stack.get("/api/features")).await;
        let [history, private] = [&features["history"], &features["privateHistory"]].map(Value::is_boolean);
        assert!(history && private && !features["rooms"].is_null(), "{features}");
        assert_eq!((&features["guests"], &features["accessTokens"]), (&json!(guests), &json!(true)), "{value}");
    }
}
