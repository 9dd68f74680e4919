//! Identities in a blob container.

use std::time::Duration;

use azure_communication::Endpoint;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::{BackoffConfig, RetryConfig};

use super::{Identities, transport};
use crate::config::{Caller, Container};

/// What lasts longer is the caller's business.
const MOST_RETRIES: usize = 3;
/// No try begins later than this after the first.
const PATIENCE: Duration = Duration::from_secs(5);

impl Identities {
    /// Those of `resource` in `container`. Nothing is asked for yet.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built here.
    pub fn in_container(container: &Container, resource: &Endpoint) -> Result<Self, object_store::Error> {
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(1), ..Default::default() };
        let builder = MicrosoftAzureBuilder::new()
            .with_http_connector(transport::OurClients)
            .with_retry(RetryConfig { backoff, max_retries: MOST_RETRIES, retry_timeout: PATIENCE })
            .with_endpoint(container.endpoint.as_str().trim_end_matches('/').to_owned())
            .with_account(&container.account)
            .with_container_name(&container.name);
        let builder = match &container.caller {
            Caller::Key(key) => builder.with_credential_type("access_key").with_access_key(key.expose()),
            Caller::AzureCli => builder.with_credential_type("azure_cli"),
            Caller::ManagedIdentity { endpoint, client_id } => {
                let builder = builder.with_credential_type("managed_identity").with_msi_endpoint(endpoint);
                client_id.iter().fold(builder, |builder, id| builder.with_client_id(id))
            }
        };
        Ok(Self::new(builder.build()?, resource))
    }
}
