//! The upstream of serverless mode: webhooks that hear of connections, and answer what clients invoke.
//!
//! ```text
//! settings (templates) ─────┐
//! request (signature, body) ┴─> posting ─> answer (completion) ─> the client
//!                                  └────> post, for the journal
//! ```
//!
//! Nothing here keeps events in order: whoever calls waits for `connected` before the first `message` of a connection,
//! for each message before the next, and calls `disconnected` once and last. A call that is dropped is not posted.

mod answer;
mod completion;
mod header_value;
mod options;
mod pattern;
mod post;
mod posting;
mod request;
mod settings;
mod signature;
mod templates;
#[cfg(test)]
mod tests;
mod url_template;

use tokio::time::Instant;
use tracing::{debug, warn};

use crate::AccessKey;
use posting::{Answered, Failure, LARGEST_ANSWER, Parcel, Posting, UNREAD_ANSWER};
use request::Event;
use settings::Settings;
use templates::Template;

pub(crate) use answer::Answer;
pub use options::{TemplateSource, UpstreamOptions};
pub(crate) use post::{Outcome, Post};
pub(crate) use request::{Client, ClientFacts, Message};
pub use templates::{InvalidTemplates, Templates};

/// The upstream of one service.
pub(crate) struct Upstream {
    settings: Settings,
    posting: Posting,
    keys: Vec<AccessKey>,
}

/// What came of a client's message.
#[derive(Debug)]
pub(crate) struct Reply {
    /// What the client gets.
    pub(crate) answer: Answer,
    /// What was posted; `None` if no template matches.
    pub(crate) post: Option<Post>,
}

impl Upstream {
    /// Reads the templates, if they are in a file. Each of the keys signs.
    pub(crate) fn new(options: UpstreamOptions, keys: &[AccessKey]) -> Self {
        let posting = Posting::new(&options);
        let settings = Settings::new(options.templates, Instant::now());
        Self { settings, posting, keys: keys.to_vec() }
    }

    /// Whether there is any template now.
    pub(crate) fn is_configured(&self) -> bool {
        !self.settings.templates(Instant::now()).is_empty()
    }

    /// Gets a connection ready to be told of. Its signature and headers are made once, here.
    pub(crate) fn client(&self, facts: &ClientFacts<'_>) -> Client {
        Client::new(facts, &self.keys)
    }

    /// Tells that a client has connected. However the upstream answers, the client may stay.
    pub(crate) async fn connected(&self, client: &Client) -> Option<Post> {
        self.tell(client, &Event::Connected).await
    }

    /// Tells that a client is gone, and why if it did not end well.
    pub(crate) async fn disconnected(&self, client: &Client, error: Option<&str>) -> Option<Post> {
        self.tell(client, &Event::Disconnected(error)).await
    }

    /// Hands a message over, and says what its client gets.
    pub(crate) async fn message(&self, client: &Client, message: &Message<'_>) -> Reply {
        let event = Event::Message(message);
        let Some((outcome, post)) = self.deliver(client, &event).await else {
            let answer = Answer::unmatched(message, &self.why_unmatched(client, &event));
            let event = post::shown(event.name());
            debug!(hub = client.hub, event, "no upstream template matches {event:?} of hub {}", client.hub);
            return Reply { answer, post: None };
        };
        let answer = Answer::of(outcome, message);
        if let (Answer::Failed(error), true) = (&answer, post.outcome.is_success()) {
            warn!(
                hub = client.hub,
                event = post.event,
                "no use to the client that invoked {:?}: {error}",
                post.event
            );
        }
        Reply { answer, post: Some(post) }
    }

    async fn tell(&self, client: &Client, event: &Event<'_>) -> Option<Post> {
        self.deliver(client, event).await.map(|(_, post)| post)
    }

    /// Posts an event by the first template that matches, and logs how it went.
    async fn deliver(&self, client: &Client, event: &Event<'_>) -> Option<(Result<Answered, Failure>, Post)> {
        let began = Instant::now();
        let templates = self.settings.templates(began);
        let template = templates.find(&client.hub, event.category(), event.name())?;
        let (url, outcome) = self.post(client, event, template).await;
        let post = Post {
            category: event.category(),
            event: post::shown(event.name()),
            url,
            outcome: match &outcome {
                Ok(answered) => Outcome::Answered(answered.status),
                Err(failure) => Outcome::Failed(failure.clone()),
            },
            took: began.elapsed(),
        };
        log(client, &post);
        Some((outcome, post))
    }

    async fn post(
        &self,
        client: &Client,
        event: &Event<'_>,
        template: &Template,
    ) -> (Option<String>, Result<Answered, Failure>) {
        let Some(url) = template.url(&client.hub, event.category(), event.name()) else {
            return (None, Err(Failure::NoAddress));
        };
        let shown = post::shown_address(&url);
        let awaited = matches!(event, Event::Message(Message { invocation_id: Some(_), .. }));
        let largest_answer = if awaited { LARGEST_ANSWER } else { UNREAD_ANSWER };
        let parcel = Parcel { url, headers: client.headers(event), body: event.body(), largest_answer };
        (Some(shown), self.posting.post(parcel).await)
    }

    fn why_unmatched(&self, client: &Client, event: &Event<'_>) -> String {
        if self.is_configured() {
            let (hub, category, event) = (&client.hub, event.category(), event.name());
            format!("no upstream template matches hub '{hub}', category '{category}', event '{event}'")
        } else {
            "this emulator has no upstream configured".to_owned()
        }
    }
}

/// The one place that logs posts. Names of events are texts of clients, so they are quoted.
fn log(client: &Client, Post { category, event, url, outcome, took }: &Post) {
    let (hub, url, took_ms) = (&client.hub, url.as_deref().unwrap_or("nowhere"), took.as_millis());
    if outcome.is_success() {
        debug!(%hub, category, event, url, took_ms, "posted {event:?} of hub {hub} to {url}: {outcome}");
    } else {
        warn!(%hub, category, event, url, took_ms, "posted {event:?} of hub {hub} to {url}, in vain: {outcome}{}", outcome.hint());
    }
}
