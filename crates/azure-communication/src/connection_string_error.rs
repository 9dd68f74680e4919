//! What can be wrong with a connection string, an endpoint or an access key, in words that say what to do about it.

use std::fmt;

/// What is wrong with a connection string or a part of one. The words name the property; a value is never repeated, since it may be
/// the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionStringError {
    /// There is no `endpoint=…`.
    MissingEndpoint,
    /// `endpoint` is not an absolute http or https address, or has more than a host and a port.
    InvalidEndpoint,
    /// Tokens would travel in clear: http is for this machine only, and never for an identity.
    InsecureEndpoint,
    /// There is no `accesskey=…`.
    MissingAccessKey,
    /// `accesskey` is not base64.
    InvalidAccessKey,
    /// A property is there twice.
    DuplicateProperty,
}

impl fmt::Display for ConnectionStringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingEndpoint => {
                "the connection string has no endpoint; it looks like endpoint=https://NAME.communication.azure.com/;accesskey=KEY"
            }
            Self::InvalidEndpoint => {
                "the endpoint must be an address without a path, like https://NAME.communication.azure.com/"
            }
            Self::InsecureEndpoint => {
                "the endpoint must be https, or tokens would travel in clear; http is for an access key and this machine only"
            }
            Self::MissingAccessKey => {
                "the connection string has no accesskey; copy the whole of it from the resource's Keys page"
            }
            Self::InvalidAccessKey => {
                "the accesskey is not base64; copy the whole connection string from the resource's Keys page"
            }
            Self::DuplicateProperty => "the connection string has a property twice; give each one once",
        })
    }
}

impl std::error::Error for ConnectionStringError {}
