//! `WebhookReceiver`: receives the upstream events of the service, by hub, and responds as a case has configured.
//!
//! A case configures its hub before its client connects. Other hubs are answered with 204.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::case_result::{CaseResult, Failure};
use crate::local_server::{Handler, LocalServer, ReceivedRequest, Reply};
use crate::service::with_timeout;

/// The maximum number of events kept for a hub.
const MAX_EVENTS: usize = 1000;

/// How the service reaches the suite with its webhooks.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// The name or address of this machine as the service sees it.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// The settings file of the service. The suite writes templates into it and restores it at the end.
    pub settings_file: Option<PathBuf>,
}

/// Receives webhooks until it is dropped.
pub(crate) struct WebhookReceiver {
    options: UpstreamOptions,
    original_settings: Option<String>,
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
    /// Listens on loopback if the service is to use a loopback name, else on all addresses.
    pub(crate) async fn start(options: UpstreamOptions) -> io::Result<Self> {
        let hubs = Arc::new(Hubs { by_name: Mutex::default(), changed: watch::Sender::new(()) });
        let loopback = matches!(options.host.as_str(), "localhost" | "127.0.0.1");
        let address: IpAddr = if loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED }.into();
        let shared = hubs.clone();
        let address = SocketAddr::new(address, options.port);
        let server = LocalServer::start(address, Arc::new(move |request| shared.receive(request))).await?;
        let original_settings = match &options.settings_file {
            Some(file) => tokio::fs::read_to_string(file).await.ok(),
            None => None,
        };
        Ok(Self { options, original_settings, hubs, _server: server })
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

    /// Writes templates, followed by one for all events, into the settings file, if there is one.
    pub(crate) async fn write_templates(&self, templates: &[Value]) -> CaseResult {
        let all_events = json!({
            "UrlTemplate": self.url("/{hub}/{category}/{event}"),
            "HubPattern": "*", "CategoryPattern": "*", "EventPattern": "*",
        });
        self.write_exact_templates(&[templates, &[all_events]].concat()).await
    }

    /// Writes only these templates into the settings file, if there is one.
    pub(crate) async fn write_exact_templates(&self, templates: &[Value]) -> CaseResult {
        let text = json!({"UpstreamSettings": {"Templates": templates}}).to_string();
        self.write(text).await.map_err(|error| Failure::new("a writable settings file", error))
    }

    /// Restores the settings file, or removes it if there was none.
    pub(crate) async fn restore_settings(&self) -> io::Result<()> {
        match (&self.original_settings, &self.options.settings_file) {
            (Some(text), _) => self.write(text.clone()).await,
            (None, Some(file)) => tokio::fs::remove_file(file).await,
            (None, None) => Ok(()),
        }
    }

    async fn write(&self, text: String) -> io::Result<()> {
        match &self.options.settings_file {
            Some(file) => tokio::fs::write(file, text).await,
            None => Ok(()),
        }
    }
}

impl Hubs {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Hub>> {
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
