//! The handler without any key: an identity of the platform, the tokens it is given, and the service that admits it.
//!
//! The platform is here, as App Service has it: an endpoint on this machine that gives out tokens to whoever knows its header.
//! The service is the embedded one, told to believe those tokens.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use azure_signalr_emulator::{AccessKey, Emulator, EntraOptions, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::test_app::{House, PATIENCE, free_port, refusal};
use test_support::proxy::{proxy, serve};
use test_support::signalr_client::{Access, Client};

const ISSUER: &str = "https://issuer.test/";
const ISSUER_KEY: &str = "what-the-issuer-signs-with";
const OWNER: &str = "the-identity-of-the-app";
const PLATFORM_SECRET: &str = "SECRET-of-the-platform";

/// Tokens that outlive any test.
const LONG: Duration = Duration::from_secs(3_600);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn token_of(identity: &str, expires_on: u64) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": "https://signalr.azure.com", "oid": identity, "nbf": now(), "exp": expires_on,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(ISSUER_KEY.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// The endpoint for managed identities.
#[derive(Clone)]
struct Platform {
    identity: &'static str,
    lifetime: Duration,
    /// One permit for each answer it may give.
    answers: Arc<Semaphore>,
    asked: Arc<watch::Sender<Vec<Value>>>,
    given: Arc<Mutex<Vec<(String, u64)>>>,
}

impl Platform {
    fn new(identity: &'static str, lifetime: Duration, answers: usize) -> Self {
        Self {
            identity,
            lifetime,
            answers: Arc::new(Semaphore::new(answers)),
            asked: Arc::default(),
            given: Arc::default(),
        }
    }

    async fn open(&self, port: u16) -> u16 {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let routes =
            axum::Router::new().route("/msi/token", axum::routing::get(give)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(socket, routes).await });
        port
    }

    fn asked(&self) -> usize {
        self.asked.borrow().len()
    }

    async fn until_asked(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(|asked| asked.len() >= times)).await;
        waited.expect("waited in vain for somebody to ask for a token").unwrap();
    }

    fn tokens(&self) -> Vec<(String, u64)> {
        self.given.lock().unwrap().clone()
    }
}

async fn give(State(platform): State<Platform>, uri: Uri, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let url = reqwest::Url::parse(&format!("http://platform{uri}")).unwrap();
    let query: Value = url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect();
    let knows = headers.get("x-identity-header").is_some_and(|secret| secret == PLATFORM_SECRET);
    platform.asked.send_modify(|asked| asked.push(query.clone()));
    if !knows || query["api-version"] != "2019-08-01" || query["resource"] != "https://signalr.azure.com" {
        return (StatusCode::BAD_REQUEST, Json(json!({"statusCode": 400, "message": "SECRET-words"})));
    }
    platform.answers.acquire().await.unwrap().forget();
    let expires_on = now() + platform.lifetime.as_secs();
    let token = token_of(platform.identity, expires_on);
    platform.given.lock().unwrap().push((token.clone(), expires_on));
    let answer = json!({
        "access_token": token, "expires_on": expires_on.to_string(), "token_type": "Bearer", "resource": query["resource"],
    });
    (StatusCode::OK, Json(answer))
}

/// The SignalR service, and the keys it has lent.
#[derive(Clone, Default)]
struct Service {
    lent: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn open(&self) -> u16 {
        let signing_key = AccessKey::new(ISSUER_KEY).unwrap();
        let owners = vec![OWNER.to_owned()];
        let emulator = Emulator::new(Options {
            // Nobody has a key.
            access_keys: Vec::new(),
            entra: Some(EntraOptions { issuer: ISSUER.to_owned(), signing_key, owners }),
            clock_leeway: Duration::ZERO,
            ..Options::default()
        });
        let router = proxy(serve(emulator.router()).await);
        serve(router.layer(from_fn_with_state(self.clone(), note_lent))).await
    }
}

async fn note_lent(State(service): State<Service>, request: Request, next: Next) -> Response {
    let is_key = request.uri().path().ends_with("/accessKey");
    let response = next.run(request).await;
    if !is_key || !response.status().is_success() {
        return response;
    }
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let lent: Value = serde_json::from_slice(&body).unwrap();
    service.lent.lock().unwrap().push(lent["AccessKey"].as_str().unwrap().to_owned());
    Response::from_parts(head, body.into())
}

/// A handler with an identity of `platform`, whose endpoint is at `port`, and more `variables`.
fn house(service: u16, port: u16, variables: &[(&str, &str)]) -> House {
    let (uri, endpoint) =
        (format!("http://127.0.0.1:{service}"), format!("http://127.0.0.1:{port}/msi/token"));
    let mut all = vec![
        ("AzureSignalRConnectionString__serviceUri", uri.as_str()),
        ("IDENTITY_ENDPOINT", &endpoint),
        ("IDENTITY_HEADER", PLATFORM_SECRET),
        // An identity means Azure, where guests are let in by name only; the callers of these tests are guests.
        ("ChatAllowAnonymous", "true"),
    ];
    all.extend(variables);
    House::with(&all)
}

