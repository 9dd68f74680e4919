//! The HTTP client of the OpenTelemetry exporters.
//!
//! The SDK exports from threads without a runtime, so requests run in the app's. Failures are logged here, at most once in five minutes,
//! and not by the SDK, whose messages contain addresses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_http::{HttpClient as HttpsClient, HttpError as HttpsError, HttpOptions};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tracing::warn;

/// For one export.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Enough for a collector's report of what it rejected.
const MAX_RESPONSE_BYTES: usize = 64 * 1_024;
/// The least time between two log lines about failures.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
    logged_at: Arc<Mutex<Option<Instant>>>,
}

impl Client {
    pub(super) fn new(runtime: &Handle) -> Result<Self, HttpsError> {
        let options =
            HttpOptions { connect_timeout: CONNECT_TIMEOUT, timeout: Some(TIMEOUT), ..HttpOptions::default() };
        let http = HttpsClient::new(&options)?.as_reqwest().clone();
        Ok(Self { http, runtime: runtime.clone(), logged_at: Arc::default() })
    }

    fn log(&self, what: &dyn std::fmt::Display) {
        let now = Instant::now();
        let mut logged_at = self.logged_at.lock().unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|logged_at| now.duration_since(logged_at) >= LOG_INTERVAL) {
            *logged_at = Some(now);
            drop(logged_at);
            warn!("traces or metrics were not exported: the collector {what}");
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), request.try_into()?);
        let outcome = self.runtime.spawn(async move { read(http.execute(request).await?).await }).await?;
        match &outcome {
            Ok(response) if !response.status().is_success() => {
                self.log(&format_args!("answered {}", response.status().as_u16()));
            }
            Ok(_) => {}
            Err(error) => self.log(&if error.is_timeout() {
                "did not answer in time"
            } else if error.is_connect() {
                "cannot be reached"
            } else {
                "broke the connection"
            }),
        }
        Ok(outcome.map_err(reqwest::Error::without_url)?)
    }
}

async fn read(mut response: reqwest::Response) -> reqwest::Result<Response<Bytes>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await?
        && body.len() + chunk.len() <= MAX_RESPONSE_BYTES
    {
        body.extend_from_slice(&chunk);
    }
    let mut read = Response::new(body.into());
    *read.status_mut() = response.status();
    // How long to wait is among them.
    *read.headers_mut() = std::mem::take(response.headers_mut());
    Ok(read)
}
