//! The test's side, over HTTP.

use serde_json::{Value, json};

use crate::signer::USUAL;
use crate::support::{Answer, Draft, House, IDENTITIES, NOW, options};

async fn ask(house: &House, method: &str, path: &str, body: &str) -> Answer {
    let draft = Draft::new(method, path, body).header("host", &house.host());
    house.send(draft.header("content-type", "application/json")).await
}

#[tokio::test]
async fn a_test_sees_what_was_done_and_is_not_counted() {
    let house = House::start().await;
    assert_eq!(ask(&house, "GET", "/_emulator/calls", "").await.json()["received"], 0);
    let id = house.create().await;
    let token = house.token(&id).await;
    let expected = json!({
        "received": 2, "refused": 0, "create": 1, "issue": 1, "revoke": 0, "delete": 0, "exchange": 0,
    });
    assert_eq!(ask(&house, "GET", "/_emulator/calls", "").await.json(), expected);
    let identities = ask(&house, "GET", "/_emulator/identities", "").await.json();
    assert_eq!(identities, json!([{"id": id, "createdAt": NOW, "tokens": 1}]));
    let body = json!({"token": token}).to_string();
    let introspection = ask(&house, "POST", "/_emulator/introspect", &body).await.json();
    let expected = json!({
        "identity": id, "scopes": ["chat"], "issuedAt": NOW, "expiresAt": NOW + 86_400, "state": "alive", "honouredUntil": null,
    });
    assert_eq!(introspection, expected);
    let nothing = ask(&house, "POST", "/_emulator/introspect", r#"{"token":"x"}"#).await;
    assert_eq!((nothing.status, nothing.json()), (200, Value::Null));
}

#[tokio::test]
async fn a_test_sets_the_clock_and_lets_requests_fail() {
    let house = House::start().await;
    let later = json!({"standing": {"at": NOW + 5000}}).to_string();
    assert_eq!(ask(&house, "PUT", "/_emulator/clock", &later).await.status, 204);
    assert_eq!(ask(&house, "GET", "/_emulator/clock", "").await.json()["now"], NOW + 5000);
    let fault = r#"{"status":429,"retryAfter":2,"operation":"create"}"#;
    assert_eq!(ask(&house, "POST", "/_emulator/faults", fault).await.status, 204);
    let throttled = house.call("POST", IDENTITIES, "").await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("2")));
    ask(&house, "POST", "/_emulator/faults", r#"{"status":500}"#).await;
    assert_eq!(ask(&house, "DELETE", "/_emulator/faults", "").await.status, 204);
    house.create().await;
    for (method, path, body) in [
        ("POST", "/_emulator/faults", r#"{"status":200}"#),
        ("PUT", "/_emulator/clock", r#"{"at":1}"#),
        ("POST", "/_emulator/introspect", "{}"),
    ] {
        assert_eq!(ask(&house, method, path, body).await.error(), (400, "BadRequest".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_test_changes_a_key_and_gets_the_new_one() {
    let house = House::start().await;
    let answer = ask(&house, "POST", "/_emulator/keys/primary/regenerate", "").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let connection_string = answer.json()["connectionString"].as_str().unwrap().to_owned();
    let start = format!("endpoint=http://{}/;accesskey=", house.host());
    let key = connection_string.strip_prefix(&start).unwrap();
    assert_eq!(house.call("POST", IDENTITIES, "").await.status, 401);
    let draft = house.draft("POST", IDENTITIES, "").signed(key, &USUAL);
    assert_eq!(house.send(draft).await.status, 201);
    assert_eq!(ask(&house, "POST", "/_emulator/keys/third/regenerate", "").await.status, 400);
}

#[tokio::test]
async fn a_web_page_gets_nothing_however_it_comes() {
    let house = House::start().await;
    let calls = Draft::new("GET", "/_emulator/calls", "").header("host", &house.host());
    let rebound = calls.clone().header("host", "evil.example:80");
    let cross_origin = calls.clone().header("origin", "https://evil.example");
    for draft in [rebound, cross_origin, calls.clone().header("origin", "null")] {
        assert_eq!(house.send(draft).await.error(), (403, "Forbidden".to_owned()));
    }
    assert_eq!(house.send(calls).await.status, 200);
    let form = Draft::new("POST", "/_emulator/faults", r#"{"status":500}"#).header("host", &house.host());
    assert_eq!(house.send(form.header("content-type", "text/plain")).await.status, 400);
}

#[tokio::test]
async fn the_services_own_router_has_no_such_side() {
    let house = House::without_control(options()).await;
    assert_eq!(ask(&house, "GET", "/_emulator/calls", "").await.error(), (401, "Denied".to_owned()));
    assert_eq!(house.call("GET", "/_emulator/calls?api-version=2023-10-01", "").await.status, 404);
}
