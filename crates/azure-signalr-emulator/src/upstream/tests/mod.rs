//! The upstream against real listeners: each test has webhooks of its own on a free port.
//!
//! What the webhooks hear is read as raw headers and bytes, never through the types that made them.

mod answers;
mod functions;
mod limits;
mod log;
mod posts;
mod webhook;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use super::{
    Answer, Client, ClientFacts, Message, Reply, TemplateSource, Templates, Upstream, UpstreamOptions,
};
use crate::protocol::{Frame, Protocol};
use crate::{AccessKey, random};

pub(super) use log::Log;
use webhook::Webhook;

const COMPLETION: &str = "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\u{1e}";

/// A folder of one test, gone after it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(random::id());
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a folder that cannot be removed harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Options that post everything to one address.
fn everything_to(url: &str) -> UpstreamOptions {
    let settings = json!({"UpstreamSettings": {"Templates": [{"UrlTemplate": url}]}}).to_string();
    let templates: Templates = settings.parse().unwrap();
    UpstreamOptions::new(TemplateSource::Fixed(templates))
}

fn upstream(options: UpstreamOptions) -> Upstream {
    Upstream::new(options, &[AccessKey::official_emulator()])
}

fn alice(upstream: &Upstream) -> Client {
    let claims = json!({"asrs.s.uid": "alice", "color": "blue"});
    let claims = claims.as_object().unwrap();
    let query = "hub=chat&room=7&access_token=hush&id=hush";
    upstream.client(&ClientFacts { connection_id: "conn-1", hub: "chat", user: Some("alice"), claims, query })
}

/// `Foo` of a JSON client, that awaits an answer by the name of 1 or none.
fn foo(invocation_id: Option<&str>) -> Message<'_> {
    let forwarded = Bytes::from_static(br#"{"type":1,"target":"Foo","arguments":[1]}"#);
    Message { target: "Foo", invocation_id, protocol: Protocol::Json, forwarded }
}

async fn invoke(upstream: &Upstream) -> Reply {
    upstream.message(&alice(upstream), &foo(Some("1"))).await
}

/// What a client that invokes gets from webhooks that answer so.
async fn answer_of(webhook: &Webhook) -> Answer {
    invoke(&upstream(everything_to(&webhook.url("/")))).await.answer
}

fn failed(error: &str) -> Answer {
    Answer::Failed(error.to_owned())
}
