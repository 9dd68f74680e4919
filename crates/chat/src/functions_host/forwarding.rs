//! What the Functions host changes or refuses on the way of a request to the app and of the response back, as seen on a real host.
//!
//! The host forwards in one of two ways: by `enableForwardingHttpRequest`, and in newer versions by `enableProxyingHttpRequest`. The
//! limits and the treatment of headers are those of both, the query is that of the first, which changes more: what works here works in
//! both. Refusals have a body that says why; those of the host are empty.

use std::net::IpAddr;
use std::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::responses::error_response;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");

/// Headers of a single connection, which are never forwarded.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The limits of Kestrel, the web server of the host.
const MAX_REQUEST_LINE_BYTES: usize = 8_192;
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 32 * 1_024;

/// The host's limit of a body.
const MAX_BODY_BYTES: u64 = 100 * 1_024 * 1_024;

/// The most of a body that may be unread when the response comes: the handler's server reads and discards as much before it responds
/// ([`http_server::Limits::max_discarded_bytes`]). Here the server of `chat` does so.
const MAX_UNREAD_BYTES: u64 = 8 << 20;

/// All characters but those that `UrlEncoder.Default` of .NET leaves as they are.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b':')
    .remove(b'@');

/// The response to a request that the host does not forward; `None` if it does.
pub(super) fn refuse(request: &Request) -> Option<Response> {
    let path_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if request.method().as_str().len() + path_bytes + " HTTP/1.1\r\n".len() + 1 > MAX_REQUEST_LINE_BYTES {
        return Some(refusal(StatusCode::URI_TOO_LONG, "url_too_long", "takes addresses of at most 8 KB"));
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let reason = "takes at most 100 headers, of 32 KB together";
        return Some(refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", reason));
    }
    if let Some((name, value)) = headers.iter().find(|(_, value)| !value.as_bytes().is_ascii()) {
        // It reads headers as UTF-8, and writes them as ASCII.
        let is_utf8 = str::from_utf8(value.as_bytes()).is_ok();
        let status = if is_utf8 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        return Some(refusal(status, "header_not_ascii", &format!("cannot forward `{name}`: its value is not ASCII")));
    }
    if content_length(headers) > MAX_BODY_BYTES {
        return Some(refusal(StatusCode::INTERNAL_SERVER_ERROR, "too_large", "takes bodies of at most 100 MiB"));
    }
    None
}

fn refusal(status: StatusCode, code: &str, reason: &str) -> Response {
    tracing::warn!(status = status.as_u16(), "the Functions host did not forward a request: it {reason}");
    error_response(status, code, &format!("The Functions host {reason}."))
}

fn content_length(headers: &HeaderMap) -> u64 {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Changes a request as the host does: `invocation` is its id, `peer` the address of the caller.
pub(super) fn rewrite_request(request: &mut Request, invocation: Uuid, peer: IpAddr) {
    rewrite_headers(request.headers_mut(), invocation, peer);
    if let Some(query) = request.uri().query() {
        let path_and_query = [request.uri().path(), &rewrite_query(query)].concat();
        let path_and_query = path_and_query.parse::<PathAndQuery>().expect("a valid path and an encoded query");
        *request.uri_mut() = Uri::from(path_and_query);
    }
}

/// Replaces the forwarding headers, which a caller could forge, and appends the invocation id to what the caller sent under that name.
fn rewrite_headers(headers: &mut HeaderMap, invocation: Uuid, peer: IpAddr) {
    remove_hop_by_hop(headers);
    headers.remove(header::FORWARDED);
    headers.remove(FORWARDED_HOST);
    if let Some(host) = headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1")) {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_FOR, ascii(&peer.to_string()));
    let theirs = headers.get_all(INVOCATION_ID).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<_> = theirs.map(str::to_owned).chain([invocation.to_string()]).collect();
    headers.insert(INVOCATION_ID, ascii(&all.join(", ")));
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("addresses, UUIDs and what was in a header are ASCII without control characters")
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The query with its question mark, parsed and written again. A parameter that is repeated, in any letter case, is one with all values,
/// separated by commas, in the letter case of the last.
fn rewrite_query(query: &str) -> String {
    let mut parameters: Vec<(String, Vec<String>)> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (decode(name), decode(value));
        match parameters.iter_mut().find(|(known, _)| known.to_lowercase() == name.to_lowercase()) {
            Some((known, values)) => {
                *known = name;
                values.push(value);
            }
            None => parameters.push((name, vec![value])),
        }
    }
    let encode = |text: &str| utf8_percent_encode(text, &ENCODED).to_string();
    let parameters = parameters.iter().map(|(name, values)| format!("{}={}", encode(name), encode(&values.join(","))));
    match &parameters.collect::<Vec<_>>()[..] {
        [] => String::new(),
        parameters => ["?", &parameters.join("&")].concat(),
    }
}

/// Decodes `+` and percent-encoded UTF-8. What is no UTF-8 stays percent-encoded.
fn decode(text: &str) -> String {
    let hex = |digit: u8| char::from(digit).to_digit(16);
    let mut decoded = String::new();
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = match *rest {
            [b'%', high, low, ref after @ ..] if let (Some(high), Some(low)) = (hex(high), hex(low)) => {
                bytes.push((high << 4 | low) as u8);
                after
            }
            [byte @ 0x80..=0xff, ref after @ ..] => {
                bytes.push(byte);
                after
            }
            _ => {
                for chunk in std::mem::take(&mut bytes).utf8_chunks() {
                    decoded.push_str(chunk.valid());
                    chunk.invalid().iter().for_each(|byte| decoded.push_str(&format!("%{byte:02X}")));
                }
                let Some((byte, after)) = rest.split_first() else { return decoded };
                decoded.push(if *byte == b'+' { ' ' } else { char::from(*byte) });
                after
            }
        }
    }
}

/// Counts how much of a body the app has read.
pub(super) struct ReadCounter {
    sent: u64,
    read: Arc<AtomicU64>,
}

impl ReadCounter {
    /// Counts the body of `request` from now on. A body without a length is not counted.
    pub(super) fn of(request: &mut Request) -> Self {
        let (sent, read) = (content_length(request.headers()), Arc::new(AtomicU64::new(0)));
        if sent > MAX_UNREAD_BYTES {
            let (body, counted) = (std::mem::take(request.body_mut()), read.clone());
            let count = move |chunk: &axum::body::Bytes| {
                counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            };
            *request.body_mut() = Body::from_stream(body.into_data_stream().inspect_ok(count));
        }
        Self { sent, read }
    }

    fn unread(&self) -> u64 {
        self.sent.saturating_sub(self.read.load(Ordering::Relaxed))
    }
}

/// Changes a response as the host does: it loses headers without a value. The response to a body of which more is unread than the handler
/// discards is an empty 500: the host is still sending the body. A real host loses some of these responses, here every one is lost.
pub(super) fn rewrite_response(mut response: Response, read: &ReadCounter) -> Response {
    if read.unread() > MAX_UNREAD_BYTES {
        let (status, unread) = (response.status().as_u16(), read.unread());
        tracing::warn!(status, unread, "the Functions host lost a response that came before the app had read the body");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    remove_hop_by_hop(response.headers_mut());
    let headers = std::mem::take(response.headers_mut());
    let mut last = None;
    for (name, value) in headers {
        last = name.or(last);
        if let Some(name) = last.clone().filter(|_| !value.is_empty()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::request::Builder;

    use super::*;

    fn refused(request: Builder) -> Option<u16> {
        refuse(&request.body(Body::empty()).unwrap()).map(|response| response.status().as_u16())
    }

    #[test]
    fn a_query_is_rewritten_as_the_host_rewrites_it() {
        for (query, expected) in [
            ("", ""),
            ("&", ""),
            ("a=1", "?a=1"),
            ("a=1&a=2", "?a=1,2"),
            ("a=1&b=2&a=3", "?a=1,3&b=2"),
            ("x=a%2Cb&x=c", "?x=a,b,c"),
            ("x=1&X=2", "?X=1,2"),
            ("flag", "?flag="),
            ("a=b+c%20d", "?a=b%20c%20d"),
            ("a=%C3%A9%c3", "?a=%C3%A9%25C3"),
            ("a=%zz&b=%&c=%4&d=%+1", "?a=%25zz&b=%25&c=%254&d=%25%201"),
            ("é=1&%C3%89=2", "?%C3%89=1,2"),
            ("code=a%2Bb%2Fc%3D%3D", "?code=a%2Bb%2Fc%3D%3D"),
            ("a=b=c", "?a=b%3Dc"),
            ("a=-._~!$()*,;:@", "?a=-._~!$()*,;:@"),
            ("forget=1", "?forget=1"),
        ] {
            assert_eq!(rewrite_query(query), expected, "{query}");
        }
    }

    #[test]
    fn long_addresses_and_large_headers_are_refused() {
        let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        let line_bytes = "POST  HTTP/1.1\r\n".len();
        assert_eq!(refused(Request::post(path(MAX_REQUEST_LINE_BYTES - line_bytes))), None);
        assert_eq!(refused(Request::post(path(MAX_REQUEST_LINE_BYTES - line_bytes + 1))), Some(414));
        let headers = |count: usize| {
            (0..count).fold(Request::post("/"), |request, number| request.header(format!("x-{number}"), "1"))
        };
        assert_eq!((refused(headers(100)), refused(headers(101))), (None, Some(431)));
        let header = |bytes: usize| Request::post("/").header("x", "a".repeat(bytes - "x: \r\n".len()));
        assert_eq!((refused(header(MAX_HEADER_BYTES)), refused(header(MAX_HEADER_BYTES + 1))), (None, Some(431)));
        let body = |bytes: u64| Request::post("/").header("content-length", bytes);
        assert_eq!((refused(body(MAX_BODY_BYTES)), refused(body(MAX_BODY_BYTES + 1))), (None, Some(500)));
    }

    #[test]
    fn a_header_that_is_not_ascii_is_refused() {
        for (value, expected) in [
            ("Zoe".as_bytes(), None),
            ("Zoë".as_bytes(), Some(500)),
            ("李".as_bytes(), Some(500)),
            (b"Zo\xeb", Some(400)),
            (b"\xff", Some(400)),
        ] {
            for name in ["x-ms-client-principal-name", "x-other"] {
                let value = HeaderValue::from_bytes(value).unwrap();
                assert_eq!(refused(Request::post("/").header(name, &value)), expected, "{name}: {value:?}");
            }
        }
    }
}
