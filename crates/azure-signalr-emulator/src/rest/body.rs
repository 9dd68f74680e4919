//! Bodies of calls: read whole, and never more than there may be.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use bytes::BytesMut;
use futures_util::StreamExt as _;

use crate::refusal::Refusal;

/// Largest body of a call, in bytes.
const LARGEST: usize = 1 << 20;

/// How much of a body that is too large is still read, in bytes. A caller that is cut off while it sends sees a broken
/// connection instead of the answer.
const READ_TO_ANSWER: usize = 16 << 20;

/// Reads the whole body, in pieces or not.
pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut read, mut whole) = (0, BytesMut::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::invalid("payload", "the body broke off"))?;
        read += chunk.len();
        if read <= LARGEST {
            whole.extend_from_slice(&chunk);
        } else {
            whole = BytesMut::new();
        }
        if read > READ_TO_ANSWER {
            break;
        }
    }
    if read <= LARGEST {
        return Ok(whole.freeze());
    }
    let message = format!("the body is larger than {LARGEST} bytes");
    Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message))
}
