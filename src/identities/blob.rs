//! Identities in a blob container.
//!
//! For a managed identity the library reads one variable itself, `IDENTITY_HEADER`, which the platform sets and its endpoint wants to hear; it is a
//! secret, and nothing else here has a use for it.

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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use axum::http::{HeaderMap, StatusCode, Uri};
    use axum::{Json, Router};
    use serde_json::json;
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;

    /// Serves `app` and says where.
    async fn serve(app: Router) -> Url {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", socket.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(axum::serve(socket, app).into_future());
        address
    }

    #[tokio::test]
    async fn with_a_managed_identity_the_container_gets_the_token_that_the_platform_gives() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let platform = serve(Router::new().fallback(async move |uri: Uri| {
            noted.lock().unwrap().push(uri.to_string());
            Json(json!({"access_token": "lent", "expires_on": "4000000000", "token_type": "Bearer"}))
        }));
        let storage = serve(Router::new().fallback(async |uri: Uri, headers: HeaderMap| {
            let is_right = headers["authorization"] == "Bearer lent" && uri.path().starts_with("/chat/h/");
            if is_right { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN }
        }));
        let container = Container {
            endpoint: storage.await,
            account: "account".to_owned(),
            name: "chat".to_owned(),
            caller: Caller::ManagedIdentity {
                endpoint: platform.await.join("token").unwrap().to_string(),
                client_id: Some("the-apps-own".to_owned()),
            },
        };
        let identities = Identities::in_container(&container, &"https://h/".parse().unwrap()).unwrap();
        for _ in 0..2 {
            assert!(identities.find("ann").await.unwrap().is_none());
        }
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        for part in ["/token?", "client_id=the-apps-own", "resource=https%3A%2F%2Fstorage.azure.com"] {
            assert!(asked[0].contains(part), "{asked:?}");
        }
    }
}
