//! Test support: `TestService` runs an emulator on a free port, `TestRequest` is written byte by byte and signed by hand.
//!
//! The signer follows the published description of the scheme and shares no code with the emulator. A test compares it with
//! requests that the published clients have signed.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use azure_communication_emulator::{AccessKey, Clock, Emulator, Options};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The headers that the published clients sign, in their order.
pub(crate) const SIGNED_HEADERS: [&str; 3] = ["x-ms-date", "host", "x-ms-content-sha256"];

/// The primary key, and the key of the published test vectors: bytes 0 to 31.
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A key that signs for another resource, or for the issuer of bearer tokens.
pub(crate) const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// The time of a test service, in seconds since 1970.
pub(crate) const NOW: u64 = 1_697_643_256;

pub(crate) const RESOURCE: &str = "2dee53b4-368b-45b4-ab52-8493fb117652";

/// The target of create.
pub(crate) const IDENTITIES: &str = "/identities?api-version=2023-10-01";

/// The maximum time for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// A running emulator; dropping it stops it.
pub(crate) struct TestService {
    pub(crate) emulator: Emulator,
    pub(crate) port: u16,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The options of a test service: `KEY` is the primary key, and the control API is served.
pub(crate) fn options() -> Options {
    Options {
        access_keys: [AccessKey::new(KEY).unwrap(), AccessKey::generate()],
        resource_id: RESOURCE.parse().unwrap(),
        clock: Clock::Stopped { at: NOW },
        control_api: true,
        ..Options::default()
    }
}

impl TestService {
    pub(crate) async fn start() -> Self {
        Self::with(options()).await
    }

    /// A service with an identity, and its id.
    pub(crate) async fn with_identity() -> (Self, String) {
        let service = Self::start().await;
        let id = service.create().await;
        (service, id)
    }

    pub(crate) async fn with(options: Options) -> Self {
        let emulator = Emulator::new(options);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = emulator.clone();
        let server = tokio::spawn(async move { served.serve(vec![listener], std::future::pending()).await });
        Self { emulator, port, server }
    }

    /// The `Host` of requests to this service.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A request with the current date and all headers except `Authorization`.
    pub(crate) fn request(&self, method: &str, target: &str, body: &str) -> TestRequest {
        let request = TestRequest::new(method, target, body);
        let request = request.header("host", &self.host()).header("x-ms-date", &http_date(self.emulator.now()));
        request.header("x-ms-content-sha256", &content_hash(body.as_bytes()))
    }

    /// Sends a signed request.
    pub(crate) async fn call(&self, method: &str, target: &str, body: &str) -> TestResponse {
        self.send(self.request(method, target, body).signed_with(KEY)).await
    }

    /// Sends a request unchanged.
    pub(crate) async fn send(&self, request: TestRequest) -> TestResponse {
        self.send_bytes(&request.into_bytes()).await
    }

    /// Sends bytes and reads one response until the end of the connection.
    pub(crate) async fn send_bytes(&self, bytes: &[u8]) -> TestResponse {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut response = String::new();
        timeout(RESPONSE_TIMEOUT, socket.read_to_string(&mut response)).await.expect("a response").unwrap();
        TestResponse::parse(&response)
    }

    /// Creates an identity and returns its id.
    pub(crate) async fn create(&self) -> String {
        let response = self.call("POST", IDENTITIES, "").await;
        assert_eq!(response.status, 201, "{}", response.body);
        response.json()["identity"]["id"].as_str().unwrap().to_owned()
    }

    /// Calls an operation on an identity, whose id is escaped as most clients do.
    pub(crate) async fn call_identity(&self, method: &str, identity: &str, verb: &str, body: &str) -> TestResponse {
        let identity = identity.replace(':', "%3A");
        let target = format!("/identities/{identity}{verb}?api-version=2023-10-01");
        self.call(method, &target, body).await
    }

    pub(crate) async fn issue(&self, identity: &str, body: &str) -> TestResponse {
        self.call_identity("POST", identity, "/:issueAccessToken", body).await
    }

    /// Issues a token for chat and returns it.
    pub(crate) async fn token(&self, identity: &str) -> String {
        let response = self.issue(identity, r#"{"scopes":["chat"]}"#).await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()["token"].as_str().unwrap().to_owned()
    }
}

/// Formats a time, in seconds since 1970, as an HTTP date.
pub(crate) fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A request whose headers can be changed before and after it is signed.
#[derive(Clone)]
pub(crate) struct TestRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl TestRequest {
    pub(crate) fn new(method: &str, target: &str, body: &str) -> Self {
        let [method, target, body] = [method, target, body].map(str::to_owned);
        Self { method, target, body, headers: Vec::new() }
    }

