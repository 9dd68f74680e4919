//! The upstream of serverless mode: webhooks that receive the events and invocations of clients.
//!
//! ```text
//! reloading_templates ─> templates ─> url_template ─┐
//! webhook_request (headers, signature, body) ───────┴─> webhook_client ─> completion ─> the client
//! ```
//!
//! The order of events is up to the caller: it awaits `connected` before the first message of a connection and each message before
//! the next, and calls `disconnected` last. A future that is dropped sends nothing more.

mod completion;
mod options;
mod pattern;
mod reloading_templates;
mod settings;
mod templates;
#[cfg(test)]
pub(crate) mod tests;
mod url_template;
mod webhook_client;
mod webhook_request;

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, warn};

use crate::access_keys::AccessKeys;
use reloading_templates::ReloadingTemplates;
use templates::Template;
use webhook_client::{
    MAX_DISCARDED_BYTES, MAX_RESPONSE_BYTES, WebhookClient, WebhookError, WebhookRequest, WebhookResponse, redact_url,
    truncate,
};
use webhook_request::Event;

pub(crate) use completion::Completion;
pub use options::{TemplateSource, UpstreamOptions};
pub use templates::{InvalidTemplates, Templates};
pub(crate) use webhook_client::{WebhookOutcome, WebhookRecord};
pub(crate) use webhook_request::{ClientDetails, Invocation};

/// The upstream of one service.
pub(crate) struct Upstream {
    templates: ReloadingTemplates,
    client: WebhookClient,
    keys: Arc<AccessKeys>,
}

/// The result of an invocation by a client.
#[derive(Debug)]
pub(crate) struct UpstreamReply {
    /// What the client gets.
    pub(crate) completion: Completion,
    /// The request that was sent; `None` if no template matches.
    pub(crate) record: Option<WebhookRecord>,
}

impl Upstream {
    /// Reads the templates, if they are in a file, which blocks. Requests carry a signature by each of the keys.
    pub(crate) fn new(options: UpstreamOptions, keys: Arc<AccessKeys>) -> Self {
        let client = WebhookClient::new(&options);
        let templates = ReloadingTemplates::new(options.templates, Instant::now());
        Self { templates, client, keys }
    }

    /// Whether there was a template when the settings were read last.
    pub(crate) fn is_configured(&self) -> bool {
        !self.templates.loaded().is_empty()
    }

    /// Sends the event `connected`. The response has no effect on the client.
    pub(crate) async fn connected(&self, client: &ClientDetails) -> Option<WebhookRecord> {
        self.send(client, &Event::Connected).await.map(|(_, record)| record)
    }

    /// Sends the event `disconnected`, with the error that ended the connection, if any.
    pub(crate) async fn disconnected(&self, client: &ClientDetails, error: Option<&str>) -> Option<WebhookRecord> {
        self.send(client, &Event::Disconnected(error)).await.map(|(_, record)| record)
    }

    /// Sends an invocation, and returns what its client gets.
    pub(crate) async fn invoke(&self, client: &ClientDetails, invocation: &Invocation<'_>) -> UpstreamReply {
        let event = Event::Invocation(invocation);
        let hub = client.hub.as_str();
        let Some((outcome, record)) = self.send(client, &event).await else {
            let completion = Completion::unmatched(invocation, &self.why_unmatched(hub, &event));
            let event = truncate(event.name());
            debug!(hub, event, "no upstream template matches {event:?} of hub {hub}");
            return UpstreamReply { completion, record: None };
        };
        let completion = Completion::new(outcome, invocation);
        if let (Completion::Error(error), true) = (&completion, record.outcome.is_success()) {
            let event = &record.event;
            warn!(hub, event, "the upstream's response to {event:?} is not usable: {error}");
        }
        UpstreamReply { completion, record: Some(record) }
    }

    /// Sends an event by the first template that matches, and logs the outcome.
    async fn send(
        &self,
        client: &ClientDetails,
        event: &Event<'_>,
    ) -> Option<(Result<WebhookResponse, WebhookError>, WebhookRecord)> {
        let began = Instant::now();
        let templates = self.templates.get(began).await;
        let template = templates.find(client.hub.as_str(), event.category(), event.name())?;
        let (url, outcome) = self.send_by(template, client, event).await;
        let record = WebhookRecord {
            category: event.category(),
            event: truncate(event.name()),
            url,
            outcome: match &outcome {
                Ok(response) => WebhookOutcome::Answered(response.status),
                Err(error) => WebhookOutcome::Failed(error.clone()),
            },
            took: began.elapsed(),
        };
        log(client, &record);
        Some((outcome, record))
    }

    async fn send_by(
        &self,
        template: &Template,
        client: &ClientDetails,
        event: &Event<'_>,
    ) -> (Option<String>, Result<WebhookResponse, WebhookError>) {
        let Some(url) = template.url(client.hub.as_str(), event.category(), event.name()) else {
            return (None, Err(WebhookError::InvalidUrl));
        };
        let redacted = redact_url(&url);
        let is_awaited = matches!(event, Event::Invocation(Invocation { invocation_id: Some(_), .. }));
        let max_response_bytes = if is_awaited { MAX_RESPONSE_BYTES } else { MAX_DISCARDED_BYTES };
        let headers = client.headers(event, &self.keys.current());
        let request = WebhookRequest { url, headers, body: event.body(), max_response_bytes };
        (Some(redacted), self.client.send(request).await)
    }

    fn why_unmatched(&self, hub: &str, event: &Event<'_>) -> String {
        if self.is_configured() {
            let (category, event) = (event.category(), event.name());
            format!("no upstream template matches hub '{hub}', category '{category}', event '{event}'")
        } else {
            "this emulator has no upstream configured".to_owned()
        }
    }
}

/// Logs a request. Clients choose the names of events, so these are quoted.
fn log(client: &ClientDetails, record: &WebhookRecord) {
    let WebhookRecord { category, event, url, outcome, took } = record;
    let (hub, url, took_ms) = (&client.hub, url.as_deref().unwrap_or("no URL"), took.as_millis());
    if outcome.is_success() {
        debug!(%hub, category, event, url, took_ms, "sent {event:?} of hub {hub} to {url}: {outcome}");
    } else {
        let hint = outcome.hint();
        warn!(%hub, category, event, url, took_ms, "sending {event:?} of hub {hub} to {url} failed: {outcome}{hint}");
    }
}
