//! The identity store in a blob container of Azure Storage, over the official client.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use azure_communication::Endpoint;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RequestContent, RetryOptions};
use azure_credentials::{TokenCache, transport};
use azure_http::{ATTEMPT_TIMEOUT, CALL_TIMEOUT, HttpClient, HttpOptions};
use azure_storage_blob::models::{BlobClientDownloadOptions, BlockBlobClientUploadOptions};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use tokio::time::timeout;

use super::{FileStore, IdentityStore, MAX_FILE_BYTES, StoreError, StoredFile};
use crate::config::{Container, ContainerAccess};

/// The scope that the official client requests tokens for.
const SCOPE: &str = "https://storage.azure.com/.default";

const MAX_RETRIES: u32 = 3;
/// No retry starts later than this after the first attempt, in seconds.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

impl IdentityStore {
    /// The identities of `resource` in `container`. With an identity, its first token is requested at once.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built.
    ///
    /// # Panics
    ///
    /// With an identity, outside a tokio runtime.
    pub fn in_container(container: &Container, resource: &Endpoint) -> azure_core::Result<Self> {
        let options = HttpOptions { roots: container.roots.clone(), ..HttpOptions::default() };
        let http = HttpClient::new(&options)
            .map_err(|error| azure_core::Error::with_error(ErrorKind::Other, error, "no HTTP client"))?;
        let mut url = container.url.clone();
        let credential = match &container.access {
            ContainerAccess::Sas(sas) => {
                url.set_query(Some(sas.expose()));
                None
            }
            ContainerAccess::Identity(source) => {
                let tokens = TokenCache::new(source, SCOPE, &http);
                tokens.warm_up();
                Some(std::sync::Arc::new(tokens) as _)
            }
        };
        let retry = ExponentialRetryOptions {
            max_retries: MAX_RETRIES,
            max_total_elapsed: RETRY_TIMEOUT.try_into().expect("a few seconds"),
            max_delay: MAX_RETRY_DELAY.try_into().expect("a second"),
            ..Default::default()
        };
        let client_options = ClientOptions {
            transport: Some(transport(&http, ATTEMPT_TIMEOUT)),
            retry: RetryOptions::exponential(retry),
            ..Default::default()
        };
        let options = BlobContainerClientOptions { client_options, ..Default::default() };
        Ok(Self::new(BlobStore(BlobContainerClient::new(url, credential, Some(options))?), resource))
    }
}

struct BlobStore(BlobContainerClient);

/// Shows nothing: the address of the container may contain a SAS.
impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobStore(***)")
    }
}

impl BlobStore {
    async fn call<T>(
        &self,
        name: &str,
        call: impl AsyncFnOnce(BlobClient) -> azure_core::Result<T>,
    ) -> Result<T, Refusal> {
        match timeout(CALL_TIMEOUT, call(self.0.blob_client(name))).await {
            Ok(outcome) => outcome.map_err(|error| Refusal::from(&error)),
            Err(_late) => Err(Refusal::Other(StoreError::Unreachable)),
        }
    }

    async fn upload(
        &self,
        name: &str,
        content: Vec<u8>,
        options: BlockBlobClientUploadOptions<'static>,
    ) -> Result<(), StoreError> {
        let content = RequestContent::from(content);
        let uploaded = self.call(name, async |blob| blob.upload(content, Some(options)).await).await;
        uploaded.map(drop).map_err(|refusal| match refusal {
            Refusal::NoBlob => StoreError::NoContainer,
            Refusal::Other(error) => error,
        })
    }
}

#[async_trait]
impl FileStore for BlobStore {
    async fn get(&self, name: &str) -> Result<Option<StoredFile>, StoreError> {
        let options =
            BlobClientDownloadOptions { range: Some((..=MAX_FILE_BYTES).into()), ..Default::default() };
        let downloaded = self.call(name, async |blob| {
            let blob = blob.download(Some(options)).await?;
            let etag = blob.properties.etag.map(|etag| etag.to_string());
            Ok(StoredFile { content: blob.body.collect().await?.to_vec(), etag })
        });
        match downloaded.await {
            Ok(file) => Ok(Some(file)),
            Err(Refusal::NoBlob) => Ok(None),
            Err(Refusal::Other(error)) => Err(error),
        }
    }

    async fn put_if_absent(&self, name: &str, content: Vec<u8>) -> Result<(), StoreError> {
        let options = BlockBlobClientUploadOptions { if_none_match: Some("*".into()), ..Default::default() };
        self.upload(name, content, options).await
    }

    async fn replace_if_unchanged(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: &StoredFile,
    ) -> Result<(), StoreError> {
        let etag = previous.etag.clone().ok_or(StoreError::Failed)?;
        let options = BlockBlobClientUploadOptions { if_match: Some(etag.into()), ..Default::default() };
        self.upload(name, content, options).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.call(name, async |blob| blob.delete(None).await).await {
            Ok(_) | Err(Refusal::NoBlob) => Ok(()),
            Err(Refusal::Other(error)) => Err(error),
        }
    }
}

/// An error response, told apart by status and `x-ms-error-code`.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// 404, and the container was not named as what is missing.
    NoBlob,
    Other(StoreError),
}

impl From<&azure_core::Error> for Refusal {
    fn from(error: &azure_core::Error) -> Self {
        Self::Other(match error.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                return Self::of(u16::from(*status), error_code.as_deref());
            }
            ErrorKind::Credential => StoreError::NoToken,
            ErrorKind::Connection | ErrorKind::Io => StoreError::Unreachable,
            _ => StoreError::Failed,
        })
    }
}

impl Refusal {
    fn of(status: u16, code: Option<&str>) -> Self {
        Self::Other(match (status, code) {
            (404, Some("ContainerNotFound")) => StoreError::NoContainer,
            (404, _) => return Self::NoBlob,
            (401 | 403, _) => StoreError::Denied,
            (409, None | Some("BlobAlreadyExists")) | (412, _) => StoreError::Conflict,
            _ => StoreError::Failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_responses_are_told_apart_by_status_and_code() {
        for (status, code, expected) in [
            (404, Some("BlobNotFound"), Refusal::NoBlob),
            (404, None, Refusal::NoBlob),
            (404, Some("ContainerNotFound"), Refusal::Other(StoreError::NoContainer)),
            (401, Some("NoAuthenticationInformation"), Refusal::Other(StoreError::Denied)),
            (403, Some("AuthorizationPermissionMismatch"), Refusal::Other(StoreError::Denied)),
            (409, Some("BlobAlreadyExists"), Refusal::Other(StoreError::Conflict)),
            (409, Some("ContainerBeingDeleted"), Refusal::Other(StoreError::Failed)),
            (412, Some("ConditionNotMet"), Refusal::Other(StoreError::Conflict)),
            (500, Some("InternalError"), Refusal::Other(StoreError::Failed)),
        ] {
            assert_eq!(Refusal::of(status, code), expected, "{status} {code:?}");
        }
    }
}
