//! `CredentialSource`: which Microsoft Entra identity a process uses, and where its tokens come from.
//!
//! Client and tenant ids are not secret; a client secret is, and is never printed.

use azure_http::Secret;

/// Where the tokens of a Microsoft Entra identity come from.
///
/// Client and tenant ids are 1 to 100 letters, digits, `-` and `.`, which fits every id and every domain name.
///
/// ```
/// use azure_credentials::CredentialSource;
///
/// let source = CredentialSource::managed_identity(None)?;
/// assert!(source.is_managed_identity());
/// # Ok::<_, azure_credentials::CredentialSourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSource(pub(crate) Source);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A managed identity on Azure, developer tools elsewhere; not yet decided.
    Automatic { client_id: Option<String>, tenant_id: Option<String> },
    /// The system-assigned managed identity, or a user-assigned one by its client id.
    ManagedIdentity { client_id: Option<String> },
    /// An application registration with a client secret.
    Application { client_id: String, tenant_id: String, client_secret: Secret },
    /// `az` or `azd`, where a developer has signed in.
    DeveloperTools { tenant_id: Option<String> },
}

impl CredentialSource {
    /// A managed identity on Azure, the developer's tools (`az`, `azd`) elsewhere.
    ///
    /// `client_id` selects a user-assigned managed identity, `tenant_id` the tenant that the developer is signed in to.
    /// [`on_azure`](Self::on_azure) decides between the two.
    ///
    /// # Errors
    ///
    /// [`CredentialSourceError`] when an id is malformed.
    pub fn automatic(client_id: Option<&str>, tenant_id: Option<&str>) -> Result<Self, CredentialSourceError> {
        let client_id = client_id.map(checked_client_id).transpose()?;
        let tenant_id = tenant_id.map(checked_tenant_id).transpose()?;
        Ok(Self(Source::Automatic { client_id, tenant_id }))
    }

    /// The app's system-assigned managed identity, or with a client id a user-assigned one.
    ///
    /// # Errors
    ///
    /// [`CredentialSourceError`] when the id is malformed.
    pub fn managed_identity(client_id: Option<&str>) -> Result<Self, CredentialSourceError> {
        let client_id = client_id.map(checked_client_id).transpose()?;
        Ok(Self(Source::ManagedIdentity { client_id }))
    }

    /// An application registration with a client secret.
    ///
    /// # Errors
    ///
    /// [`CredentialSourceError`] when an id is malformed or the secret is empty.
    pub fn application(client_id: &str, tenant_id: &str, client_secret: &str) -> Result<Self, CredentialSourceError> {
        if client_secret.is_empty() {
            return Err(CredentialSourceError::MissingClientSecret);
        }
        Ok(Self(Source::Application {
            client_id: checked_client_id(client_id)?,
            tenant_id: checked_tenant_id(tenant_id)?,
            client_secret: Secret::new(client_secret),
        }))
    }

    /// Whether this is a managed identity, whose tokens come from the Azure platform.
    pub fn is_managed_identity(&self) -> bool {
        matches!(self.0, Source::ManagedIdentity { .. })
    }

    /// Decides an [`automatic`](Self::automatic) source; others stay as they are. Undecided, developer tools are used.
    #[must_use]
    pub fn on_azure(self, on_azure: bool) -> Self {
        Self(match self.0 {
            Source::Automatic { client_id, .. } if on_azure => Source::ManagedIdentity { client_id },
            Source::Automatic { tenant_id, .. } => Source::DeveloperTools { tenant_id },
            decided => decided,
        })
    }
}

/// What is wrong with the description of a credential source. The message does not repeat any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialSourceError {
    /// The client id is malformed.
    #[error("the client id must be that of an identity or application: letters, digits and dashes")]
    InvalidClientId,
    /// The tenant is neither an id nor a domain name.
    #[error("the tenant must be its id or its domain name")]
    InvalidTenantId,
    /// The client secret of an application is empty.
    #[error("an application needs its client secret")]
    MissingClientSecret,
}

fn checked_client_id(id: &str) -> Result<String, CredentialSourceError> {
    checked_id(id).ok_or(CredentialSourceError::InvalidClientId)
}

fn checked_tenant_id(id: &str) -> Result<String, CredentialSourceError> {
    checked_id(id).ok_or(CredentialSourceError::InvalidTenantId)
}

/// Rejects everything that could have a meaning in a URL or on a command line.
fn checked_id(text: &str) -> Option<String> {
    let valid = (1..=100).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_automatic_source_is_a_managed_identity_on_azure_and_developer_tools_elsewhere() {
        let automatic = CredentialSource::automatic(Some("c"), Some("t")).unwrap();
        let managed = CredentialSource::managed_identity(Some("c")).unwrap();
        assert_eq!(automatic.clone().on_azure(true), managed);
        let developer = Source::DeveloperTools { tenant_id: Some("t".to_owned()) };
        assert_eq!(automatic.on_azure(false).0, developer);
    }

    #[test]
    fn an_explicit_source_is_the_same_on_azure_and_elsewhere() {
        let managed = CredentialSource::managed_identity(None).unwrap();
        let application = CredentialSource::application("c", "t", "s").unwrap();
        for source in [managed, application] {
            assert_eq!([true, false].map(|azure| source.clone().on_azure(azure)), [source.clone(), source]);
        }
    }

    #[test]
    fn an_id_cannot_change_a_url_or_a_command_line() {
        for id in ["", "a/b", "-a", ".", "a b", "a;b", "a&b", "$(a)", "ä", &"a".repeat(101)] {
            assert!(CredentialSource::managed_identity(Some(id)).is_err(), "{id}");
            assert!(CredentialSource::automatic(None, Some(id)).is_err(), "{id}");
        }
        CredentialSource::application("11111111-2222-3333-4444-555555555555", "contoso.com", "s").unwrap();
    }

    #[test]
    fn a_client_secret_is_not_printed() {
        let source = CredentialSource::application("c", "t", "hush").unwrap();
        assert!(!format!("{source:?}").contains("hush"));
    }
}
