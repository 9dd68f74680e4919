//! Where the service posts its events: one listener for all cases, each of which sees the events of its own hubs only.
//!
//! What it answers is said before the client connects; without a word, 204.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::listener::{Listener, Received, Reply};
use crate::outcome::{Stop, Verdict};
use crate::service::within;

/// Events kept of one hub; a case looks at a handful.
const MOST_EVENTS: usize = 1000;

type Answer = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// Where to listen, and how the service names that place.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name or address of this machine as the service sees it.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// The settings file of the service, which the suite then writes its templates into.
    pub settings: Option<PathBuf>,
}

pub(crate) struct Webhooks {
    upstream: Upstream,
    original: Option<String>,
    hubs: Arc<Hubs>,
    _listener: Listener,
}

struct Hubs {
    by_name: Mutex<HashMap<String, Hub>>,
    changed: watch::Sender<()>,
}

struct Hub {
    events: Vec<Received>,
    answer: Answer,
}

impl Webhooks {
    /// Listens. On every address, unless the service is told to look for us on loopback.
    pub(crate) async fn start(upstream: Upstream) -> io::Result<Self> {
        let hubs = Arc::new(Hubs { by_name: Mutex::default(), changed: watch::Sender::new(()) });
        let loopback = matches!(upstream.host.as_str(), "localhost" | "127.0.0.1");
        let address: IpAddr = if loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED }.into();
        let taken = hubs.clone();
        let listener =
            Listener::start(SocketAddr::new(address, upstream.port), move |received| taken.take(received))
                .await?;
        let original = match &upstream.settings {
            Some(file) => tokio::fs::read_to_string(file).await.ok(),
            None => None,
        };
        Ok(Self { upstream, original, hubs, _listener: listener })
    }

    /// From now on events of the hub are kept, and answered so.
    pub(crate) fn answer(&self, hub: &str, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        self.hubs.lock().insert(hub.to_lowercase(), Hub { events: Vec::new(), answer: Arc::new(answer) });
    }

    /// The events of a hub as soon as there are so many.
    pub(crate) async fn events(
        &self,
        hub: &str,
        at_least: usize,
        patience: Duration,
    ) -> Verdict<Vec<Received>> {
        let mut changed = self.hubs.changed.subscribe();
        let arrival = async {
            loop {
                let events = self.so_far(hub);
                if events.len() >= at_least {
                    return Ok(events);
                }
                changed.changed().await.map_err(|_| Stop::failed("webhooks", "the listener is gone"))?;
            }
        };
        within(patience, &format!("webhook {at_least} of the hub"), arrival).await
    }

    pub(crate) fn so_far(&self, hub: &str) -> Vec<Received> {
        self.hubs.lock().get(&hub.to_lowercase()).map(|hub| hub.events.clone()).unwrap_or_default()
    }

    /// The address of a place here, with placeholders in it, for a template.
    pub(crate) fn template(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.upstream.host, self.upstream.port)
    }

    /// Whether the suite may write the service's templates.
    pub(crate) fn writes_settings(&self) -> bool {
        self.upstream.settings.is_some()
    }

    /// Puts templates ahead of the one that brings everything here. Without a settings file there is nothing to write.
    pub(crate) async fn write_settings(&self, templates: &[Value]) -> Verdict {
        let everything = self.everything();
        self.write_only(&[templates, &[everything]].concat()).await
    }

    /// These templates and no others.
    pub(crate) async fn write_only(&self, templates: &[Value]) -> Verdict {
        let text = json!({"UpstreamSettings": {"Templates": templates}}).to_string();
        self.write(text).await.map_err(|error| Stop::failed("a settings file that can be written", error))
    }

    /// The settings as they were before the suite came: no file, if there was none.
    pub(crate) async fn restore_settings(&self) -> io::Result<()> {
        match (&self.original, &self.upstream.settings) {
            (Some(text), _) => self.write(text.clone()).await,
            (None, Some(file)) => tokio::fs::remove_file(file).await,
            (None, None) => Ok(()),
        }
    }

    async fn write(&self, text: String) -> io::Result<()> {
        match &self.upstream.settings {
            Some(file) => tokio::fs::write(file, text).await,
            None => Ok(()),
        }
    }

    fn everything(&self) -> Value {
        json!({
            "UrlTemplate": self.template("/{hub}/{category}/{event}"),
            "HubPattern": "*", "CategoryPattern": "*", "EventPattern": "*",
        })
    }
}

impl Hubs {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Hub>> {
        // No step under the lock leaves the map half changed.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, received: Received) -> Reply {
        let name = received.header("x-asrs-hub").unwrap_or_default().to_lowercase();
        let answer = {
            let mut hubs = self.lock();
            let Some(hub) = hubs.get_mut(&name) else { return Reply::Status(204) };
            if hub.events.len() < MOST_EVENTS {
                hub.events.push(received.clone());
            }
            hub.answer.clone()
        };
        self.changed.send_replace(());
        answer(&received)
    }
}
