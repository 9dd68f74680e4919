//! Faults that strike requests, before the service has looked at them.
//!
//! A request that is to end badly has no further effect: it is not even asked for its token.

use std::time::Duration;

use serde::Serialize;

/// Which side of the service a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Face {
    Rest,
    Negotiate,
    /// Everything a client sends to `/client/`: upgrades, streams, polls, and posts.
    Connect,
}

/// What a request is told by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) face: Face,
    /// As hubs are compared: lower case, application included. `None` where the request names none.
    pub(crate) hub: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// What befalls which requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RequestFault {
    pub(crate) on: Face,
    /// Only requests for this hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hub: Option<String>,
    /// Only requests whose path, as it came, begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(flatten)]
    pub(crate) effect: Effect,
}

/// What befalls a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "effect", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Effect {
    /// The socket is closed instead of an answer.
    Refuse,
    /// It is served, but later.
    Delay { milliseconds: u64 },
    /// It is answered this at once.
    Answer {
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
}

/// What befalls one request, altogether.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Strike {
    /// How long it waits first.
    pub(crate) delay: Duration,
    /// Never a delay. Without it the request is served.
    pub(crate) end: Option<Effect>,
}

impl RequestFault {
    pub(super) fn fits(&self, request: Request<'_>) -> bool {
        self.on == request.face
            && self.hub.as_deref().is_none_or(|hub| request.hub == Some(hub))
            && self.path.as_deref().is_none_or(|path| request.path.starts_with(path))
    }
}

impl Strike {
    pub(super) fn leaves_room_for(&self, effect: &Effect) -> bool {
        self.end.is_none() || matches!(effect, Effect::Delay { .. })
    }

    pub(super) fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Delay { milliseconds } => self.delay += Duration::from_millis(*milliseconds),
            end => self.end = Some(end.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_and_path_narrow_down_what_is_struck() {
        let fault = |hub: Option<&str>, path: Option<&str>| RequestFault {
            on: Face::Rest,
            hub: hub.map(Into::into),
            path: path.map(Into::into),
            effect: Effect::Refuse,
        };
        let send = Request { face: Face::Rest, hub: Some("chat"), path: "/api/hubs/chat/:send" };
        let health = Request { face: Face::Rest, hub: None, path: "/api/health" };
        assert!(fault(None, None).fits(send) && fault(None, None).fits(health));
        assert!(fault(Some("chat"), None).fits(send) && !fault(Some("chat"), None).fits(health));
        assert!(!fault(Some("news"), None).fits(send));
        assert!(fault(Some("chat"), Some("/api/hubs/")).fits(send));
        assert!(!fault(Some("chat"), Some("/api/v1/")).fits(send));
    }
}
