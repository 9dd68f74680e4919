//! A scripted storage account with the Blob operations of the identity store: read, and create, replace and
//! delete under a condition.
//!
//! It checks no signature and no token; the end-to-end tests with Azurite do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use test_support::http::serve;

/// The SAS of the container.
pub(crate) const SAS: &str = "sv=2026-06-06&sr=c&sp=rcwd&se=2999-01-01T00:00:00Z&sig=SECRET-of-the-sas";

/// All blobs by path, each with the number of the put that wrote it.
#[derive(Clone, Default)]
pub(crate) struct BlobStorage(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    blobs: BTreeMap<String, (u64, Bytes)>,
    puts: u64,
    /// The `Authorization` headers of all requests.
    authorizations: Vec<String>,
    /// The status of all responses, if set.
    failure: Option<StatusCode>,
    /// The status of all responses to put and delete, if set.
    write_failure: Option<StatusCode>,
    /// The text that another process writes before the next delete.
    replacement: Option<String>,
    /// Whether the next put is done and answered with 500.
    fails_after_put: bool,
}

impl BlobStorage {
    /// Starts an account with one container and returns the container's SAS URL.
    pub(crate) async fn start() -> (Self, String) {
        let blobs = Self::default();
        let port = serve(blobs.router()).await;
        let address = format!("http://127.0.0.1:{port}/account/chat-identities?{SAS}");
        (blobs, address)
    }

    pub(crate) fn router(&self) -> Router {
        Router::new().fallback(respond).with_state(self.clone())
    }

    /// Writes a blob of the container.
    pub(crate) fn insert(&self, name: &str, text: &str) {
        let path = format!("/account/chat-identities/{name}");
        self.0.lock().unwrap().blobs.insert(path, (0, Bytes::from(text.to_owned())));
    }

    /// The `Authorization` headers of all requests.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.0.lock().unwrap().authorizations.clone()
    }

    /// The paths and texts of all blobs.
    pub(crate) fn blobs(&self) -> Vec<(String, String)> {
        let inner = self.0.lock().unwrap();
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        inner.blobs.iter().map(|(path, (_, bytes))| (path.clone(), text(bytes))).collect()
    }

    /// The paths and texts of the blobs of people: all but the key of their names.
    pub(crate) fn people(&self) -> Vec<(String, String)> {
        self.blobs().into_iter().filter(|(path, _)| !path.ends_with("/name-key.json")).collect()
    }

    /// Answers all requests with this status, or normally again.
    pub(crate) fn fail_with(&self, status: Option<u16>) {
        self.0.lock().unwrap().failure = status.map(|status| StatusCode::from_u16(status).unwrap());
    }

    /// Answers all requests that change a blob with this status, or normally again.
    pub(crate) fn fail_writes_with(&self, status: Option<u16>) {
        self.0.lock().unwrap().write_failure = status.map(|status| StatusCode::from_u16(status).unwrap());
    }

    /// Replaces the text of a blob as another process would, after it was read and before the next delete of it.
    pub(crate) fn replace_before_next_delete(&self, text: &str) {
        self.0.lock().unwrap().replacement = Some(text.to_owned());
    }

    /// Writes the blob of the next put, but answers 500.
    pub(crate) fn fail_after_next_put(&self) {
        self.0.lock().unwrap().fails_after_put = true;
    }
}

async fn respond(
    State(blobs): State<BlobStorage>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = blobs.0.lock().unwrap();
    if let Some(status) = inner.failure {
        return (status, "text of the storage account").into_response();
    }
    match headers.get("authorization") {
        Some(header) => inner.authorizations.push(header.to_str().unwrap().to_owned()),
        None => assert_eq!(uri.query().unwrap(), SAS),
    }
    let tag = |number: u64| format!("\"{number}\"");
    let error = |status: StatusCode, code: &'static str| (status, [("x-ms-error-code", code)]).into_response();
    if let Some(status) = inner.write_failure.filter(|_| method != Method::GET) {
        return (status, "text of the storage account").into_response();
    }
    // The official client escapes the slash in a blob's name.
    let path = uri.path().replace("%2F", "/");
    if method == Method::DELETE
        && let Some(text) = inner.replacement.take()
    {
        inner.puts += 1;
        let replaced = (inner.puts, Bytes::from(text));
        inner.blobs.insert(path.clone(), replaced);
    }
    let found = inner.blobs.get(&path).cloned();
    let described = |number: u64| [(ETAG, tag(number)), (LAST_MODIFIED, "Sun, 22 Nov 2026 00:00:00 GMT".to_owned())];
    match method {
        Method::GET => match found {
            Some((number, text)) => (described(number), text).into_response(),
            None => error(StatusCode::NOT_FOUND, "BlobNotFound"),
        },
        Method::PUT => {
            let is = found.map(|(number, _)| tag(number));
            match (headers.get(IF_NONE_MATCH), headers.get(IF_MATCH)) {
                (Some(any), None) if any == "*" && is.is_some() => {
                    return error(StatusCode::CONFLICT, "BlobAlreadyExists");
                }
                (Some(any), None) if any == "*" => {}
                (None, Some(expected)) if is.is_some_and(|is| expected == is.as_str()) => {}
                (None, Some(_)) => return error(StatusCode::PRECONDITION_FAILED, "ConditionNotMet"),
                _ => panic!("a put without a condition"),
            }
            inner.puts += 1;
            let number = inner.puts;
            inner.blobs.insert(path, (number, body));
            if std::mem::take(&mut inner.fails_after_put) {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            (StatusCode::CREATED, described(number)).into_response()
        }
        Method::DELETE => {
            let expected = headers.get(IF_MATCH).expect("a delete without a condition");
            match found.map(|(number, _)| tag(number)) {
                None => error(StatusCode::NOT_FOUND, "BlobNotFound"),
                Some(is) if expected != is.as_str() => error(StatusCode::PRECONDITION_FAILED, "ConditionNotMet"),
                Some(_) => {
                    inner.blobs.remove(&path);
                    StatusCode::ACCEPTED.into_response()
                }
            }
        }
        _ => panic!("{method} is not expected"),
    }
}
