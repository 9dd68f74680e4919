//! `WebhookReceiver`: receives the upstream events of the service, by hub, and responds as a case has configured.
//!
//! A case configures its hub before its client connects. Other hubs are answered with 204.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::case_result::{CaseResult, Failure};
use crate::local_server::{Handler, LocalServer, ReceivedRequest, Reply};
use crate::service::with_timeout;
use crate::temporary_content::TemporaryContent;

/// The maximum number of events kept for a hub.
const MAX_EVENTS: usize = 1000;

/// How the service reaches the suite with its webhooks.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// The name or address of this machine as the service sees it.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// The settings file of the service. The suite writes templates into it, and puts its content back in any case.
    pub settings_file: Option<PathBuf>,
}

/// Receives webhooks until it is dropped.
pub(crate) struct WebhookReceiver {
    options: UpstreamOptions,
    /// The settings of the run, if the suite can write them.
    run_settings: Mutex<Option<TemporaryContent>>,
    hubs: Arc<Hubs>,
    _server: LocalServer,
}

struct Hubs {
    by_name: Mutex<HashMap<String, Hub>>,
    changed: watch::Sender<()>,
}

struct Hub {
    events: Vec<ReceivedRequest>,
    handler: Handler,
}

impl WebhookReceiver {
    /// Listens on loopback if the service is to use a loopback name, else on all addresses. Writes a template for all events into
    /// the settings file, if there is one.
    ///
    /// # Errors
    ///
    /// A sentence: the port cannot be opened, or the file cannot be read or written.
    pub(crate) async fn start(options: UpstreamOptions) -> Result<Self, String> {
        let hubs = Arc::new(Hubs { by_name: Mutex::default(), changed: watch::Sender::new(()) });
        let loopback = matches!(options.host.as_str(), "localhost" | "127.0.0.1");
        let address: IpAddr = if loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED }.into();
        let shared = hubs.clone();
        let address = SocketAddr::new(address, options.port);
        let server = LocalServer::start(address, Arc::new(move |request| shared.receive(request))).await;
        let server =
            server.map_err(|error| format!("port {} for webhooks cannot be opened: {error}", address.port()))?;
        let webhooks = Self { options, run_settings: Mutex::default(), hubs, _server: server };
        if let Some(file) = &webhooks.options.settings_file {
            let settings = TemporaryContent::write(file, &webhooks.settings(&[]));
            let settings =
                settings.map_err(|error| format!("the file of --upstream-settings cannot be written: {error}"))?;
            *webhooks.lock_run_settings() = Some(settings);
        }
        Ok(webhooks)
    }

    /// Sets the handler of a hub and discards its events so far.
    pub(crate) fn set_handler(&self, hub: &str, handler: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static) {
        let hub_state = Hub { events: Vec::new(), handler: Arc::new(handler) };
        self.hubs.lock().insert(hub.to_lowercase(), hub_state);
    }

    /// Waits until a hub has a number of events and returns all of them.
    pub(crate) async fn wait_for_events(
        &self,
        hub: &str,
        at_least: usize,
        timeout: Duration,
    ) -> CaseResult<Vec<ReceivedRequest>> {
        let mut changed = self.hubs.changed.subscribe();
        let arrival = async {
            loop {
                let events = self.events(hub);
                if events.len() >= at_least {
                    return Ok(events);
                }
                changed.changed().await.map_err(|_| Failure::new("webhooks", "the server has stopped"))?;
            }
        };
        with_timeout(timeout, &format!("webhook {at_least} of the hub"), arrival).await
    }

    fn events(&self, hub: &str) -> Vec<ReceivedRequest> {
        self.hubs.lock().get(&hub.to_lowercase()).map(|hub| hub.events.clone()).unwrap_or_default()
    }

    /// A URL of this server with a path, for a template.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.options.host, self.options.port)
    }

    /// Whether the suite can write the templates of the service.
    pub(crate) fn can_write_settings(&self) -> bool {
        self.options.settings_file.is_some()
    }

    /// Writes templates, followed by one for all events, into the settings file until the result is dropped.
    pub(crate) fn write_templates(&self, templates: &[Value]) -> CaseResult<TemporaryContent> {
        self.write_settings(&self.settings(templates))
    }

    /// Writes the settings file, whose former content is put back when the result is dropped.
    pub(crate) fn write_settings(&self, text: &str) -> CaseResult<TemporaryContent> {
        let file = self.options.settings_file.as_deref().ok_or_else(|| Failure::needs("--upstream-settings"))?;
        TemporaryContent::write(file, text).map_err(|error| Failure::new("a writable settings file", error))
    }

    /// Settings with these templates, followed by one for all events.
    fn settings(&self, templates: &[Value]) -> String {
        let all_events = json!({
            "UrlTemplate": self.url("/{hub}/{category}/{event}"),
            "HubPattern": "*", "CategoryPattern": "*", "EventPattern": "*",
        });
        let templates = [templates, &[all_events]].concat();
        json!({"UpstreamSettings": {"Templates": templates}}).to_string()
    }

    /// Puts back what the settings file had before the run.
    pub(crate) fn restore_settings(&self) -> io::Result<()> {
        let settings = self.lock_run_settings().take();
        settings.map_or(Ok(()), TemporaryContent::restore)
    }

    fn lock_run_settings(&self) -> MutexGuard<'_, Option<TemporaryContent>> {
        self.run_settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hubs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hub>> {
        // Poisoning is ignored: no update can panic halfway.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, request: &ReceivedRequest) -> Reply {
        let name = request.header("x-asrs-hub").unwrap_or_default().to_lowercase();
        let handler = {
            let mut hubs = self.lock();
            let Some(hub) = hubs.get_mut(&name) else { return Reply::Status(204) };
            if hub.events.len() < MAX_EVENTS {
                hub.events.push(request.clone());
            }
            hub.handler.clone()
        };
        self.changed.send_replace(());
        handler(request)
    }
}
