//! A scripted storage account with the Blob operations of the identity store: read, create and replace under a condition.
//!
//! It checks no signature; the end-to-end tests with Azurite do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use test_support::http::serve;

/// All blobs by path, each with the number of the put that wrote it.
#[derive(Clone, Default)]
pub(crate) struct BlobStorage(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    blobs: BTreeMap<String, (u64, Bytes)>,
    puts: u64,
    /// The status of all responses, if set.
    failure: Option<StatusCode>,
    /// Whether the next put is done and answered with 500.
    fails_after_put: bool,
}

impl BlobStorage {
    /// An account with one container, and the container's address.
    pub(crate) async fn start() -> (Self, String) {
        let blobs = Self::default();
        let port = serve(Router::new().fallback(respond).with_state(blobs.clone())).await;
        let address = format!("http://127.0.0.1:{port}/account/chat-identities");
        (blobs, address)
    }

    /// The texts of all blobs.
    pub(crate) fn texts(&self) -> Vec<String> {
        let inner = self.0.lock().unwrap();
        inner.blobs.values().map(|(_, text)| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    /// The paths of all blobs.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.0.lock().unwrap().blobs.keys().cloned().collect()
    }

    /// Answers all requests with this status, or normally again.
    pub(crate) fn fail_with(&self, status: Option<u16>) {
        self.0.lock().unwrap().failure = status.map(|status| StatusCode::from_u16(status).unwrap());
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
        return (status, "words of the storage account").into_response();
    }
    let tag = |number: u64| format!("\"{number}\"");
    let path = uri.path().to_owned();
    let found = inner.blobs.get(&path).cloned();
    let described =
        |number: u64| [(ETAG, tag(number)), (LAST_MODIFIED, "Sun, 22 Nov 2026 00:00:00 GMT".to_owned())];
    match method {
        Method::GET => match found {
            Some((number, text)) => (described(number), text).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::PUT => {
            assert!(headers.contains_key("authorization"), "a put without a credential");
            let is = found.map(|(number, _)| tag(number));
            match (headers.get(IF_NONE_MATCH), headers.get(IF_MATCH)) {
                (Some(any), None) if any == "*" && is.is_some() => {
                    return StatusCode::CONFLICT.into_response();
                }
                (Some(any), None) if any == "*" => {}
                (None, Some(expected)) if is.is_some_and(|is| expected == is.as_str()) => {}
                (None, Some(_)) => return StatusCode::PRECONDITION_FAILED.into_response(),
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
        _ => panic!("{method} is not expected"),
    }
}
