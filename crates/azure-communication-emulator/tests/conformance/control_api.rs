//! Tests of the control API, and of the faults it injects.

use azure_communication_emulator::{Fault, Operation, Options};
use serde_json::{Value, json};

use crate::test_support::{IDENTITIES, KEY, NOW, TestRequest, TestResponse, TestService, options};

async fn control(service: &TestService, method: &str, path: &str, body: &str) -> TestResponse {
    let request = TestRequest::new(method, path, body).header("host", &service.host());
    service.send(request.header("content-type", "application/json")).await
}

#[tokio::test]
async fn the_control_api_returns_calls_identities_and_tokens_and_is_not_counted() {
    let service = TestService::start().await;
    assert_eq!(control(&service, "GET", "/_emulator/calls", "").await.json()["received"], 0);
    let id = service.create().await;
    let token = service.token(&id).await;
    let expected = json!({
        "received": 2, "refused": 0, "create": 1, "issue": 1, "revoke": 0, "delete": 0, "exchange": 0,
    });
    assert_eq!(control(&service, "GET", "/_emulator/calls", "").await.json(), expected);
    let identities = control(&service, "GET", "/_emulator/identities", "").await.json();
    assert_eq!(identities, json!([{"id": id, "createdAt": NOW, "tokens": 1}]));
    let body = json!({"token": token}).to_string();
    let introspection = control(&service, "POST", "/_emulator/introspect", &body).await.json();
    let expected = json!({
        "identity": id, "scopes": ["chat"], "issuedAt": NOW, "expiresAt": NOW + 86_400, "state": "alive", "honouredUntil": null,
    });
    assert_eq!(introspection, expected);
    let unknown = control(&service, "POST", "/_emulator/introspect", r#"{"token":"x"}"#).await;
    assert_eq!((unknown.status, unknown.json()), (200, Value::Null));
}

#[tokio::test]
async fn the_control_api_sets_the_clock_and_injects_faults() {
    let service = TestService::start().await;
    let later = json!({"stopped": {"at": NOW + 5000}}).to_string();
    assert_eq!(control(&service, "PUT", "/_emulator/clock", &later).await.status, 204);
    assert_eq!(control(&service, "GET", "/_emulator/clock", "").await.json()["now"], NOW + 5000);
    let fault = r#"{"status":429,"retryAfter":2,"operation":"create"}"#;
    assert_eq!(control(&service, "POST", "/_emulator/faults", fault).await.status, 204);
    let throttled = service.call("POST", IDENTITIES, "").await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("2")));
    control(&service, "POST", "/_emulator/faults", r#"{"status":500}"#).await;
    assert_eq!(control(&service, "DELETE", "/_emulator/faults", "").await.status, 204);
    service.create().await;
    for (method, path, body) in [
        ("POST", "/_emulator/faults", r#"{"status":200}"#),
        ("PUT", "/_emulator/clock", r#"{"at":1}"#),
        ("POST", "/_emulator/introspect", "{}"),
    ] {
        assert_eq!(control(&service, method, path, body).await.error(), (400, "BadRequest".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn the_control_api_regenerates_a_key_and_returns_it() {
    let service = TestService::start().await;
    let response = control(&service, "POST", "/_emulator/keys/primary/regenerate", "").await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let connection_string = response.json()["connectionString"].as_str().unwrap().to_owned();
    let start = format!("endpoint=http://{}/;accesskey=", service.host());
    let key = connection_string.strip_prefix(&start).unwrap();
    assert_eq!(service.call("POST", IDENTITIES, "").await.status, 401);
    let request = service.request("POST", IDENTITIES, "").signed_with(key);
    assert_eq!(service.send(request).await.status, 201);
    assert_eq!(control(&service, "POST", "/_emulator/keys/third/regenerate", "").await.status, 400);
}

#[tokio::test]
async fn the_control_api_rejects_web_pages() {
    let service = TestService::start().await;
    let calls = TestRequest::new("GET", "/_emulator/calls", "").header("host", &service.host());
    let rebound = calls.clone().header("host", "evil.example:80");
    assert_eq!(service.send(rebound).await.error(), (421, "HostNotAllowed".to_owned()));
    let cross_origin = calls.clone().header("origin", "https://evil.example");
    for request in [cross_origin, calls.clone().header("origin", "null")] {
        assert_eq!(service.send(request).await.error(), (403, "Forbidden".to_owned()));
    }
    assert_eq!(service.send(calls).await.status, 200);
    let form = TestRequest::new("POST", "/_emulator/faults", r#"{"status":500}"#).header("host", &service.host());
    assert_eq!(service.send(form.header("content-type", "text/plain")).await.status, 400);
}

#[tokio::test]
async fn the_control_api_is_off_by_default() {
    let service = TestService::with(Options { control_api: Options::default().control_api, ..options() }).await;
    assert_eq!(control(&service, "GET", "/_emulator/calls", "").await.error(), (401, "Denied".to_owned()));
    assert_eq!(service.call("GET", "/_emulator/calls?api-version=2023-10-01", "").await.status, 404);
}

#[tokio::test]
async fn the_control_api_rejects_allowed_hosts_that_are_not_loopback_names() {
    let allowed_hosts = vec!["emulator.example".to_owned()];
    let service = TestService::with(Options { allowed_hosts, ..options() }).await;
    let calls = TestRequest::new("GET", "/_emulator/calls", "").header("host", "emulator.example");
    assert_eq!(service.send(calls).await.error(), (403, "Forbidden".to_owned()));
}

#[tokio::test]
async fn case_30_a_throttled_request_has_retry_after_and_succeeds_when_repeated() {
    let service = TestService::start().await;
    service.emulator.inject(Fault::throttled(Some(1))).unwrap();
    let bytes = service.request("POST", IDENTITIES, "").signed_with(KEY).into_bytes();
    let response = service.send_bytes(&bytes).await;
    assert_eq!((response.error().0, response.header("retry-after")), (429, Some("1")));
    assert!(service.emulator.identities().is_empty());
    assert_eq!(service.send_bytes(&bytes).await.status, 201);
}

#[tokio::test]
async fn faults_apply_in_their_order() {
    let service = TestService::start().await;
    for status in [500, 503, 401] {
        service.emulator.inject(Fault::new(status).unwrap()).unwrap();
    }
    service.emulator.inject(Fault::throttled(None)).unwrap();
    for expected in [500, 503, 401, 429] {
        let response = service.call("POST", IDENTITIES, "").await;
        assert_eq!((response.error().0, response.header("retry-after")), (expected, None));
    }
    service.create().await;
    let calls = service.emulator.calls();
    assert_eq!((calls.received, calls.refused, calls.create), (5, 4, 1));
}

#[tokio::test]
async fn a_fault_can_be_restricted_to_an_operation() {
    let service = TestService::start().await;
    service.emulator.inject(Fault::new(503).unwrap().retry_after(7).on(Operation::Issue)).unwrap();
    let id = service.create().await;
    let response = service.issue(&id, r#"{"scopes":["chat"]}"#).await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("7")));
    service.token(&id).await;
}

#[tokio::test]
async fn pending_faults_can_be_cleared() {
    let service = TestService::start().await;
    service.emulator.inject(Fault::throttled(None)).unwrap();
    service.emulator.clear_faults();
    service.create().await;
}
