//! Tests of the handler with a managed identity instead of an access key of the SignalR service.
//!
//! The test has the endpoint for managed identities of App Service. The service is the emulator, which accepts the tokens of that endpoint.

use std::fs;
use std::future::pending;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use azure_signalr_emulator::{AccessKey, Emulator, EntraOptions, Options};
use serde_json::{Value, json};

use crate::managed_identity_endpoint::{
    IDENTITY_HEADER, ISSUER, ISSUER_KEY, IdentityEndpoint, LONG_LIFETIME, OWNER_ID, sign_token,
};
use crate::test_app::{TEST_TIMEOUT, TestApp, api_error, free_port};
use test_support::entra::now;
use test_support::http::{listen, proxy, serve};
use test_support::signalr_client::{Client, NegotiateResponse};

/// The SignalR service, and the temporary access keys it has issued.
#[derive(Clone, Default)]
struct SignalRService {
    issued_keys: Arc<Mutex<Vec<String>>>,
}

impl SignalRService {
    /// Starts the service and returns its port.
    async fn start(&self) -> u16 {
        let signing_key = AccessKey::new(ISSUER_KEY).unwrap();
        let owners = vec![OWNER_ID.to_owned()];
        let emulator = Emulator::new(Options {
            access_keys: Vec::new(),
            entra: Some(EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners }),
            clock_leeway: Duration::ZERO,
            ..Options::default()
        });
        let (listener, port) = listen().await;
        tokio::spawn(async move { emulator.serve(vec![listener], pending()).await });
        let router = proxy(port);
        serve(router.layer(from_fn_with_state(self.clone(), record_issued_keys))).await
    }
}

async fn record_issued_keys(State(service): State<SignalRService>, request: Request, next: Next) -> Response {
    let is_key = request.uri().path().ends_with("/accessKey");
    let response = next.run(request).await;
    if !is_key || !response.status().is_success() {
        return response;
    }
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let key: Value = serde_json::from_slice(&body).unwrap();
    service.issued_keys.lock().unwrap().push(key["AccessKey"].as_str().unwrap().to_owned());
    Response::from_parts(head, body.into())
}

/// Starts a handler for the service at port `service`, with the identity endpoint at `port` and additional settings.
fn start_app(service: u16, port: u16, variables: &[(&str, &str)]) -> TestApp {
    let uri = format!("http://127.0.0.1:{service}");
    let endpoint = format!("http://127.0.0.1:{port}/msi/token");
    let mut all = vec![
        ("AzureSignalRConnectionString__serviceUri", uri.as_str()),
        ("IDENTITY_ENDPOINT", &endpoint),
        ("IDENTITY_HEADER", IDENTITY_HEADER),
        // The requests of these tests are of guests.
        ("ChatAllowAnonymous", "true"),
    ];
    all.extend(variables);
    TestApp::with_settings(&all)
}

async fn start_with_endpoint(endpoint: &IdentityEndpoint, variables: &[(&str, &str)]) -> (TestApp, SignalRService) {
    let service = SignalRService::default();
    (start_app(service.start().await, endpoint.start(0).await, variables), service)
}

async fn send_status(app: &TestApp) -> u16 {
    app.message(&json!({"text": "hi"})).send().await.unwrap().status().as_u16()
}

async fn negotiate(app: &TestApp) -> NegotiateResponse {
    NegotiateResponse::request(app.post("/api/negotiate")).await
}

async fn join(app: &TestApp) -> Client {
    let access = negotiate(app).await;
    let mut client = access.open(access.socket().await, None).await.unwrap();
    client.shake_hands().await;
    client
}

#[tokio::test]
async fn without_a_key_clients_connect_and_receive_messages() {
    let endpoint = IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 1);
    let (app, service) = start_with_endpoint(&endpoint, &[]).await;
    let mut client = join(&app).await;
    assert_eq!(app.message(&json!({"text": "hi"})).send().await.unwrap().status(), 202);
    assert_eq!(client.message().await["text"], "hi");
    assert_eq!((endpoint.requests().len(), service.issued_keys.lock().unwrap().len()), (1, 1));
    let header = jsonwebtoken::decode_header(negotiate(&app).await.token).unwrap();
    assert!(header.kid.is_some());
}

