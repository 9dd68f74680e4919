#![doc = include_str!("../README.md")]

mod address;
mod client;
mod clock;
mod connection_string;
mod retry;
mod secret;

pub use address::{is_encrypted_or_local, is_loopback, join_segments, parse_base_url};
pub use client::{
    Connection, HttpClient, HttpError, HttpErrorKind, HttpOptions, MAX_RETRY_AFTER, Request, Response,
    RootCertificates, RootCertificatesError,
};
pub use clock::ClockDifference;
pub use connection_string::{ConnectionProperties, DuplicateProperty};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
pub use retry::{ATTEMPT_TIMEOUT, CALL_TIMEOUT, Failure, MAX_ATTEMPTS, Retry, RetryState, retry_delay};
pub use secret::Secret;
