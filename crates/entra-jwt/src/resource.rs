//! What tokens have to be for: one app, and one thing that it lets people do.

use std::fmt;

use crate::authority::is_guid;

/// An app that people bring tokens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) audiences: Vec<String>,
    pub(crate) scope: String,
}

/// The app is not named by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIdError;

impl Resource {
    /// The app with the id `client_id`, under the names that Entra gives it: the id in tokens v2.0, `api://` and the id in tokens v1.0.
    /// `scope` is what a token has to allow.
    ///
    /// # Errors
    ///
    /// When the id is no GUID.
    pub fn of_app(client_id: &str, scope: impl Into<String>) -> Result<Self, ClientIdError> {
        if !is_guid(client_id) {
            return Err(ClientIdError);
        }
        let id = client_id.to_ascii_lowercase();
        let uri = ["api://", &id].concat();
        Ok(Self { audiences: vec![id, uri], scope: scope.into() })
    }

    /// An app under a name of its own and no other.
    #[must_use]
    pub fn named(audience: impl Into<String>, scope: impl Into<String>) -> Self {
        Self { audiences: vec![audience.into()], scope: scope.into() }
    }
}

impl fmt::Display for ClientIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be the id of an app, like 0b3ad9a5-5b1c-4f1f-a7b0-c3d2d1a0a001")
    }
}

impl std::error::Error for ClientIdError {}
