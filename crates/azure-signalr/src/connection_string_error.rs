//! What can be wrong with a connection string or an identity, in words.
//!
//! The words of the official SDK where it has some, so that they can be searched for, and what to do about it.

use std::fmt;

use azure_credentials::CredentialSourceError;

/// What is wrong with a connection string. The words name the property; a value is never repeated, since it may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// There is no `Endpoint=…`.
    MissingEndpoint,
    /// `Endpoint` is not an absolute http or https address.
    InvalidEndpoint,
    /// `ClientEndpoint` is not an absolute http or https address.
    InvalidClientEndpoint,
    /// `ServerEndpoint` is not an absolute http or https address.
    InvalidServerEndpoint,
    /// `Port` is not a number from 1 to 65535.
    InvalidPort,
    /// `Version` is not `1.…`.
    UnsupportedVersion,
    /// A property is there twice.
    DuplicateProperty,
    /// There is no `AccessKey=…` and no known `AuthType=…`.
    MissingAccessKey,
    /// `AuthType=azure.app` without `ClientId`.
    MissingClientId,
    /// `AuthType=azure.app` without `TenantId`.
    MissingTenantId,
    /// `AuthType=azure.app` without `ClientSecret`.
    MissingClientSecret,
    /// `ClientId` is not an id.
    InvalidClientId,
    /// `TenantId` is neither an id nor a domain name.
    InvalidTenantId,
    /// `AuthType=azure.app` with a certificate, which takes a library this crate does not bring.
    CertificateNotSupported,
    /// An identity's token would travel in clear.
    InsecureEndpoint,
    /// An identity, in a build without the feature `entra`.
    IdentityNotSupported,
}

impl fmt::Display for ConnectionStringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingEndpoint => {
                "Connection string missing required properties endpoint. It looks like Endpoint=https://NAME.service.signalr.net;AccessKey=KEY;Version=1.0;"
            }
            Self::InvalidEndpoint => "Invalid value for endpoint property, it must be a valid URI (http or https).",
            Self::InvalidClientEndpoint => {
                "Invalid value for clientEndpoint property, it must be a valid URI (http or https)."
            }
            Self::InvalidServerEndpoint => {
                "ServerEndpoint property in connection string is not a valid URI (http or https)."
            }
            Self::InvalidPort => {
                "Invalid value for port property, it must be a positive integer between (0, 65536)."
            }
            Self::UnsupportedVersion => "This version property is not supported, it must be 1.x.",
            Self::DuplicateProperty => "Duplicate properties found in connection string; give each one once.",
            Self::MissingAccessKey => "accesskey is required. Copy the whole connection string from the service's Keys page.",
            Self::MissingClientId => "Connection string missing required properties clientId.",
            Self::MissingTenantId => "Connection string missing required properties tenantId.",
            Self::MissingClientSecret => "Connection string missing required properties clientSecret.",
            Self::InvalidClientId => "clientId must be the id of an identity or application: letters, digits and dashes.",
            Self::InvalidTenantId => "tenantId must be the id or the domain name of a tenant.",
            Self::CertificateNotSupported => {
                "clientCert is not supported, since it needs OpenSSL; use clientSecret or, better, AuthType=azure.msi, which needs no secret."
            }
            Self::InsecureEndpoint => {
                "With an identity the endpoint must be https, or its token would travel in clear; http is for this machine only."
            }
            Self::IdentityNotSupported => {
                "This build cannot sign in with Microsoft Entra ID (feature `entra`); use a connection string with an AccessKey."
            }
        })
    }
}

impl std::error::Error for ConnectionStringError {}

impl From<CredentialSourceError> for ConnectionStringError {
    fn from(error: CredentialSourceError) -> Self {
        match error {
            CredentialSourceError::InvalidTenantId => Self::InvalidTenantId,
            CredentialSourceError::MissingClientSecret => Self::MissingClientSecret,
            // What is left, and what may come: an id that is none.
            _ => Self::InvalidClientId,
        }
    }
}
