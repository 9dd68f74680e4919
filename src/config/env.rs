//! The environment variables by name, and where they say that the process runs.
//!
//! Names are compared ignoring letter case: Windows and some portals change it.

use std::collections::HashMap;

use super::telemetry::{self, LogFormat};
use super::{DEFAULT_LOG, HOST_PORT, HOST_WORKER_ID, IDENTITY_ENDPOINT, LOG, OLD_HOST_PORT, SITE_NAME};

/// Environment variables. An empty value counts as missing.
#[derive(Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// The log filter, in the form of `RUST_LOG`.
    pub fn log_filter(&self) -> &str {
        self.get(LOG).unwrap_or(DEFAULT_LOG)
    }

    /// The format of log lines; the default if the setting is invalid, which [`Config::read`](super::Config::read) reports.
    pub fn log_format(&self) -> LogFormat {
        telemetry::log_format(self).unwrap_or_default()
    }

    /// Whether this process is started as the Functions host starts it: with the port to listen on.
    pub fn is_behind_host(&self) -> bool {
        self.get(HOST_PORT).or_else(|| self.get(OLD_HOST_PORT)).is_some()
    }

    /// Whether a Functions host watches this process and can start it again. A person who sets the port by hand does not set its id.
    pub fn is_watched_by_host(&self) -> bool {
        self.get(HOST_WORKER_ID).is_some()
    }

    /// These variables, and those of `under` that are missing here.
    pub fn over(mut self, under: &Self) -> Self {
        for (name, value) in &under.0 {
            if self.get(name).is_none() {
                self.0.insert(name.clone(), value.clone());
            }
        }
        self
    }

    /// The value of a variable, trimmed. It may be a key.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether the process runs on Azure: on App Service, or where a managed identity exists.
    pub fn is_azure(&self) -> bool {
        self.get(SITE_NAME).or_else(|| self.get(IDENTITY_ENDPOINT)).is_some()
    }

    /// Whether this is an App Service app without a managed identity.
    pub(super) fn lacks_identity(&self) -> bool {
        self.get(SITE_NAME).is_some() && self.get(IDENTITY_ENDPOINT).is_none()
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name).and_then(parse_switch).unwrap_or(false)
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.as_ref().to_ascii_lowercase(), value.into())).collect())
    }
}

/// `true`, `false`, `1` and `0`, in any letter case, as App Service and people write them.
pub(crate) fn parse_switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
