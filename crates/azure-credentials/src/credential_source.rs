//! Who a process is, where it has no key.
//!
//! An identity says where tokens come from; it holds none. Ids of applications and tenants are no secrets, a client secret is.

use std::fmt;

use crate::identity_error::IdentityError;
use crate::secret::Secret;

/// An identity of Microsoft Entra ID. Ids are 1 to 100 letters, digits, `-` and `.`, which fits every id and every domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(pub(crate) Source);

/// Where the tokens of an identity come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not said: a managed identity on Azure, the developer's tools elsewhere.
    Open { client_id: Option<String>, tenant_id: Option<String> },
    /// The platform; the identity of the app itself, or a user-assigned one by its client id.
    ManagedIdentity { client_id: Option<String> },
    /// Microsoft Entra ID, for the secret of an application.
    Application { client_id: String, tenant_id: String, client_secret: Secret },
    /// `az` or `azd`, where a developer has signed in.
    DeveloperTools { tenant_id: Option<String> },
}

impl Identity {
    /// Leaves open which identity it is: on Azure a managed identity, with this client id if it is user-assigned; elsewhere the
    /// developer's tools, signed in to this tenant. [`on_azure`](Self::on_azure) says where we are.
    ///
    /// # Errors
    ///
    /// When an id is none.
    pub fn open(client_id: Option<&str>, tenant_id: Option<&str>) -> Result<Self, IdentityError> {
        let client_id = client_id.map(checked_client_id).transpose()?;
        let tenant_id = tenant_id.map(checked_tenant_id).transpose()?;
        Ok(Self(Source::Open { client_id, tenant_id }))
    }

    /// The managed identity of the app, or a user-assigned one by its client id.
    ///
    /// # Errors
    ///
    /// When the id is none.
    pub fn managed(client_id: Option<&str>) -> Result<Self, IdentityError> {
        let client_id = client_id.map(checked_client_id).transpose()?;
        Ok(Self(Source::ManagedIdentity { client_id }))
    }

    /// An application that is registered in a tenant, by its secret.
    ///
    /// # Errors
    ///
    /// When an id is none, or the secret is empty.
    pub fn application(client_id: &str, tenant_id: &str, client_secret: &str) -> Result<Self, IdentityError> {
        if client_secret.is_empty() {
            return Err(IdentityError::MissingClientSecret);
        }
        Ok(Self(Source::Application {
            client_id: checked_client_id(client_id)?,
            tenant_id: checked_tenant_id(tenant_id)?,
            client_secret: Secret::new(client_secret),
        }))
    }

    /// Whether it is a managed identity, whose tokens come from the platform.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        matches!(self.0, Source::ManagedIdentity { .. })
    }

    /// Says whether this process runs on Azure, which decides what was left open. Where nobody says it, this is elsewhere.
    #[must_use]
    pub fn on_azure(self, on_azure: bool) -> Self {
        Self(match self.0 {
            Source::Open { client_id, .. } if on_azure => Source::ManagedIdentity { client_id },
            Source::Open { tenant_id, .. } => Source::DeveloperTools { tenant_id },
            decided => decided,
        })
    }

    /// Whose tokens these are, for words.
    pub(crate) fn issuer(&self) -> Issuer {
        match self.0 {
            Source::ManagedIdentity { .. } => Issuer::ManagedIdentity,
            Source::Application { .. } => Issuer::Application,
            Source::DeveloperTools { .. } | Source::Open { .. } => Issuer::DeveloperTools,
        }
    }
}

/// Who gives out the tokens of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    ManagedIdentity,
    Application,
    DeveloperTools,
}

impl Issuer {
    /// What to do when there is no token.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::ManagedIdentity => {
                "turn on an identity for this app, or check the client id if it is a user-assigned one"
            }
            Self::Application => {
                "check the ids of application and tenant, and whether the secret has expired"
            }
            Self::DeveloperTools => "sign in with `az login` or `azd auth login`",
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManagedIdentity => "the managed identity endpoint",
            Self::Application => "Microsoft Entra ID",
            Self::DeveloperTools => "the developer's tools",
        })
    }
}

fn checked_client_id(id: &str) -> Result<String, IdentityError> {
    is_id(id).then(|| id.to_owned()).ok_or(IdentityError::InvalidClientId)
}

fn checked_tenant_id(id: &str) -> Result<String, IdentityError> {
    is_id(id).then(|| id.to_owned()).ok_or(IdentityError::InvalidTenantId)
}

/// Nothing that could lead out of its place in an address or a command line.
fn is_id(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_open_is_a_managed_identity_on_azure_and_the_developer_elsewhere() {
        let open = Identity::open(Some("c"), Some("t")).unwrap();
        assert_eq!(open.clone().on_azure(true), Identity::managed(Some("c")).unwrap());
        let developer = Source::DeveloperTools { tenant_id: Some("t".to_owned()) };
        assert_eq!(open.on_azure(false).0, developer);
    }

    #[test]
    fn what_was_said_stays_wherever_we_are() {
        for said in [Identity::managed(None).unwrap(), Identity::application("c", "t", "s").unwrap()] {
            assert_eq!([true, false].map(|azure| said.clone().on_azure(azure)), [said.clone(), said]);
        }
    }

    #[test]
    fn an_id_is_not_a_way_out_of_an_address_or_a_command() {
        for id in ["", "a/b", "-a", ".", "a b", "a;b", "a&b", "$(a)", "ä", &"a".repeat(101)] {
            assert!(Identity::managed(Some(id)).is_err(), "{id}");
            assert!(Identity::open(None, Some(id)).is_err(), "{id}");
        }
        Identity::application("11111111-2222-3333-4444-555555555555", "contoso.com", "s").unwrap();
    }

    #[test]
    fn a_client_secret_does_not_print() {
        assert!(!format!("{:?}", Identity::application("c", "t", "hush").unwrap()).contains("hush"));
    }
}
