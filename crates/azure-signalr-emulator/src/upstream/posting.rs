//! Posts events and reads answers: a few at a time, each within a time, and no more of an answer than may be kept.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use super::options::UpstreamOptions;

/// Largest answer a client gets, in bytes.
pub(super) const LARGEST_ANSWER: usize = 16 << 20;

/// How much is read of an answer nobody awaits, in bytes: enough for its connection to be used again.
pub(super) const UNREAD_ANSWER: usize = 64 << 10;

/// Whoever posts for one service.
pub(super) struct Posting {
    http: reqwest::Client,
    timeout: Duration,
    /// Places for posts, under way or waiting. Without one there is no post.
    places: Semaphore,
    /// Places for posts under way, given in the order they are asked for.
    turns: Semaphore,
}

/// One event on its way.
pub(super) struct Parcel {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How many bytes of the answer are of use.
    pub(super) largest_answer: usize,
}

/// What the upstream said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Body,
}

/// What came with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole(Bytes),
    /// The rest was not read.
    TooLarge,
}

/// Why there is no answer. Says so without the address, whose query may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The names of the event make no address by this template.
    NoAddress,
    /// As many posts are waiting as may wait.
    Busy,
    /// There was no answer in time.
    TimedOut,
    /// There was no connection.
    Unreachable(String),
    /// There was one, and it ended before the answer did.
    BrokenOff(String),
}

impl Posting {
    pub(super) fn new(options: &UpstreamOptions) -> Self {
        let turns = options.max_posts.clamp(1, Semaphore::MAX_PERMITS);
        let places = turns.saturating_add(options.max_waiting_posts).min(Semaphore::MAX_PERMITS);
        Self {
            http: http_client(),
            timeout: options.timeout,
            places: Semaphore::new(places),
            turns: Semaphore::new(turns),
        }
    }

    /// Posts an event when it is its turn. Giving up the wait gives up the post.
    pub(super) async fn post(&self, parcel: Parcel) -> Result<Answered, Failure> {
        let _place = self.places.try_acquire().map_err(|_| Failure::Busy)?;
        let posting = async {
            let _turn = self.turns.acquire().await.expect("nobody closes the semaphore");
            self.send(parcel).await
        };
        timeout(self.timeout, posting).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn send(&self, parcel: Parcel) -> Result<Answered, Failure> {
        let Parcel { url, headers, body, largest_answer } = parcel;
        let request = self.http.post(url).headers(headers).body(body);
        let response = request.send().await.map_err(Failure::from_http)?;
        let status = response.status().as_u16();
        let body = read(response, largest_answer).await.map_err(Failure::from_http)?;
        Ok(Answered { status, body })
    }
}

/// Follows no redirects, uses no proxy, and trusts Mozilla's roots, which are compiled in.
fn http_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).tcp_nodelay(true).no_proxy();
    let builder = builder.redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never());
    builder.build().expect("these settings are valid, and building reads nothing from the system")
}

async fn read(mut response: reqwest::Response, limit: usize) -> reqwest::Result<Body> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(Body::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(body.freeze()))
}

impl Failure {
    fn from_http(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_builder() {
            Self::NoAddress
        } else if error.is_connect() {
            Self::Unreachable(innermost(&error))
        } else {
            Self::BrokenOff(innermost(&error))
        }
    }
}

/// What was at the bottom of it; the words above say again what the failure says.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "nothing is known of why".to_owned() };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the names of this event make no address by its template"),
            Self::Busy => f.write_str("too many posts are waiting (`max_waiting_posts`)"),
            Self::TimedOut => f.write_str("there was no answer in time"),
            Self::Unreachable(cause) => write!(f, "the upstream cannot be reached: {cause}"),
            Self::BrokenOff(cause) => write!(f, "the answer broke off: {cause}"),
        }
    }
}
