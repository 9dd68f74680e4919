//! A proxy in front of an emulated storage account: signs requests with the key of the account, counts them by kind and makes them fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderName, Method, Request, Response, StatusCode, Uri};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::percent_decode_str;
use sha2::Sha256;
use tokio::time::sleep;

use crate::http::{client, listen};

const MAX_BODY_BYTES: usize = 16 << 20;
/// Less than the time after which Azurite closes a connection that is not used.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The parameters of a shared access signature that requests to the proxy may have.
const SAS_PARAMETERS: [&str; 5] = ["sv", "sr", "sp", "se", "sig"];
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StorageCall {
    /// List Blobs.
    List,
    /// Put Blob.
    Create,
    /// Append Block.
    Append,
    /// Get Blob.
    Read,
    /// Get Blob Properties.
    Properties,
    /// Append Blob Seal.
    Seal,
    /// Delete Blob.
    Delete,
    /// Another one.
    Other,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is not carried out, and the connection breaks.
    FailBefore,
    /// It is carried out, and the connection breaks.
    LoseAnswer,
    /// The connection breaks, and it is carried out after this time.
    Late(Duration),
    /// It is carried out after this time, and then answered.
    Slow(Duration),
    /// It is not carried out, and answered with this status and error code.
    Answer(u16, &'static str),
    /// It is carried out, and answered with this status and error code.
    AnswerAfter(u16, &'static str),
}

type Faults = Box<dyn Fn(StorageCall) -> Option<Fault> + Send + Sync>;

/// The proxy, which listens until the test ends.
pub struct StorageProxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    account: &'static str,
    key: Vec<u8>,
    client: Client<HttpConnector, Body>,
    counts: Mutex<BTreeMap<StorageCall, usize>>,
    faults: Mutex<Faults>,
    /// Calls that are or will be carried out.
    pending: AtomicUsize,
}

/// The connection breaks without an answer.
#[derive(Debug)]
struct Break;

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fault")
    }
}

impl std::error::Error for Break {}

impl StorageProxy {
    /// Listens on a free port of 127.0.0.1, and forwards to `target`, another port of it.
    pub async fn start(target: u16, account: &'static str, key: Vec<u8>) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).build_http();
        let shared = Arc::new(Shared {
            target,
            account,
            key,
            client,
            counts: Mutex::default(),
            faults: Mutex::new(Box::new(|_| None)),
            pending: AtomicUsize::new(0),
        });
        let (listener, port) = listen().await;
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let shared = serving.clone();
                let respond = service_fn(move |request| respond(shared.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(caller), respond));
            }
        });
        Self { port, shared }
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a container, without a query.
    pub fn url(&self, container: &str) -> String {
        format!("http://127.0.0.1:{}/{}/{container}", self.port, self.shared.account)
    }

    /// A client for requests without a signature.
    pub fn client(&self) -> reqwest::Client {
        client()
    }

    /// From now on, what happens to each call; `None`: nothing.
    pub fn inject(&self, faults: impl Fn(StorageCall) -> Option<Fault> + Send + Sync + 'static) {
        *self.shared.faults.lock().unwrap() = Box::new(faults);
    }

    /// How many calls of each kind were received since the last time.
    pub fn take_counts(&self) -> BTreeMap<StorageCall, usize> {
        std::mem::take(&mut self.shared.counts.lock().unwrap())
    }

    /// Waits until all calls have been carried out, late ones included.
    pub async fn settle(&self) {
        while self.shared.pending.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Break> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await.map_err(|_| Break)?;
    let request = Request::from_parts(head, body);
    let call = kind(&request);
    *shared.counts.lock().unwrap().entry(call).or_default() += 1;
    let fault = shared.faults.lock().unwrap()(call);
    let delay = match fault {
        Some(Fault::FailBefore) => return Err(Break),
        Some(Fault::Answer(status, code)) => return Ok(error(status, code)),
        Some(Fault::Late(delay) | Fault::Slow(delay)) => delay,
        _ => Duration::ZERO,
    };
    // In a task of its own: the call is carried out even if its caller ends.
    shared.pending.fetch_add(1, Ordering::SeqCst);
    let forwarded = tokio::spawn(async move {
        sleep(delay).await;
        let response = shared.forward(request).await;
        shared.pending.fetch_sub(1, Ordering::SeqCst);
        response
    });
    match fault {
        Some(Fault::Late(_)) => Err(Break),
        Some(Fault::LoseAnswer) => {
            let _ = forwarded.await;
            Err(Break)
        }
        Some(Fault::AnswerAfter(status, code)) => {
            let _ = forwarded.await;
            Ok(error(status, code))
        }
        _ => forwarded.await.ok().and_then(Result::ok).ok_or(Break),
    }
}

