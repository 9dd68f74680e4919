//! `TestContext`: what a case gets, its own hub, user and group, and access to the service and the environment of the run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::case_result::{CaseResult, Failure};
use crate::client::{Client, ClientBuilder};
use crate::local_server::{NegotiateServer, ReceivedRequest};
use crate::service::{API_VERSION, Call, Response, Service, unique_name, with_timeout};
use crate::webhooks::WebhookReceiver;

/// The interval at which a case polls for a change.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What all cases of a run share.
pub(crate) struct TestEnv {
    pub(crate) service: Arc<Service>,
    pub(crate) negotiate_server: NegotiateServer,
    pub(crate) webhooks: Option<WebhookReceiver>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) restart_command: Option<String>,
    pub(crate) node_modules: Option<PathBuf>,
    pub(crate) python: Option<PathBuf>,
}

/// What one case uses.
pub(crate) struct TestContext {
    pub(crate) env: Arc<TestEnv>,
    pub(crate) hub: String,
    pub(crate) user: String,
    pub(crate) group: String,
}

impl TestContext {
    pub(crate) fn new(env: Arc<TestEnv>, number: u8) -> Self {
        let hub = unique_name(&format!("c{number}h"));
        Self { env, hub, user: unique_name("user"), group: unique_name("group") }
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.env.service
    }

    /// A client of the hub.
    pub(crate) fn client(&self) -> ClientBuilder {
        self.client_of(&self.hub)
    }

    pub(crate) fn client_of(&self, hub: &str) -> ClientBuilder {
        ClientBuilder::new(self.service().clone(), hub)
    }

    /// Connects a client of the hub as a user, over WebSockets, in JSON.
    pub(crate) async fn connect(&self, user: &str) -> CaseResult<Client> {
        self.client().user(user).connect().await
    }

    /// A call of the REST API below the hub, in the default version.
    pub(crate) fn rest(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.rest_of(&self.hub, method, segments)
    }

    pub(crate) fn rest_of(&self, hub: &str, method: Method, segments: &[&str]) -> Call<'_> {
        self.rest_path(method, &[&["api", "hubs", hub], segments].concat())
    }

    /// A call of the REST API with any path, in the default version.
    pub(crate) fn rest_path(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.service().call(method, segments).version(API_VERSION)
    }

    /// A call of the REST API below the hub, in version 1.
    pub(crate) fn rest_v1(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let path = [&["api", "v1", "hubs", self.hub.as_str()], segments].concat();
        self.service().call(method, &path)
    }

    /// Sends a message to the receivers that the segments name; to the hub if there are none.
    pub(crate) async fn send(&self, to: &[&str], target: &str, arguments: &Value) -> CaseResult<Response> {
        let segments = [to, &[":send"]].concat();
        self.rest(Method::POST, &segments).message(target, arguments).expect_status(202).await
    }

    /// Adds a connection to the group of the case.
    pub(crate) async fn join_group(&self, client: &Client) -> CaseResult {
        self.rest(Method::PUT, &["groups", &self.group, "connections", &client.id]).expect_status(200).await.map(drop)
    }

    /// Closes a client and waits until the service has removed its connection.
    pub(crate) async fn close_client(&self, client: Client) -> CaseResult {
        let id = client.id.clone();
        client.close().await?;
        self.wait_for_status(&["connections", &id], 404).await
    }

    /// Waits until the connection, user or group exists.
    pub(crate) async fn wait_until_exists(&self, segments: &[&str]) -> CaseResult {
        self.wait_for_status(segments, 200).await
    }

    /// Sends HEAD until the response has the status. A service may apply changes with a delay.
    pub(crate) async fn wait_for_status(&self, segments: &[&str], status: u16) -> CaseResult {
        let polling = async {
            while self.rest(Method::HEAD, segments).response().await?.status != status {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Ok(())
        };
        with_timeout(self.service().timeout, &format!("{status} for {}", segments[0]), polling).await
    }

    /// Waits until the hub has received a number of webhooks and returns all of them.
    pub(crate) async fn webhook_events(&self, at_least: usize) -> CaseResult<Vec<ReceivedRequest>> {
        self.webhooks()?.wait_for_events(&self.hub, at_least, self.service().timeout).await
    }

    /// Checks that the service is the emulator of this repository, by its control API.
    pub(crate) async fn require_emulator(&self) -> CaseResult {
        let hubs = self.service().control(Method::GET, &["hubs"]).response().await?;
        if hubs.status == 200 {
            Ok(())
        } else {
            Err(Failure::needs("the emulator of this repository, with its control API"))
        }
    }

    pub(crate) fn webhooks(&self) -> CaseResult<&WebhookReceiver> {
        self.env.webhooks.as_ref().ok_or_else(|| Failure::needs("--upstream-port"))
    }
}
