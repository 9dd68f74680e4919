//! Access tokens from Azure Communication Services without its key: an identity of the platform, and the service that admits it.
//!
//! The service is its stand-in, behind TLS, for such a token never goes out in clear. Its certificate is vouched for by nobody but the setting.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::{Json, Router};
use azure_communication_emulator::{AccessKey, Emulator, EntraOptions, Options};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Response;
use serde_json::{Value, json};
use test_support::proxy::serve;
use test_support::tls;
use tokio::net::TcpListener;

use crate::blob_storage::Blobs;
use crate::test_app::{House, free_port, refusal};

const ISSUER: &str = "https://issuer.test/";
const ISSUER_KEY: &[u8] = b"what-the-issuer-signs-with";
const OWNER: &str = "the-identity-of-the-app";
const PLATFORM_SECRET: &str = "SECRET-of-the-platform";

/// The endpoint for managed identities: whose tokens it gives out, what it was asked, what it gave.
#[derive(Clone)]
struct Platform {
    identity: &'static str,
    asked: Arc<Mutex<Vec<Value>>>,
    given: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    fn new(identity: &'static str) -> Self {
        Self { identity, asked: Arc::default(), given: Arc::default() }
    }

    async fn open(&self) -> u16 {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let app = Router::new().fallback(give).with_state(self.clone());
        tokio::spawn(axum::serve(socket, app).into_future());
        port
    }
}

async fn give(State(platform): State<Platform>, uri: Uri, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let url = reqwest::Url::parse(&format!("http://platform{uri}")).unwrap();
    let query: Value = url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect();
    platform.asked.lock().unwrap().push(query.clone());
    if headers.get("x-identity-header").is_none_or(|secret| secret != PLATFORM_SECRET) {
        return (StatusCode::BAD_REQUEST, Json(json!({"statusCode": 400, "message": "SECRET-words"})));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": ISSUER, "aud": query["resource"], "oid": platform.identity, "nbf": now, "exp": now + 3_600,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(ISSUER_KEY);
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    platform.given.lock().unwrap().push(token.clone());
    let answer = json!({
        "access_token": token, "expires_on": (now + 3_600).to_string(), "token_type": "Bearer", "resource": query["resource"],
    });
    (StatusCode::OK, Json(answer))
}

/// The service, a store, and what a handler is told of them.
struct Town {
    emulator: Emulator,
    endpoint: String,
    certificate: String,
    container: String,
}

impl Town {
    async fn start() -> Self {
        let signing_key = AccessKey::new(STANDARD.encode(ISSUER_KEY)).unwrap();
        let owners = vec![OWNER.to_owned()];
        let entra = Some(EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners });
        let emulator = Emulator::new(Options { entra, ..Options::default() });
        let (port, certificate) = tls::terminate(serve(emulator.router()).await).await;
        let endpoint = format!("https://localhost:{port}");
        let (_, container) = Blobs::start().await;
        // As it is pasted where settings are single lines.
        Self { emulator, endpoint, certificate: certificate.replace('\n', "\\n"), container }
    }

    /// A handler whose platform is at `port`.
    fn house(&self, port: u16, more: &[(&str, &str)]) -> House {
        let platform = format!("http://127.0.0.1:{port}/msi/token");
        let mut variables = vec![
            ("AzureCommunicationServicesConnectionString__endpoint", self.endpoint.as_str()),
            ("AzureCommunicationServicesConnectionString__rootCertificates", &self.certificate),
            ("IDENTITY_ENDPOINT", &platform),
            ("IDENTITY_HEADER", PLATFORM_SECRET),
            ("ChatIdentityStore", &self.container),
            ("ChatIdentityStoreKey", "aHVzaA=="),
            ("WEBSITE_AUTH_ENABLED", "True"),
        ];
        variables.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        variables.extend(more);
        House::before(1, &variables)
    }
}

async fn ask(house: &House, who: &str) -> Response {
    let request = house.post("/api/access-token").header("x-ms-client-principal-idp", "github");
    request.header("x-ms-client-principal-id", who).send().await.unwrap()
}

#[tokio::test]
async fn without_a_key_people_get_their_tokens_and_the_platform_is_asked_once() {
    let (town, platform) = (Town::start().await, Platform::new(OWNER));
    let client_id = ("AzureCommunicationServicesConnectionString__clientId", "11111111-2222");
    let mut house = town.house(platform.open().await, &[client_id, ("RUST_LOG", "trace")]);
    let mut tokens = Vec::new();
    for who in ["ann", "bob", "ann"] {
        let response = ask(&house, who).await;
        assert_eq!(response.status(), 200, "{}", house.handler.out.text());
        let body: Value = response.json().await.unwrap();
        let token = body["token"].as_str().unwrap().to_owned();
        let identity = town.emulator.introspect(&token).unwrap().identity;
        assert_eq!(body["user"]["communicationUserId"], *identity);
        tokens.push(token);
    }
    assert_eq!((town.emulator.calls().create, town.emulator.calls().issue), (2, 3));
    {
        let asked = platform.asked.lock().unwrap();
        assert_eq!(asked.len(), 1);
        // Both slashes of the scope belong to it; what is left is the name of the service.
        assert_eq!(asked[0]["resource"], "https://communication.azure.com/");
        assert_eq!(asked[0]["client_id"], "11111111-2222");
    }
    house.handler.signal("TERM");
    house.handler.end();
    let out = house.handler.out.text();
    tokens.extend(platform.given.lock().unwrap().clone());
    tokens.extend([PLATFORM_SECRET.to_owned(), "eyJ".to_owned()]);
    for secret in tokens {
        assert!(!out.contains(&secret), "{secret} in {out}");
    }
}

#[tokio::test]
async fn an_identity_without_a_role_is_refused_and_the_log_says_so() {
    let (town, platform) = (Town::start().await, Platform::new("somebody-else"));
    let house = town.house(platform.open().await, &[]);
    assert_eq!(refusal(ask(&house, "ann").await).await, (502, "upstream_rejected".to_owned()));
    house.handler.out.line("check the roles of the identity");
}

#[tokio::test]
async fn a_platform_that_is_away_is_a_bad_moment_and_the_service_is_not_called() {
    let town = Town::start().await;
    let house = town.house(free_port(), &[]);
    let response = ask(&house, "ann").await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(refusal(response).await, (503, "unavailable".to_owned()));
    house.handler.out.line("a Microsoft Entra token for https://communication.azure.com could not be had");
    house.handler.out.line("the managed identity endpoint cannot be reached");
    assert_eq!(town.emulator.calls().received, 0);
}

#[tokio::test]
async fn a_service_that_nobody_vouches_for_hears_nothing() {
    let (town, platform) = (Town::start().await, Platform::new(OWNER));
    let nobody = ("AzureCommunicationServicesConnectionString__rootCertificates", "");
    let house = town.house(platform.open().await, &[nobody]);
    assert_eq!(refusal(ask(&house, "ann").await).await, (503, "unavailable".to_owned()));
    assert_eq!(town.emulator.calls().received, 0);
}
