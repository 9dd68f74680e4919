//! Callers with an identity instead of a key.

use azure_communication_emulator::{AccessKey, EntraOptions, KeySlot, Options, TokenState};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::signer::OTHER_KEY;
use crate::support::{Answer, House, IDENTITIES, NOW, options};

const ISSUER: &str = "https://issuer.test/tenant/";

async fn house() -> House {
    let signing_key = AccessKey::new(OTHER_KEY).unwrap();
    let entra = EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners: vec!["the-app".to_owned()] };
    House::with(Options { entra: Some(entra), ..options() }).await
}

/// A token that is right, but for a claim.
fn token(algorithm: &str, claim: &str, value: Value) -> String {
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

/// Creates an identity with a token, with nothing but a bearer token to show.
async fn create(house: &House, token: &str) -> Answer {
    let draft = house.draft("POST", IDENTITIES, r#"{"createTokenWithScopes":["chat"]}"#);
    let draft = draft.without("x-ms-date").without("x-ms-content-sha256");
    house.send(draft.header("authorization", &format!("Bearer {token}"))).await
}

#[tokio::test]
async fn an_identity_with_a_role_is_served_without_a_signature_and_keys_still_count() {
    let house = house().await;
    let answer = create(&house, &token("HS256", "x", json!(1))).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    house.create().await;
}

#[tokio::test]
async fn a_token_issued_to_an_identity_outlives_the_access_keys() {
    let house = house().await;
    let answer = create(&house, &token("HS256", "x", json!(1))).await.json();
    let issued = answer["accessToken"]["token"].as_str().unwrap();
    house.emulator.regenerate_key(KeySlot::Primary);
    house.emulator.regenerate_key(KeySlot::Secondary);
    assert_eq!(house.emulator.introspect(issued).unwrap().state, TokenState::Alive);
}

#[tokio::test]
async fn an_identity_whose_token_breaks_a_rule_is_told_which() {
    let house = house().await;
    for (claim, value, status, rule) in [
        ("iss", json!("https://elsewhere.test/"), 401, "issuer"),
        ("aud", json!("https://signalr.azure.com"), 401, "audience"),
        ("exp", json!(NOW), 401, "exp"),
        ("nbf", json!(NOW + 60), 401, "nbf"),
        ("oid", json!("somebody"), 403, "role"),
    ] {
        let refused = token("HS256", claim, value);
        let answer = create(&house, &refused).await;
        assert_eq!(answer.error(), (status, "Denied".to_owned()), "{claim}");
        assert!(answer.message().contains(&format!("rule `{rule}`")), "{}", answer.body);
        assert!(!answer.body.contains(&refused) && !answer.body.contains(OTHER_KEY));
    }
    for algorithm in ["none", "HS512"] {
        assert_eq!(create(&house, &token(algorithm, "x", json!(1))).await.status, 401);
    }
    let unsigned = token("HS256", "x", json!(1)).rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(create(&house, &unsigned).await.status, 401);
    assert!(house.emulator.identities().is_empty());
}

#[tokio::test]
async fn unless_it_is_set_up_there_are_no_identities() {
    let house = House::start().await;
    assert_eq!(create(&house, &token("HS256", "x", json!(1))).await.status, 401);
}