    /// Sets a header, replacing one of the same name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }

    /// Adds a header beside one of the same name.
    pub(crate) fn second_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn signed_with(self, key: &str) -> Self {
        self.signed(key, &SIGNED_HEADERS)
    }

    /// Signs the request with the named headers. An absent header is signed as empty.
    pub(crate) fn signed(self, key: &str, names: &[&str]) -> Self {
        let value = |name: &str| self.headers.iter().find(|(present, _)| present == name);
        let headers: Vec<_> =
            names.iter().map(|name| (*name, value(name).map_or("", |(_, value)| value.as_str()))).collect();
        let authorization = authorization(key, &self.method, &self.target, &headers);
        self.header("authorization", &authorization)
    }

    /// The request line and the headers, without the length of the body.
    fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        format!("{}content-length: {}\r\n\r\n{}", self.head(), self.body.len(), self.body).into_bytes()
    }

    /// The request with the body in chunks of one byte.
    pub(crate) fn into_chunks(self) -> Vec<u8> {
        let chunks: String = self.body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
        format!("{}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n", self.head()).into_bytes()
    }
}

/// A parsed response.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl TestResponse {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(present, _)| present.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The status and the code of an error response.
    pub(crate) fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(error["message"].is_string(), "{}", self.body);
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// The claims of a token, not verified.
pub(crate) fn claims(token: &str) -> Value {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

/// Checks the form of `expiresOn` and returns it in seconds since 1970.
pub(crate) fn expiry(response: &Value) -> u64 {
    let text = response["expiresOn"].as_str().unwrap();
    let (fraction, offset) = text.split_once('.').unwrap().1.split_at(7);
    assert!(fraction.bytes().all(|byte| byte.is_ascii_digit()) && offset == "+00:00", "{text}");
    let time: jiff::Timestamp = text.parse().unwrap();
    u64::try_from(time.as_second()).unwrap()
}

/// The value of `x-ms-content-sha256`.
pub(crate) fn content_hash(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// The value of `Authorization`, over headers given as name and value.
pub(crate) fn authorization(key: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let (names, values): (Vec<_>, Vec<_>) = headers.iter().copied().unzip();
    let signed = format!("{method}\n{target}\n{}", values.join(";"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(key).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    format!("HMAC-SHA256 SignedHeaders={}&Signature={signature}", names.join(";"))
}

#[test]
fn case_1_the_signer_produces_the_signatures_of_the_published_clients() {
    const HOST: &str = "contoso-test.communication.azure.com";
    const LOCAL: &str = "127.0.0.1:18099";
    const CREATE: &str = "/identities?api-version=2023-10-01";
    let escaped = "/identities/8%3Aacs%3A2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081";
    let issue = format!("{escaped}/:issueAccessToken?api-version=2023-10-01");
    let delete = format!("{escaped}?api-version=2023-10-01");
    let revoke = format!("{escaped}/:revokeAccessTokens?api-version=2023-10-01").replace("%3A", ":");
    let with_chat = r#"{"createTokenWithScopes":["chat"]}"#;
    let with_spaces = r#"{"scopes": ["chat", "voip"], "expiresInMinutes": null}"#;
    let minutes = r#"{"scopes":["voip"],"expiresInMinutes":60}"#;
    for (vector, method, target, host, body, signature) in [
        ('A', "POST", CREATE, HOST, with_chat, "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs="),
        ('B', "POST", &issue, HOST, minutes, "YUEsjRaF9Xg0ALxkOz4iUho3+tg3G+ykmipBBIjBdQA="),
        ('C', "DELETE", &delete, HOST, "", "eGXPFW+I7SDSmjXYgYWPGlnSCrnWRsrZMKueCKYrxAk="),
        ('D', "POST", CREATE, LOCAL, "{}", "mVT/OY4kgDxzKGSOg6HvOs/DrKo6Fbndyvk7XpGx2TA="),
        ('E', "POST", &issue, LOCAL, with_spaces, "9V5ueOkZbood4nOUkdDrg+4J0GoWgfsvJDtWii68kfw="),
        ('F', "POST", &revoke, HOST, "", "TFyOU+G7tVHFEA2bvqx/5fVCSKfdtXdzLmVR+3BVBDU="),
    ] {
        let values = ["Wed, 18 Oct 2023 15:34:16 GMT", host, &content_hash(body.as_bytes())];
        let headers = std::array::from_fn::<_, 3, _>(|at| (SIGNED_HEADERS[at], values[at]));
        let expected = format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
        assert_eq!(authorization(KEY, method, target, &headers), expected, "vector {vector}");
    }
}
