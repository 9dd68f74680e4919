//! The module `otel` without the feature `otel`: it exports nothing, and warns if the settings ask for it.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::runtime::Handle;
use tracing::warn;

use super::request::{RequestInfo, RequestOutcome};
use crate::config::{OTLP_ENDPOINT, Otlp};
use crate::operations::Operation;

/// Exports nothing.
#[derive(Clone, Default)]
pub struct Export(());

/// Ignored.
pub(super) struct Parent;

impl Export {
    /// Warns that this build exports nothing, if the settings name a collector.
    pub fn start(otlp: Option<&Otlp>, _: &Handle) -> Self {
        if otlp.is_some() {
            warn!(
                "{OTLP_ENDPOINT} is set, and this build exports nothing; `make package FEATURES=otel` makes one that does"
            );
        }
        Self(())
    }

    /// Does nothing.
    pub fn end(&self, _: Duration) {}

    pub(crate) fn of_calls_to(self, _: (&str, u16)) -> Self {
        self
    }

    pub(super) fn parent(&self, _: &HeaderMap) -> Parent {
        Parent
    }

    pub(super) fn record(&self, _: Option<&Operation>, _: &RequestInfo, _: &RequestOutcome<'_>, _: &Parent) {}
}