async fn open_house(platform: &Platform, variables: &[(&str, &str)]) -> (House, Service) {
    let service = Service::default();
    (house(service.open().await, platform.open(0).await, variables), service)
}

async fn status(house: &House) -> u16 {
    house.message(&json!({"text": "hi"})).send().await.unwrap().status().as_u16()
}

async fn access(house: &House) -> Access {
    Access::request(house.post("/api/negotiate")).await
}

async fn join(house: &House) -> Client {
    let access = access(house).await;
    let mut client = access.open(access.socket().await, None).await.unwrap();
    client.shake_hands().await;
    client
}

#[tokio::test]
async fn without_a_key_people_connect_and_messages_arrive() {
    let platform = Platform::new(OWNER, LONG, 1);
    let (house, service) = open_house(&platform, &[]).await;
    let mut client = join(&house).await;
    assert_eq!(house.message(&json!({"text": "hi"})).send().await.unwrap().status(), 202);
    assert_eq!(client.message().await["text"], "hi");
    assert_eq!((platform.asked(), service.lent.lock().unwrap().len()), (1, 1));
    let header = jsonwebtoken::decode_header(access(&house).await.token).unwrap();
    assert!(header.kid.is_some());
}

#[tokio::test]
async fn a_user_assigned_identity_is_asked_for_by_its_client_id() {
    let platform = Platform::new(OWNER, LONG, 1);
    let variables = [
        ("AZURESIGNALRCONNECTIONSTRING__CREDENTIAL", "ManagedIdentity"),
        ("azuresignalrconnectionstring__clientid", "11111111-2222"),
    ];
    let (house, _service) = open_house(&platform, &variables).await;
    assert_eq!(status(&house).await, 202);
    assert_eq!(platform.asked.borrow()[0]["client_id"], "11111111-2222");
}

#[tokio::test]
async fn a_connection_string_names_an_identity_as_well() {
    for auth in ["AuthType=azure.msi", "AuthType=azure", "AuthType=aad"] {
        let platform = Platform::new(OWNER, LONG, 1);
        let service = Service::default().open().await;
        let connection = format!("Endpoint=http://127.0.0.1;Port={service};{auth};Version=1.0;");
        let endpoint = format!("http://127.0.0.1:{}/msi/token", platform.open(0).await);
        let house = House::with(&[
            ("AzureSignalRConnectionString", &connection),
            ("IDENTITY_ENDPOINT", &endpoint),
            ("IDENTITY_HEADER", PLATFORM_SECRET),
            ("ChatAllowAnonymous", "true"),
        ]);
        assert_eq!(status(&house).await, 202, "{auth}");
        assert_eq!(platform.asked.borrow()[0].get("client_id"), None);
    }
}

