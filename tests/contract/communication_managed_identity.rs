//! Tests of access tokens from Azure Communication Services with a managed identity instead of an access key, also for the identity store.
//!
//! The service is the emulator, over TLS: tokens of an identity are never sent in clear text. Only the setting trusts its certificate.

use std::future::pending;

use azure_communication_emulator::{AccessKey, Emulator, EntraOptions, Options};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Response;
use serde_json::Value;
use test_support::http::{listen, serve};
use test_support::tls;

use crate::blob_storage::BlobStorage;
use crate::managed_identity_endpoint::{
    IDENTITY_HEADER, ISSUER, ISSUER_KEY, IdentityEndpoint, LONG_LIFETIME, OWNER_ID,
};
use crate::test_app::{TestApp, api_error, free_port};

/// An emulated Communication Service over TLS, an identity store, and the settings that lead to them.
struct TestEnv {
    emulator: Emulator,
    url: String,
    certificate: String,
    container: String,
}

impl TestEnv {
    async fn start() -> Self {
        let signing_key = AccessKey::new(STANDARD.encode(ISSUER_KEY)).unwrap();
        let owners = vec![OWNER_ID.to_owned()];
        let entra = Some(EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners });
        let emulator = Emulator::new(Options { entra, ..Options::default() });
        let (listener, port) = listen().await;
        let server = emulator.clone();
        tokio::spawn(async move { server.serve(vec![listener], pending()).await });
        let (port, certificate) = tls::terminate(port).await;
        let url = format!("https://localhost:{port}");
        let (_, container) = BlobStorage::start().await;
        // Settings are single lines, so line ends are written as `\n`.
        Self { emulator, url, certificate: certificate.replace('\n', "\\n"), container }
    }

    /// Starts a handler with the identity endpoint at `port` and additional settings.
    fn start_app(&self, port: u16, more: &[(&str, &str)]) -> TestApp {
        let endpoint = format!("http://127.0.0.1:{port}/msi/token");
        let mut variables = vec![
            ("AzureCommunicationServicesConnectionString__endpoint", self.url.as_str()),
            ("AzureCommunicationServicesConnectionString__rootCertificates", &self.certificate),
            ("IDENTITY_ENDPOINT", &endpoint),
            ("IDENTITY_HEADER", IDENTITY_HEADER),
            ("ChatIdentityStore", &self.container),
            ("WEBSITE_AUTH_ENABLED", "True"),
        ];
        variables.extend(more);
        TestApp::with_signalr(1, &variables)
    }
}

async fn request_token(app: &TestApp, user: &str) -> Response {
    let request = app.post("/api/access-token").header("x-ms-client-principal-idp", "github");
    request.header("x-ms-client-principal-id", user).send().await.unwrap()
}

#[tokio::test]
async fn without_a_key_tokens_are_issued_with_one_managed_identity_token() {
    let (env, endpoint) = (TestEnv::start().await, IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 10));
    let client_id = ("AzureCommunicationServicesConnectionString__clientId", "11111111-2222");
    let mut app = env.start_app(endpoint.start(0).await, &[client_id, ("RUST_LOG", "trace")]);
    let mut tokens = Vec::new();
    for user in ["ann", "bob", "ann"] {
        let response = request_token(&app, user).await;
        assert_eq!(response.status(), 200, "{}", app.process.out.text());
        let body: Value = response.json().await.unwrap();
        let token = body["token"].as_str().unwrap().to_owned();
        let identity = env.emulator.introspect(&token).unwrap().identity;
        assert_eq!(body["user"]["communicationUserId"], *identity);
        tokens.push(token);
    }
    assert_eq!((env.emulator.calls().create, env.emulator.calls().issue), (2, 3));
    {
        let requests = endpoint.requests();
        assert_eq!(requests.len(), 1);
        // The scope is `https://communication.azure.com//.default`: the resource ends with a slash.
        assert_eq!(requests[0]["resource"], "https://communication.azure.com/");
        assert_eq!(requests[0]["client_id"], "11111111-2222");
    }
    let out = app.stop();
    tokens.extend(endpoint.tokens().into_iter().map(|(token, _)| token));
    tokens.extend([IDENTITY_HEADER.to_owned(), "eyJ".to_owned()]);
    for secret in tokens {
        assert!(!out.contains(&secret), "{secret} in {out}");
    }
}

