//! What `otel` is without the feature of that name: nothing. Whoever asks for it in the settings is told once.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::runtime::Handle;
use tracing::warn;

use super::operations::Operation;
use super::request::{RequestInfo, RequestOutcome};
use crate::config::{OTLP_ENDPOINT, Otlp};

/// Goes nowhere.
#[derive(Clone, Default)]
pub struct Export(());

/// Nobody's.
pub(super) struct Parent;

impl Export {
    /// Says that this build exports nothing, if something should be exported.
    #[must_use]
    pub fn start(otlp: Option<&Otlp>, _: &Handle) -> Self {
        if otlp.is_some() {
            warn!(
                "{OTLP_ENDPOINT} is set, and this build exports nothing; `make package FEATURES=otel` makes one that does"
            );
        }
        Self(())
    }

    /// Nothing is left to send.
    pub fn end(&self, _: Duration) {}

    /// It is not.
    #[must_use]
    pub fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn of_calls_to(self, _: (&str, u16)) -> Self {
        self
    }

    pub(super) fn parent(&self, _: &HeaderMap) -> Parent {
        Parent
    }

    pub(super) fn record(&self, _: Option<&Operation>, _: &RequestInfo, _: &RequestOutcome<'_>, _: &Parent) {}
}