#[tokio::test]
async fn a_developer_elsewhere_is_whoever_is_signed_in_to_az() {
    let folder = tempdir();
    let answer = json!({"accessToken": token_of(OWNER, now() + 3_600), "expires_on": now() + 3_600, "tokenType": "Bearer"});
    let az = folder.join("az");
    fs::write(&az, format!("#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o755)).unwrap();
    let uri = format!("http://127.0.0.1:{}", Service::default().open().await);
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let house = House::with(&[("AzureSignalRConnectionString__serviceUri", &uri), ("PATH", &path)]);
    join(&house).await;
    assert_eq!(status(&house).await, 202);
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_developer_who_is_signed_in_nowhere_is_told_to_sign_in() {
    let house = House::with(&[
        ("AzureSignalRConnectionString__serviceUri", "http://127.0.0.1:1"),
        ("PATH", "/nowhere"),
    ]);
    let response = house.post("/api/negotiate").send().await.unwrap();
    assert_eq!(refusal(response).await, (502, "upstream_rejected".to_owned()));
    house.handler.out.line("az login");
}

/// A folder of this process and test alone.
fn tempdir() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("keyless-{}-{}", std::process::id(), free_port()));
    fs::create_dir(&folder).unwrap();
    folder
}

#[tokio::test]
async fn fifty_first_callers_make_one_request_for_a_token_and_one_for_a_key() {
    let platform = Platform::new(OWNER, LONG, 0);
    let (house, service) = open_house(&platform, &[]).await;
    // Asked for at the start, before anybody called; the probe does not wait for it.
    platform.until_asked(1).await;
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
    let callers: Vec<_> = (0..50)
        .map(|caller| {
            let request = match caller % 2 {
                0 => house.post("/api/negotiate"),
                _ => house.message(&json!({"text": "hi"})),
            };
            tokio::spawn(request.send())
        })
        .collect();
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
    platform.answers.add_permits(50);
    for caller in callers {
        let status = caller.await.unwrap().unwrap().status().as_u16();
        assert!([200, 202].contains(&status), "{status}");
    }
    assert_eq!((platform.asked(), service.lent.lock().unwrap().len()), (1, 1));
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_nobody_waits_for_that() {
    // One answer: the second is held back.
    let platform = Platform::new(OWNER, Duration::from_secs(9), 1);
    let (house, _service) = open_house(&platform, &[]).await;
    assert_eq!(status(&house).await, 202);
    let (_, end) = platform.tokens()[0];
    platform.until_asked(2).await;
    assert!(now() < end, "the token was renewed too late");
    // While the platform thinks, everything goes on.
    assert_eq!(status(&house).await, 202);
    access(&house).await;
    assert_eq!(platform.tokens().len(), 1);
    // From here on it answers, and the end of the first token goes unnoticed. The service gives it not a second more.
    platform.answers.add_permits(100);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    while now() <= end + 1 {
        tick.tick().await;
        assert_eq!(status(&house).await, 202, "{}", house.handler.out.text());
    }
    assert!(platform.tokens().len() >= 2);
}

#[tokio::test]
async fn a_platform_that_is_away_at_the_start_is_said_to_be_and_is_found_when_it_is_back() {
    let (service, port) = (Service::default(), free_port());
    let house = house(service.open().await, port, &[]);
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
    for path in ["/api/negotiate", "/api/messages"] {
        let response = house.post(path).json(&json!({"text": "hi"})).send().await.unwrap();
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(refusal(response).await, (503, "unavailable".to_owned()));
    }
    house.handler.out.line("the managed identity endpoint cannot be reached");
    Platform::new(OWNER, LONG, 1).open(port).await;
    let begun = std::time::Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while status(&house).await != 202 {
        assert!(begun.elapsed() < PATIENCE, "{}", house.handler.out.text());
        tick.tick().await;
    }
    join(&house).await;
}

#[tokio::test]
async fn an_app_without_the_identity_it_names_is_told_so() {
    let service = Service::default();
    let port = Platform::new(OWNER, LONG, 0).open(0).await;
    let house = house(service.open().await, port, &[("IDENTITY_HEADER", "another")]);
    let response = house.post("/api/negotiate").send().await.unwrap();
    assert_eq!(refusal(response).await, (502, "upstream_rejected".to_owned()));
    house.handler.out.line("the managed identity endpoint answered 400; turn on an identity for this app");
    assert!(!house.handler.out.text().contains("SECRET"));
}

#[tokio::test]
async fn a_token_that_is_not_had_is_told_once_a_try_and_in_our_own_words() {
    let told = |filter: &'static str| async move {
        let house = house(1, free_port(), &[("RUST_LOG", filter)]);
        assert_eq!(status(&house).await, 503);
        house.handler.out.line("could not be had");
        house.handler.out.text()
    };
    // And one of the library's at the start, which says whose identity it will be.
    let expected = ["listening on", "could not be had", "operation=", "ManagedIdentityCredential will use"];
    let is_ours = |line: &str| expected.iter().any(|part| line.contains(part));
    let out = told("info").await;
    assert!(out.lines().all(is_ours), "{out}");
    // The library can still be heard by who asks for it.
    let out = told("info,typespec_client_core=info").await;
    assert!(!out.lines().all(is_ours), "{out}");
}

#[tokio::test]
async fn an_identity_without_a_role_is_refused_and_the_log_says_which_roles_it_needs() {
    let platform = Platform::new("somebody-else", LONG, 1);
    let (house, _service) = open_house(&platform, &[]).await;
    for path in ["/api/negotiate", "/api/messages"] {
        let response = house.post(path).json(&json!({"text": "hi"})).send().await.unwrap();
        assert_eq!(refusal(response).await, (502, "upstream_rejected".to_owned()));
    }
    house.handler.out.line("assign it the roles SignalR App Server and SignalR REST API Owner");
}

#[tokio::test]
async fn no_token_and_no_key_is_in_the_log_however_much_is_logged() {
    let platform = Platform::new(OWNER, LONG, 1);
    let (mut house, service) = open_house(&platform, &[("RUST_LOG", "trace")]).await;
    let clients = access(&house).await.token;
    assert_eq!(status(&house).await, 202);
    house.handler.signal("TERM");
    house.handler.end();
    let out = house.handler.out.text();
    assert!(out.contains("/api/negotiate"), "{out}");
    let (token, _) = platform.tokens().remove(0);
    let lent = service.lent.lock().unwrap().remove(0);
    for secret in [PLATFORM_SECRET, &token, &lent, &clients, "eyJ"] {
        assert!(!out.contains(secret), "{secret} in {out}");
    }
}
