//! The app that clients negotiate with: it sends them on to the service, with a token of their own.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use url::Url;

use crate::listener::{Listener, Received, Reply};
use crate::service::Service;

/// All the apps of a run, each at a path of its own.
pub(crate) struct Apps {
    apps: Arc<Mutex<HashMap<String, App>>>,
    listener: Listener,
}

struct App {
    hub: String,
    claims: Value,
    calls: usize,
}

impl Apps {
    pub(crate) async fn start(service: Arc<Service>) -> io::Result<Self> {
        let apps: Arc<Mutex<HashMap<String, App>>> = Arc::default();
        let known = apps.clone();
        let answer = move |received: Received| negotiate(&service, &known, &received);
        let listener = Listener::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), answer).await?;
        Ok(Self { apps, listener })
    }

    /// Opens an app whose users come into this hub with these claims; returns the address that clients are given.
    pub(crate) fn open(&self, name: &str, hub: &str, claims: &Value) -> String {
        let app = App { hub: hub.to_owned(), claims: claims.clone(), calls: 0 };
        self.apps.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), app);
        let mut url = Url::parse("http://127.0.0.1").expect("an address of this machine");
        url.set_port(Some(self.listener.address.port())).expect("http addresses have ports");
        url.set_path(name);
        url.into()
    }

    /// How often the app was asked to negotiate.
    pub(crate) fn calls(&self, name: &str) -> usize {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner).get(name).map_or(0, |app| app.calls)
    }
}

fn negotiate(service: &Service, apps: &Mutex<HashMap<String, App>>, received: &Received) -> Reply {
    let mut apps = apps.lock().unwrap_or_else(PoisonError::into_inner);
    let name = received.path.trim_start_matches('/').strip_suffix("/negotiate").unwrap_or_default();
    let Some(app) = apps.get_mut(name) else { return Reply::Status(404) };
    if received.method != hyper::Method::POST {
        return Reply::Status(405);
    }
    app.calls += 1;
    let answer = json!({
        "url": service.client_url(&[], &[("hub", &app.hub)]).as_str(),
        "accessToken": service.token(&service.client_audience(&app.hub), &app.claims).0,
    });
    Reply::Body { content_type: Some("application/json"), bytes: answer.to_string().into_bytes() }
}
