//! How a blob container of the settings is called: its address, credential and HTTP client, for the official client.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, RetryOptions, Url};
use azure_credentials::{TokenCache, transport};
use azure_http::{ATTEMPT_TIMEOUT, HttpClient, HttpOptions};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};

use crate::config::{Container, ContainerAccess};

/// The scope that the official client requests tokens for.
pub(crate) const SCOPE: &str = "https://storage.azure.com/.default";

/// What a client of a container is made of. It is not printed: the query of `url` may be a SAS.
pub(crate) struct ContainerConnection {
    pub(crate) url: Url,
    /// `None` with a SAS.
    pub(crate) credential: Option<Arc<dyn TokenCredential>>,
    pub(crate) client_options: ClientOptions,
}

impl ContainerConnection {
    /// The connection to `container`, which is not called yet. With an identity, its first token is requested at once. Longer responses than
    /// `max_response_bytes` fail.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built.
    ///
    /// # Panics
    ///
    /// With an identity, outside a tokio runtime.
    pub(crate) fn new(
        container: &Container,
        retry: RetryOptions,
        max_response_bytes: usize,
    ) -> azure_core::Result<Self> {
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
                Some(Arc::new(tokens) as Arc<dyn TokenCredential>)
            }
        };
        let transport = Some(transport(&http, ATTEMPT_TIMEOUT, max_response_bytes));
        Ok(Self { url, credential, client_options: ClientOptions { transport, retry, ..Default::default() } })
    }

    /// The official client.
    ///
    /// # Errors
    ///
    /// If the address cannot be used.
    pub(crate) fn client(self) -> azure_core::Result<BlobContainerClient> {
        let options = BlobContainerClientOptions { client_options: self.client_options, ..Default::default() };
        BlobContainerClient::new(self.url, self.credential, Some(options))
    }
}
