//! What the error responses of Azure Storage mean for the log: <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>.

use std::error::Error as StdError;
use std::iter::successors;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers, RETRY_AFTER};
use azure_credentials::TokenError;

use super::store::StoreError;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
/// The longest code that is logged. Those of Azure Storage have at most 50 characters.
const MAX_CODE_CHARS: usize = 80;

/// The error of a call that failed. It contains no part of an address.
pub(super) fn store_error(error: &azure_core::Error) -> StoreError {
    match error.kind() {
        ErrorKind::HttpResponse { status, raw_response, .. } => {
            let headers = raw_response.as_ref().map(|response| response.headers());
            from_response(u16::from(*status), headers.unwrap_or(&Headers::new()))
        }
        // Nothing was sent. What is wrong with the identity is logged where it is asked.
        ErrorKind::Credential if is_permanent(error) => StoreError::Rejected("no token of the identity".to_owned()),
        // Also a response that cannot be read: the call may have been carried out.
        _ => StoreError::Unknown,
    }
}

/// Whether there will be no token without a change of the configuration.
fn is_permanent(error: &azure_core::Error) -> bool {
    successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source())
        .find_map(|error| error.downcast_ref::<TokenError>())
        .is_some_and(|error| !error.is_retryable())
}

/// Decides by the code; by the status only where there is no code that the log knows.
fn from_response(status: u16, headers: &Headers) -> StoreError {
    let code = headers.get_optional_str(&ERROR_CODE);
    match (code, status) {
        (Some("BlobAlreadyExists"), _) => StoreError::AlreadyExists,
        (Some("AppendPositionConditionNotMet"), _) => StoreError::AppendPositionConditionNotMet,
        (Some("BlobIsSealed"), _) => StoreError::BlobIsSealed,
        (Some("BlockCountExceedsLimit"), _) => StoreError::BlockCountExceedsLimit,
        (Some("BlobNotFound"), _) => StoreError::BlobNotFound,
        (_, 429) => StoreError::Throttled(retry_after(headers)),
        // 412 without a code of the log: the client reads a blob in two requests, and it has changed in between.
        (Some("ConditionNotMet"), _) | (_, 408 | 500..) => StoreError::Unknown,
        (Some(code), _) if is_code(code) => StoreError::Rejected(code.to_owned()),
        _ => StoreError::Rejected(format!("status {status}")),
    }
}

/// Whether a text looks like a code. A proxy can send any text, and only a code is logged.
fn is_code(code: &str) -> bool {
    (1..=MAX_CODE_CHARS).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn retry_after(headers: &Headers) -> Option<Duration> {
    headers.get_optional_str(&RETRY_AFTER)?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use azure_core::Error;

    use super::*;

    fn response(status: u16, code: Option<&'static str>) -> StoreError {
        let mut headers = Headers::new();
        if let Some(code) = code {
            headers.insert(ERROR_CODE, code);
        }
        headers.insert(RETRY_AFTER, "2");
        from_response(status, &headers)
    }

    #[test]
    fn the_code_decides_and_not_the_status() {
        let rejected = |code: &str| StoreError::Rejected(code.to_owned());
        for (status, code, expected) in [
            (409, Some("BlobAlreadyExists"), StoreError::AlreadyExists),
            (412, Some("AppendPositionConditionNotMet"), StoreError::AppendPositionConditionNotMet),
            (409, Some("BlobIsSealed"), StoreError::BlobIsSealed),
            (409, Some("BlockCountExceedsLimit"), StoreError::BlockCountExceedsLimit),
            (404, Some("BlobNotFound"), StoreError::BlobNotFound),
            (404, Some("ContainerNotFound"), rejected("ContainerNotFound")),
            (404, None, rejected("status 404")),
            (409, Some("InvalidBlobType"), rejected("InvalidBlobType")),
            (409, Some("ContainerBeingDeleted"), rejected("ContainerBeingDeleted")),
            (403, Some("AuthorizationPermissionMismatch"), rejected("AuthorizationPermissionMismatch")),
            (403, Some("sig=hush&"), rejected("status 403")),
            (412, Some("ConditionNotMet"), StoreError::Unknown),
            (429, None, StoreError::Throttled(Some(Duration::from_secs(2)))),
            (408, None, StoreError::Unknown),
            (500, Some("InternalError"), StoreError::Unknown),
            (500, Some("OperationTimedOut"), StoreError::Unknown),
            (503, Some("ServerBusy"), StoreError::Unknown),
            (502, None, StoreError::Unknown),
        ] {
            assert_eq!(response(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn without_a_response_the_outcome_is_unknown() {
        for kind in [ErrorKind::Connection, ErrorKind::Io, ErrorKind::Other, ErrorKind::Credential] {
            assert_eq!(store_error(&Error::with_message(kind, "hush")), StoreError::Unknown);
        }
    }
}