#[tokio::test]
async fn a_user_assigned_identity_is_requested_by_client_id() {
    let endpoint = IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 1);
    let variables = [
        ("AZURESIGNALRCONNECTIONSTRING__CREDENTIAL", "ManagedIdentity"),
        ("azuresignalrconnectionstring__clientid", "11111111-2222"),
    ];
    let (app, _service) = start_with_endpoint(&endpoint, &variables).await;
    assert_eq!(send_status(&app).await, 202);
    assert_eq!(endpoint.requests()[0]["client_id"], "11111111-2222");
}

#[tokio::test]
async fn a_connection_string_can_select_an_identity() {
    for auth in ["AuthType=azure.msi", "AuthType=azure", "AuthType=aad"] {
        let endpoint = IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 1);
        let service = SignalRService::default().start().await;
        let connection = format!("Endpoint=http://127.0.0.1;Port={service};{auth};Version=1.0;");
        let url = format!("http://127.0.0.1:{}/msi/token", endpoint.start(0).await);
        let app = TestApp::with_settings(&[
            ("AzureSignalRConnectionString", &connection),
            ("IDENTITY_ENDPOINT", &url),
            ("IDENTITY_HEADER", IDENTITY_HEADER),
            ("ChatAllowAnonymous", "true"),
        ]);
        assert_eq!(send_status(&app).await, 202, "{auth}");
        assert_eq!(endpoint.requests()[0].get("client_id"), None);
    }
}

#[tokio::test]
async fn outside_of_azure_the_account_of_az_is_used() {
    let folder = temporary_folder();
    let response = json!({"accessToken": sign_token(OWNER_ID, &json!("https://signalr.azure.com"), now() + 3_600), "expires_on": now() + 3_600, "tokenType": "Bearer"});
    let az = folder.join("az");
    fs::write(&az, format!("#!/bin/sh\ncat <<'END'\n{response}\nEND\n")).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).unwrap();
    let uri = format!("http://127.0.0.1:{}", SignalRService::default().start().await);
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let app = TestApp::with_settings(&[
        ("AzureSignalRConnectionString__serviceUri", &uri),
        ("PATH", &path),
        ("ChatAllowAnonymous", "true"),
    ]);
    join(&app).await;
    assert_eq!(send_status(&app).await, 202);
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn without_an_account_of_az_the_log_says_az_login() {
    let app = TestApp::with_settings(&[
        ("AzureSignalRConnectionString__serviceUri", "http://127.0.0.1:1"),
        ("PATH", "/nonexistent"),
        ("ChatAllowAnonymous", "true"),
    ]);
    let response = app.post("/api/negotiate").send().await.unwrap();
    assert_eq!(api_error(response).await, (502, "upstream_rejected".to_owned()));
    app.process.out.line("az login");
}

/// Creates an empty folder.
fn temporary_folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("managed-identity-{}-{}", std::process::id(), free_port()));
    fs::create_dir(&folder).unwrap();
    folder
}

