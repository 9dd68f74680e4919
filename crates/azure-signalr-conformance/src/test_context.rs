//! What a case has to itself: a hub, names, and a way to everything it may need.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::apps::Apps;
use crate::client::Client;
use crate::connect::Connect;
use crate::outcome::{Stop, Verdict};
use crate::random::name;
use crate::service::{API_VERSION, Answer, Call, Service, within};
use crate::webhooks::Webhooks;

/// How often something is asked that changes by itself.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What all cases of a run share.
pub(crate) struct House {
    pub(crate) service: Arc<Service>,
    pub(crate) apps: Apps,
    pub(crate) webhooks: Option<Webhooks>,
    pub(crate) restart_command: Option<String>,
    pub(crate) node_modules: Option<PathBuf>,
    pub(crate) python: Option<PathBuf>,
}

pub(crate) struct Stage {
    pub(crate) house: Arc<House>,
    /// The hub of the case; a user and a group that it uses first.
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) group: String,
}

impl Stage {
    pub(crate) fn new(house: Arc<House>, number: u8) -> Self {
        Self { house, hub: name(&format!("c{number}h")), user: name("user"), group: name("group") }
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.house.service
    }

    /// A client of the hub who is about to connect.
    pub(crate) fn client(&self) -> Connect {
        self.client_of(&self.hub)
    }

    pub(crate) fn client_of(&self, hub: &str) -> Connect {
        Connect::new(self.service().clone(), hub)
    }

    /// Somebody of this user in the hub, over a WebSocket, in JSON.
    pub(crate) async fn connect(&self, user: &str) -> Verdict<Client> {
        self.client().user(user).connect().await
    }

    /// A call of the REST API below the hub, in the usual version.
    pub(crate) fn rest(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.rest_of(&self.hub, method, segments)
    }

    pub(crate) fn rest_of(&self, hub: &str, method: Method, segments: &[&str]) -> Call<'_> {
        let path = [&["api", "hubs", hub], segments].concat();
        self.service().call(method, &path).query("api-version", API_VERSION)
    }

    /// The same in the first version.
    pub(crate) fn v1(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let path = [&["api", "v1", "hubs", self.hub.as_str()], segments].concat();
        self.service().call(method, &path)
    }

    /// Sends to whoever these segments name; everybody of the hub if there are none.
    pub(crate) async fn send(&self, to: &[&str], target: &str, arguments: &Value) -> Verdict<Answer> {
        let segments = [to, &[":send"]].concat();
        self.rest(Method::POST, &segments).message(target, arguments).status(202).await
    }

    /// Puts a connection into the group of the case.
    pub(crate) async fn join(&self, client: &Client) -> Verdict {
        self.rest(Method::PUT, &["groups", &self.group, "connections", &client.id])
            .status(200)
            .await
            .map(drop)
    }

    /// Drops a client's connection, and waits until the service knows.
    pub(crate) async fn gone(&self, client: Client) -> Verdict {
        let id = client.id.clone();
        client.leave().await?;
        self.until(&["connections", &id], 404).await
    }

    /// Waits until what these segments name is there.
    pub(crate) async fn until_there(&self, segments: &[&str]) -> Verdict {
        self.until(segments, 200).await
    }

    /// Asks until the answer has this status. A service may take a moment to see what has just happened.
    pub(crate) async fn until(&self, segments: &[&str], status: u16) -> Verdict {
        let asked = async {
            while self.rest(Method::HEAD, segments).answer().await?.status != status {
                tokio::time::sleep(ASK_EVERY).await;
            }
            Ok(())
        };
        within(self.service().patience, &format!("{status} for {}", segments[0]), asked).await
    }

    pub(crate) fn webhooks(&self) -> Verdict<&Webhooks> {
        self.house.webhooks.as_ref().ok_or_else(|| Stop::needs("--upstream-port"))
    }
}
