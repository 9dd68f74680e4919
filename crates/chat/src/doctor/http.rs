//! Asking over HTTP: short patience, no redirects (where one leads is what is judged), no proxies, as the handler itself asks.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use azure_http::{HttpClient, HttpError, HttpOptions};
use azure_signalr::ConnectionString;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};

/// Longer than a TCP handshake takes with one lost packet.
const CONNECT: Duration = Duration::from_secs(3);
/// For a whole answer. An app that starts from nothing takes a few seconds.
pub(super) const WHOLE: Duration = Duration::from_secs(10);
/// More than any answer has that is judged.
const LARGEST_BODY: usize = 64 * 1024;

/// A client that trusts Mozilla's roots, and those the settings of the service name.
///
/// # Errors
/// When none can be built here.
pub(super) fn client(service: Option<&ConnectionString>) -> Result<Client, HttpError> {
    let roots = service.map(ConnectionString::roots).cloned().unwrap_or_default();
    let user_agent = Some(concat!("serverless-chat-doctor/", env!("CARGO_PKG_VERSION")));
    let options = HttpOptions { roots, connect_timeout: CONNECT, timeout: Some(WHOLE), user_agent };
    Ok(HttpClient::new(&options)?.as_reqwest().clone())
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The one value of a header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// An answer for tests of those who judge.
#[cfg(test)]
pub(super) fn answer(status: u16, headers: &[(&'static str, &str)], body: &serde_json::Value) -> Answer {
    use reqwest::header::{HeaderName, HeaderValue};

    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    Answer { status, headers: headers.collect(), body: body.to_string().into_bytes() }
}

/// Why there is no answer. It says nothing of the address, which may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    NoSuchName,
    NobodyListens,
    CertificateNotTrusted,
    TooSlow,
    Broken,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchName => "there is no such name",
            Self::NobodyListens => "nobody listens there",
            Self::CertificateNotTrusted => "its certificate is not to be trusted",
            Self::TooSlow => "there is no answer within ten seconds",
            Self::Broken => "the connection breaks before there is an answer",
        })
    }
}

impl From<reqwest::Error> for Silence {
    fn from(error: reqwest::Error) -> Self {
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        let known = causes.find_map(|cause| {
            if is_about_certificate(cause) {
                return Some(Self::CertificateNotTrusted);
            }
            match cause.downcast_ref::<io::Error>() {
                Some(io) => (io.kind() == io::ErrorKind::ConnectionRefused).then_some(Self::NobodyListens),
                // The connector keeps this one's type to itself.
                None => (cause.to_string() == "dns error").then_some(Self::NoSuchName),
            }
        });
        known.unwrap_or(if error.is_timeout() { Self::TooSlow } else { Self::Broken })
    }
}

/// An I/O error's own cause does not count among its sources, so it is looked for inside.
fn is_about_certificate(cause: &(dyn std::error::Error + 'static)) -> bool {
    match (cause.downcast_ref::<io::Error>(), cause.downcast_ref::<rustls::Error>()) {
        (Some(io), _) => io.get_ref().is_some_and(|inside| is_about_certificate(inside)),
        (None, tls) => matches!(tls, Some(rustls::Error::InvalidCertificate(_))),
    }
}

/// Asks, and reads what belongs to the judgement of the answer.
///
/// # Errors
/// When there is no answer.
pub(super) async fn ask(request: RequestBuilder) -> Result<Answer, Silence> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_BODY {
            break;
        }
    }
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
}
