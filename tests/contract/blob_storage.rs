//! A storage account as far as the store of identities needs one: blobs that are put where there is nothing, or in the place of the one
//! that was read. It looks at no signature; the tests against Azurite do.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

/// Everything put there, by path, each with the how manyeth put it was.
#[derive(Clone, Default)]
pub(crate) struct Blobs(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    blobs: BTreeMap<String, (u64, Bytes)>,
    puts: u64,
    /// What comes instead of an answer.
    refusal: Option<StatusCode>,
    /// Puts that are done, and answered as if they were not.
    lost: u64,
}

impl Blobs {
    /// An account with one container, and the container's address.
    pub(crate) async fn start() -> (Self, String) {
        let blobs = Self::default();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}/account/chat-identities", socket.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(blobs.clone());
        tokio::spawn(axum::serve(socket, app).into_future());
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

    /// Answers everything with this status, or as before.
    pub(crate) fn refuse(&self, status: Option<u16>) {
        self.0.lock().unwrap().refusal = status.map(|status| StatusCode::from_u16(status).unwrap());
    }

    /// Does the next put and answers 500.
    pub(crate) fn lose_an_answer(&self) {
        self.0.lock().unwrap().lost = 1;
    }
}

async fn answer(
    State(blobs): State<Blobs>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = blobs.0.lock().unwrap();
    if let Some(status) = inner.refusal {
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
            assert!(headers.contains_key("authorization"), "put without a credential");
            let is = found.map(|(number, _)| tag(number));
            match (headers.get(IF_NONE_MATCH), headers.get(IF_MATCH)) {
                (Some(any), None) if any == "*" && is.is_some() => {
                    return StatusCode::CONFLICT.into_response();
                }
                (Some(any), None) if any == "*" => {}
                (None, Some(expected)) if is.is_some_and(|is| expected == is.as_str()) => {}
                (None, Some(_)) => return StatusCode::PRECONDITION_FAILED.into_response(),
                _ => panic!("put without looking"),
            }
            inner.puts += 1;
            let number = inner.puts;
            inner.blobs.insert(path, (number, body));
            if inner.lost > 0 {
                inner.lost -= 1;
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            (StatusCode::CREATED, described(number)).into_response()
        }
        _ => panic!("{method} is not asked for"),
    }
}