#[tokio::test]
async fn an_identity_without_a_role_is_rejected_and_the_log_says_so() {
    let (env, endpoint) = (TestEnv::start().await, IdentityEndpoint::new("another-identity", LONG_LIFETIME, 10));
    let app = env.start_app(endpoint.start(0).await, &[]);
    assert_eq!(api_error(request_token(&app, "ann").await).await, (502, "upstream_rejected".to_owned()));
    app.process.out.line("check the roles of the identity");
}

#[tokio::test]
async fn an_unreachable_identity_endpoint_is_transient_and_the_service_is_not_called() {
    let env = TestEnv::start().await;
    let app = env.start_app(free_port(), &[]);
    let response = request_token(&app, "ann").await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, (503, "unavailable".to_owned()));
    app.process.out.line("a Microsoft Entra token for https://communication.azure.com could not be had");
    app.process.out.line("the managed identity endpoint cannot be reached");
    assert_eq!(env.emulator.calls().received, 0);
}

#[tokio::test]
async fn a_service_with_an_untrusted_certificate_receives_no_request() {
    let (env, endpoint) = (TestEnv::start().await, IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 10));
    let no_roots = ("AzureCommunicationServicesConnectionString__rootCertificates", "");
    let app = env.start_app(endpoint.start(0).await, &[no_roots]);
    assert_eq!(api_error(request_token(&app, "ann").await).await, (503, "unavailable".to_owned()));
    assert_eq!(env.emulator.calls().received, 0);
}

#[tokio::test]
async fn the_store_is_called_over_https_with_tokens_of_the_apps_identity() {
    let (env, endpoint) = (TestEnv::start().await, IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 10));
    let blobs = BlobStorage::default();
    let (port, certificate) = tls::terminate(serve(blobs.router()).await).await;
    let container = format!("https://localhost:{port}/account/chat-identities");
    let variables = [
        ("ChatIdentityStore", container.as_str()),
        ("ChatIdentityStore__rootCertificates", &certificate),
        ("ChatIdentityStore__clientId", "33333333-4444"),
        ("RUST_LOG", "trace"),
    ];
    let mut app = env.start_app(endpoint.start(0).await, &variables);
    for user in ["ann", "bob", "ann"] {
        assert_eq!(request_token(&app, user).await.status(), 200, "{}", app.process.out.text());
    }
    assert_eq!(blobs.people().len(), 2);
    let requests = endpoint.requests();
    let for_storage: Vec<_> =
        requests.iter().filter(|query| query["resource"] == "https://storage.azure.com").collect();
    assert_eq!((requests.len(), for_storage.len()), (2, 1), "{requests:?}");
    assert_eq!(for_storage[0]["client_id"], "33333333-4444");
    let (out, issued) = (app.stop(), endpoint.tokens());
    for authorization in blobs.authorizations() {
        let token = authorization.strip_prefix("Bearer ").unwrap();
        assert!(issued.iter().any(|(issued, _)| issued == token) && !out.contains(token), "{out}");
    }
}

#[tokio::test]
async fn without_a_token_for_the_store_no_identity_is_created() {
    let env = TestEnv::start().await;
    let (port, certificate) = tls::terminate(serve(BlobStorage::default().router()).await).await;
    let container = format!("https://localhost:{port}/account/chat-identities");
    let variables = [("ChatIdentityStore", container.as_str()), ("ChatIdentityStore__rootCertificates", &certificate)];
    let app = env.start_app(free_port(), &variables);
    assert_eq!(api_error(request_token(&app, "ann").await).await, (503, "unavailable".to_owned()));
    app.process.out.line("a Microsoft Entra token for https://storage.azure.com could not be had");
    app.process.out.line("the store of identities cannot be called: there is no token of the app's identity");
    assert_eq!(env.emulator.calls().received, 0);
}

#[tokio::test]
async fn an_identity_that_gets_no_token_until_it_is_corrected_is_a_permanent_fault_of_the_store() {
    let (env, endpoint) = (TestEnv::start().await, IdentityEndpoint::new(OWNER_ID, LONG_LIFETIME, 10));
    let (port, certificate) = tls::terminate(serve(BlobStorage::default().router()).await).await;
    let container = format!("https://localhost:{port}/account/chat-identities");
    let variables = [
        ("ChatIdentityStore", container.as_str()),
        ("ChatIdentityStore__rootCertificates", &certificate),
        // The endpoint answers 400.
        ("IDENTITY_HEADER", "another"),
    ];
    let app = env.start_app(endpoint.start(0).await, &variables);
    let response = request_token(&app, "ann").await;
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, (500, "identity_store_failed".to_owned()));
    app.process.out.line("the app's identity gets no token; turn on an identity for this app");
    assert_eq!(env.emulator.calls().received, 0);
}
