//! What `entra` is without the feature of that name: nothing. Connection strings that need it have been refused before they get here.

use std::sync::Arc;
use std::time::SystemTime;

use azure_credentials::CredentialSource;
use tokio::time::Instant;
use url::Url;

use crate::error::{Error, Kind};
use crate::secret::Secret;
use crate::token::Signer;

pub(crate) const SUPPORTED: bool = false;

/// There is none.
pub(crate) enum Entra {}

impl Entra {
    pub(crate) fn new(_: &CredentialSource, _: &Url, _: &azure_http::HttpClient) -> Result<Self, Error> {
        Err(Kind::Unusable.into())
    }

    pub(crate) fn warm_up(&self) {
        match *self {}
    }

    pub(crate) async fn token(&self, _: SystemTime, _: Instant) -> Result<Secret, Error> {
        match *self {}
    }

    pub(crate) async fn signer(&self, _: SystemTime, _: Instant) -> Result<Arc<Signer>, Error> {
        match *self {}
    }
}