#[tokio::test]
async fn fifty_concurrent_first_requests_fetch_one_token_and_one_key() {
    let endpoint = IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 0);
    let (app, service) = start_with_endpoint(&endpoint, &[]).await;
    // The token is requested at start, and the probe does not wait for it.
    endpoint.wait_for_requests(1).await;
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
    let callers: Vec<_> = (0..50)
        .map(|caller| {
            let request = match caller % 2 {
                0 => app.post("/api/negotiate"),
                _ => app.message(&json!({"text": "hi"})),
            };
            tokio::spawn(request.send())
        })
        .collect();
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
    endpoint.permits.add_permits(50);
    for caller in callers {
        let status = caller.await.unwrap().unwrap().status().as_u16();
        assert!([200, 202].contains(&status), "{status}");
    }
    assert_eq!((endpoint.requests().len(), service.issued_keys.lock().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_without_delaying_requests() {
    // One permit: the second response is held back.
    let endpoint = IdentityEndpoint::new(OWNER_ID, Duration::from_secs(9), 1);
    let (app, _service) = start_with_endpoint(&endpoint, &[]).await;
    assert_eq!(send_status(&app).await, 202);
    let (_, expires_on) = endpoint.tokens()[0];
    endpoint.wait_for_requests(2).await;
    assert!(now() < expires_on, "the token was renewed too late");
    // Requests succeed while the endpoint does not respond.
    assert_eq!(send_status(&app).await, 202);
    negotiate(&app).await;
    assert_eq!(endpoint.tokens().len(), 1);
    // With the endpoint responding, the first token expires without an effect. The service allows no clock leeway.
    endpoint.permits.add_permits(100);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    while now() <= expires_on + 1 {
        tick.tick().await;
        assert_eq!(send_status(&app).await, 202, "{}", app.process.out.text());
    }
    assert!(endpoint.tokens().len() >= 2);
}

#[tokio::test]
async fn an_identity_endpoint_that_is_unreachable_at_start_is_used_once_it_is_up() {
    let (service, port) = (SignalRService::default(), free_port());
    let app = start_app(service.start().await, port, &[]);
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
    for path in ["/api/negotiate", "/api/messages"] {
        let response = app.post(path).json(&json!({"text": "hi"})).send().await.unwrap();
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(api_error(response).await, (503, "unavailable".to_owned()));
    }
    app.process.out.line("the managed identity endpoint cannot be reached");
    IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 1).start(port).await;
    let start = std::time::Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while send_status(&app).await != 202 {
        assert!(start.elapsed() < TEST_TIMEOUT, "{}", app.process.out.text());
        tick.tick().await;
    }
    join(&app).await;
}

#[tokio::test]
async fn a_missing_identity_is_reported() {
    let service = SignalRService::default();
    let port = IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 0).start(0).await;
    let mut app = start_app(service.start().await, port, &[("IDENTITY_HEADER", "another")]);
    let response = app.post("/api/negotiate").send().await.unwrap();
    assert_eq!(api_error(response).await, (502, "upstream_rejected".to_owned()));
    app.process.out.line("the managed identity endpoint answered 400; turn on an identity for this app");
    assert!(!app.stop().contains("SECRET"));
}

#[tokio::test]
async fn a_failed_token_request_logs_one_line_of_ours_per_attempt() {
    let log = |filter: &'static str| async move {
        let mut app = start_app(1, free_port(), &[("RUST_LOG", filter)]);
        assert_eq!(send_status(&app).await, 503);
        let out = app.stop();
        assert!(out.contains("could not be had"), "{out}");
        out
    };
    // The last one is a line of the library at start, which names the kind of credential.
    let expected =
        ["listening on", "could not be had", "operation=", "told to stop", "ManagedIdentityCredential will use"];
    let is_expected = |line: &str| expected.iter().any(|part| line.contains(part));
    let out = log("info").await;
    assert!(out.lines().all(is_expected), "{out}");
    // A filter can enable the lines of the library.
    let out = log("info,typespec_client_core=info").await;
    assert!(!out.lines().all(is_expected), "{out}");
}

#[tokio::test]
async fn an_identity_without_a_role_is_rejected_and_the_log_names_the_roles() {
    let endpoint = IdentityEndpoint::new("another-identity", LONG_LIFETIME, 1);
    let (app, _service) = start_with_endpoint(&endpoint, &[]).await;
    for path in ["/api/negotiate", "/api/messages"] {
        let response = app.post(path).json(&json!({"text": "hi"})).send().await.unwrap();
        assert_eq!(api_error(response).await, (502, "upstream_rejected".to_owned()));
    }
    app.process.out.line("assign it the roles SignalR App Server and SignalR REST API Owner");
}

#[tokio::test]
async fn no_token_and_no_key_is_logged_at_any_level() {
    let endpoint = IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 1);
    let (mut app, service) = start_with_endpoint(&endpoint, &[("RUST_LOG", "trace")]).await;
    let client_token = negotiate(&app).await.token;
    assert_eq!(send_status(&app).await, 202);
    let out = app.stop();
    assert!(out.contains("/api/negotiate"), "{out}");
    let (token, _) = endpoint.tokens().remove(0);
    let key = service.issued_keys.lock().unwrap().remove(0);
    for secret in [IDENTITY_HEADER, &token, &key, &client_token, "eyJ"] {
        assert!(!out.contains(secret), "{secret} in {out}");
    }
}
