//! Tokens for an identity, from whoever gives them out.
//!
//! Nothing of an answer is repeated in an error but its status and the numbers of its error code: the words can hold anything.

use std::iter::successors;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use azure_core::credentials::{Secret as AzureSecret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential,
    AzureDeveloperCliCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};

use crate::identity::{Identity, Source};
use crate::keeper::Fetch;
use crate::kept::Kept;
use crate::no_token::{NoToken, Why};
use crate::tokens::Token;
use crate::transport::OurClient;

/// For one try, all steps of it: `az` alone takes seconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// Further requests within one try, for a platform that has just started and for what lasts a moment. What lasts longer is the next
/// try's business.
const QUICK_RETRIES: u32 = 2;

/// Gets tokens.
pub(crate) struct Credentials {
    identity: Identity,
    scope: &'static str,
    name: String,
    http: reqwest::Client,
    /// Made when they are first asked, which is not on the way of a process that starts.
    credentials: OnceLock<azure_core::Result<Vec<Arc<dyn TokenCredential>>>>,
}

impl Credentials {
    pub(crate) fn new(identity: &Identity, scope: &'static str, http: &reqwest::Client) -> Self {
        let name = format!("a Microsoft Entra token for {}", audience(scope));
        Self { identity: identity.clone(), scope, name, http: http.clone(), credentials: OnceLock::new() }
    }

    async fn ask(&self) -> Result<Kept<Token>, Why> {
        let mut why = Why::Failed;
        let credentials = self.credentials.get_or_init(|| credentials(&self.identity, &self.http));
        for credential in credentials.as_ref().map_err(reason)? {
            match credential.get_token(&[self.scope], None).await {
                Ok(token) => {
                    let (now, expires_at) = (SystemTime::now(), SystemTime::from(token.expires_on));
                    return Ok(Kept::token(Token::new(token.token.secret()), now, expires_at));
                }
                Err(error) => why = reason(&error),
            }
        }
        Err(why)
    }
}

impl Fetch for Credentials {
    type Value = Token;
    type Error = NoToken;

    fn name(&self) -> &str {
        &self.name
    }

    async fn fetch(&self) -> Result<Kept<Token>, NoToken> {
        let outcome = tokio::time::timeout(DEADLINE, self.ask()).await.unwrap_or(Err(Why::TimedOut));
        outcome.map_err(|why| NoToken::new(self.identity.issuer(), why))
    }
}

/// The service that a scope is for, as people write it.
fn audience(scope: &str) -> &str {
    scope.strip_suffix("/.default").unwrap_or(scope).trim_end_matches('/')
}

/// In the order they are asked.
fn credentials(
    identity: &Identity,
    http: &reqwest::Client,
) -> azure_core::Result<Vec<Arc<dyn TokenCredential>>> {
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(OurClient(http.clone())))),
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            max_retries: QUICK_RETRIES,
            ..Default::default()
        }),
        ..Default::default()
    };
    Ok(match identity.0.clone() {
        Source::ManagedIdentity { client_id } => {
            let user_assigned_id = client_id.map(UserAssignedId::ClientId);
            let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
            vec![ManagedIdentityCredential::new(Some(options))?]
        }
        Source::Application { client_id, tenant_id, client_secret } => {
            let secret = AzureSecret::new(client_secret.expose().to_owned());
            let options = ClientSecretCredentialOptions { client_options };
            vec![ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options))?]
        }
        // What `DeveloperToolsCredential` does, which cannot be told a tenant.
        Source::DeveloperTools { tenant_id } | Source::Open { tenant_id, .. } => {
            let az = AzureCliCredentialOptions { tenant_id: tenant_id.clone(), ..Default::default() };
            let azd = AzureDeveloperCliCredentialOptions { tenant_id, ..Default::default() };
            vec![AzureCliCredential::new(Some(az))?, AzureDeveloperCliCredential::new(Some(azd))?]
        }
    })
}

/// The first cause that says more than "failed".
fn reason(error: &azure_core::Error) -> Why {
    successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
        .filter_map(|error| error.downcast_ref::<azure_core::Error>())
        .find_map(|error| match error.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                let code = error_code.as_deref().filter(|code| is_numbers(code));
                Some(Why::Refused {
                    status: (*status).into(),
                    code: code.map(|code| format!("AADSTS{code}")),
                })
            }
            ErrorKind::Connection | ErrorKind::Io => Some(Why::Unreachable),
            _ => None,
        })
        .unwrap_or(Why::Failed)
}

fn is_numbers(code: &str) -> bool {
    (1..=40).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_after_the_service_it_is_for() {
        for (scope, expected) in [
            ("https://signalr.azure.com/.default", "https://signalr.azure.com"),
            ("https://communication.azure.com//.default", "https://communication.azure.com"),
            ("https://h/read", "https://h/read"),
        ] {
            assert_eq!(audience(scope), expected);
        }
    }
}