fn error(status: u16, code: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(ERROR_CODE, code.parse().unwrap());
    response
}

fn kind(request: &Request<Bytes>) -> StorageCall {
    let query = parameters(request.uri());
    let component = query.iter().find(|(name, _)| name == "comp").map(|(_, value)| &**value);
    match (request.method(), component) {
        (&Method::GET, Some("list")) => StorageCall::List,
        (&Method::PUT, Some("appendblock")) => StorageCall::Append,
        (&Method::PUT, Some("seal")) => StorageCall::Seal,
        (&Method::PUT, None) => StorageCall::Create,
        (&Method::GET, None) => StorageCall::Read,
        (&Method::HEAD, None) => StorageCall::Properties,
        (&Method::DELETE, None) => StorageCall::Delete,
        _ => StorageCall::Other,
    }
}

/// The parameters of the query, decoded, without those of a signature.
fn parameters(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let own = pairs.filter(|(name, _)| !SAS_PARAMETERS.contains(name));
    own.map(|(name, value)| (decode(name).to_ascii_lowercase(), decode(value))).collect()
}

impl Shared {
    async fn forward(&self, mut request: Request<Bytes>) -> Result<Response<Body>, Break> {
        let own_query = request.uri().query().unwrap_or_default().split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.is_empty() && !SAS_PARAMETERS.contains(&name)
        });
        let query = own_query.collect::<Vec<_>>().join("&");
        // The client encodes the slashes of a blob's name.
        let path = request.uri().path().replace("%2F", "/");
        let uri = format!("http://127.0.0.1:{}{path}?{query}", self.target);
        *request.uri_mut() = uri.parse().unwrap();
        let length = request.body().len();
        let headers = request.headers_mut();
        headers.remove(HOST);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, length.into());
        // Azurite compares it with no clock.
        headers.insert("x-ms-date", "Fri, 27 Nov 2026 00:00:00 GMT".parse().unwrap());
        let signature = self.signature(&request);
        request.headers_mut().insert(AUTHORIZATION, signature.parse().unwrap());
        // The emulator ends before its last callers.
        let response = self.client.request(request.map(Body::from)).await.map_err(|_| Break)?;
        let (mut head, body) = response.into_parts();
        head.headers.remove(TRANSFER_ENCODING);
        let body = to_bytes(Body::new(body), MAX_BODY_BYTES).await.map_err(|_| Break)?;
        Ok(Response::from_parts(head, Body::from(body)))
    }

    /// The `Authorization` header: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
    fn signature(&self, request: &Request<Bytes>) -> String {
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let length = Some(header("content-length")).filter(|length| *length != "0").unwrap_or_default();
        let mut text = format!(
            "{}\n{}\n{}\n{length}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            request.method(),
            header("content-encoding"),
            header("content-language"),
            header("content-md5"),
            header("content-type"),
            header("date"),
            header("if-modified-since"),
            header("if-match"),
            header("if-none-match"),
            header("if-unmodified-since"),
            header("range"),
        );
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.retain(|name| name.starts_with("x-ms-"));
        names.sort_unstable();
        for name in names {
            text += &format!("{name}:{}\n", header(name));
        }
        text += &format!("/{}{}", self.account, request.uri().path());
        let mut parameters = parameters(request.uri());
        parameters.sort();
        for (name, value) in parameters {
            text += &format!("\n{name}:{value}");
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(text.as_bytes());
        format!("SharedKey {}:{}", self.account, STANDARD.encode(mac.finalize().into_bytes()))
    }
}
