//! Sends webhook requests, a bounded number at a time, and records what became of each.

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

/// Largest response that is passed on to a client, in bytes.
pub(super) const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// How much of a discarded response is read, in bytes: enough to use its connection again.
pub(super) const MAX_DISCARDED_BYTES: usize = 64 << 10;

/// Sends the webhook requests of one service.
pub(super) struct WebhookClient {
    http: reqwest::Client,
    timeout: Duration,
    /// Permits for requests that are active or in the queue.
    admitted: Semaphore,
    /// Permits for active requests, in the order of the queue.
    active: Semaphore,
}

/// A webhook request about one event.
pub(super) struct WebhookRequest {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How much of the response body is read, in bytes.
    pub(super) max_response_bytes: usize,
}

/// The response of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WebhookResponse {
    pub(super) status: u16,
    pub(super) body: Body,
}

/// The body of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Whole(Bytes),
    /// The rest was not read.
    TooLarge,
}

/// Why there is no response. Does not repeat the URL, whose query may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error("the template gives no valid URL for the names of this event")]
    InvalidUrl,
    #[error("too many requests are in the queue (`max_queued_requests`)")]
    QueueFull,
    #[error("there was no response in time")]
    TimedOut,
    #[error("the upstream cannot be reached: {0}")]
    Unreachable(String),
    #[error("the response ended early: {0}")]
    Interrupted(String),
}

impl WebhookClient {
    pub(super) fn new(options: &UpstreamOptions) -> Self {
        let active = options.max_requests.clamp(1, Semaphore::MAX_PERMITS);
        let admitted = active.saturating_add(options.max_queued_requests).min(Semaphore::MAX_PERMITS);
        Self {
            http: http_client(),
            timeout: options.timeout,
            admitted: Semaphore::new(admitted),
            active: Semaphore::new(active),
        }
    }

    /// Sends a request as soon as a permit is free. Dropping the future drops the request.
    pub(super) async fn send(&self, request: WebhookRequest) -> Result<WebhookResponse, WebhookError> {
        let _admitted = self.admitted.try_acquire().map_err(|_| WebhookError::QueueFull)?;
        let sending = async {
            let _active = self.active.acquire().await.expect("the semaphore is never closed");
            self.send_now(request).await
        };
        timeout(self.timeout, sending).await.unwrap_or(Err(WebhookError::TimedOut))
    }

    async fn send_now(&self, request: WebhookRequest) -> Result<WebhookResponse, WebhookError> {
        let WebhookRequest { url, headers, body, max_response_bytes } = request;
        let request = self.http.post(url).headers(headers).body(body);
        let response = request.send().await.map_err(WebhookError::from_http)?;
        let status = response.status().as_u16();
        let body = read_body(response, max_response_bytes).await.map_err(WebhookError::from_http)?;
        Ok(WebhookResponse { status, body })
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

async fn read_body(mut response: reqwest::Response, limit: usize) -> reqwest::Result<Body> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(Body::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(body.freeze()))
}

impl WebhookError {
    fn from_http(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_builder() {
            Self::InvalidUrl
        } else if error.is_connect() {
            Self::Unreachable(root_cause(&error))
        } else {
            Self::Interrupted(root_cause(&error))
        }
    }
}

/// The innermost cause; the messages around it repeat the variant.
fn root_cause(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "unknown cause".to_owned() };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// How much of names and URLs is kept, in characters.
const MAX_SHOWN_CHARS: usize = 256;

/// A webhook request that was sent, for the log and the control API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookRecord {
    pub(crate) category: &'static str,
    /// `connected`, `disconnected`, or a hub method as its client spells it; truncated.
    pub(crate) event: String,
    /// The URL without its query, which may hold a function key; truncated. `None` if there was none.
    pub(crate) url: Option<String>,
    pub(crate) outcome: WebhookOutcome,
    /// From the event to the last byte of the response, time in the queue included.
    pub(crate) took: Duration,
}

/// The outcome of a webhook request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WebhookOutcome {
    /// The status of the response.
    Answered(u16),
    Failed(WebhookError),
}

impl WebhookOutcome {
    /// Whether the upstream accepted the event.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }

    /// What the status usually means if the upstream is a Functions host, as the end of a sentence.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Answered(401) => " (does the upstream have an access key of this service in its connection string?)",
            Self::Answered(403) => " (has the function of this event failed?)",
            Self::Answered(404) => " (is there a function for this hub, category and event?)",
            _ => "",
        }
    }
}

impl fmt::Display for WebhookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "answered {status}"),
            Self::Failed(failure) => write!(f, "{failure}"),
        }
    }
}

/// The first characters of a text that a client chose.
pub(super) fn truncate(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => [&name[..end], "…"].concat(),
        None => name.to_owned(),
    }
}

/// The URL without its query, truncated, since it may contain the name of an event.
pub(super) fn redact_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    truncate(url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_truncated_between_characters() {
        assert_eq!(truncate("größer"), "größer");
        assert_eq!(truncate(&"ü".repeat(MAX_SHOWN_CHARS)), "ü".repeat(MAX_SHOWN_CHARS));
        assert_eq!(truncate(&"ü".repeat(1 << 20)), ["ü".repeat(MAX_SHOWN_CHARS).as_str(), "…"].concat());
    }

    #[test]
    fn a_url_is_shown_without_its_query() {
        let url = Url::parse("http://h:7071/api/x?code=hush").unwrap();
        assert_eq!(redact_url(&url), "http://h:7071/api/x");
    }

    #[test]
    fn defect_13_the_usual_causes_are_named() {
        assert!(WebhookOutcome::Answered(401).hint().contains("access key"));
        assert!(WebhookOutcome::Answered(404).hint().contains("function"));
        assert!(WebhookOutcome::Answered(403).hint().contains("function"));
        assert_eq!(WebhookOutcome::Failed(WebhookError::TimedOut).hint(), "");
    }
}
