//! The faults that a control API caller injects: rules for requests and messages, and how often each was applied.
//!
//! Pure state without clock or socket. A fault that was applied for the last time stays listed with its count until a new fault
//! needs its place.

use std::time::Duration;

use serde::Serialize;

/// Maximum number of faults.
const MAX_FAULTS: usize = 100;

/// An action on open connections, executed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionAction {
    /// Drops the transport without a Close message.
    Drop,
    /// Stops reading and writing until `Thaw`.
    Freeze,
    Thaw,
    /// Ends the connection as if its access token had expired.
    Expire,
}

/// What a fault does, and to which requests or messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum FaultRule {
    Request(RequestFault),
    Message(MessageFault),
}

/// A fault for requests. It applies before any other handling: a request that it ends has no other effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RequestFault {
    pub(crate) on: Endpoint,
    /// Only requests for this hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hub: Option<String>,
    /// Only requests whose undecoded path has this prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(flatten)]
    pub(crate) effect: RequestEffect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Endpoint {
    Rest,
    Negotiate,
    /// All requests to `/client/`: upgrades, event streams, polls and posts.
    Connect,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "effect", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum RequestEffect {
    /// Closes the socket without a response.
    Refuse,
    /// Serves the request after a delay.
    Delay { milliseconds: u64 },
    /// Responds with this status.
    Answer {
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
}

/// The properties of a request that rules compare.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) endpoint: Endpoint,
    /// The normalized hub name: lower case, with the application. `None` if the request names no hub.
    pub(crate) hub: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// The combined effect of all faults on one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InjectedFaults {
    /// How long the request waits first.
    pub(crate) delay: Duration,
    /// `Refuse` or `Answer`. Without it the request is served.
    pub(crate) end: Option<RequestEffect>,
}

/// A fault for messages to clients. Without a connection it counts each message to the hub once, however many clients receive
/// it; with a connection it counts the messages to that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MessageFault {
    /// The normalized hub name.
    pub(crate) hub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<String>,
    pub(crate) effect: MessageEffect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum MessageEffect {
    /// No fault.
    #[serde(skip)]
    Deliver,
    /// Sends the message twice.
    Duplicate,
    /// Sends the message after the next one.
    Reorder,
    Drop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    id: u64,
    #[serde(flatten)]
    rule: FaultRule,
    /// How often the fault will still be applied; `None` for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    /// How often the fault was applied.
    #[serde(rename = "struck")]
    applied: u64,
}

/// The maximum number of faults is reached, and all are still active.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyFaults;

/// All faults, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
    last_id: u64,
}

impl Faults {
    /// Adds a fault that is applied `times` times, or until it is removed.
    pub(crate) fn add(&mut self, rule: FaultRule, times: Option<u32>) -> Result<&Fault, TooManyFaults> {
        if self.faults.len() == MAX_FAULTS {
            let spent = self.faults.iter().position(|fault| fault.left == Some(0)).ok_or(TooManyFaults)?;
            self.faults.remove(spent);
        }
        self.last_id += 1;
        self.faults.push(Fault { id: self.last_id, rule, left: times, applied: 0 });
        self.faults.last().ok_or(TooManyFaults)
    }

    /// Removes a fault. False if it does not exist.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.faults.len();
        self.faults.retain(|fault| fault.id != id);
        self.faults.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn all(&self) -> &[Fault] {
        &self.faults
    }

    /// Applies to a request every matching delay and the first matching fault that ends it.
    pub(crate) fn apply_to_request(&mut self, request: RequestInfo<'_>) -> InjectedFaults {
        let mut injected = InjectedFaults::default();
        for fault in &mut self.faults {
            if let FaultRule::Request(rule) = &fault.rule
                && rule.matches(request)
                && fault.left != Some(0)
            {
                match &rule.effect {
                    RequestEffect::Delay { milliseconds } => {
                        injected.delay += Duration::from_millis(*milliseconds);
                    }
                    _ if injected.end.is_some() => continue,
                    end => injected.end = Some(end.clone()),
                }
                fault.count();
            }
        }
        injected
    }

    /// The effect on a message to a hub or to any part of it.
    pub(crate) fn apply_to_hub(&mut self, hub: &str) -> MessageEffect {
        self.apply_to_message(|rule| rule.connection.is_none() && rule.hub == hub)
    }

    /// Whether there is a fault for messages.
    pub(crate) fn affect_messages(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.rule, FaultRule::Message(_)))
    }

    /// Whether there is a fault for messages to a connection.
    pub(crate) fn affect_connections(&self) -> bool {
        self.faults.iter().any(|fault| matches!(&fault.rule, FaultRule::Message(rule) if rule.connection.is_some()))
    }

    /// The effect on a message to one connection.
    pub(crate) fn apply_to_connection(&mut self, hub: &str, connection: &str) -> MessageEffect {
        self.apply_to_message(|rule| rule.connection.as_deref() == Some(connection) && rule.hub == hub)
    }

    fn apply_to_message(&mut self, matches: impl Fn(&MessageFault) -> bool) -> MessageEffect {
        for fault in &mut self.faults {
            if let FaultRule::Message(rule) = &fault.rule
                && fault.left != Some(0)
                && matches(rule)
            {
                let effect = rule.effect;
                fault.count();
                return effect;
            }
        }
        MessageEffect::Deliver
    }
}

impl Fault {
    fn count(&mut self) {
        self.applied += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}

impl RequestFault {
    fn matches(&self, request: RequestInfo<'_>) -> bool {
        self.on == request.endpoint
            && self.hub.as_deref().is_none_or(|hub| request.hub == Some(hub))
            && self.path.as_deref().is_none_or(|path| request.path.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(endpoint: Endpoint, effect: RequestEffect) -> FaultRule {
        FaultRule::Request(RequestFault { on: endpoint, hub: None, path: None, effect })
    }

    fn answer(status: u16) -> RequestEffect {
        RequestEffect::Answer { status, retry_after_seconds: None }
    }

    fn rest() -> RequestInfo<'static> {
        RequestInfo { endpoint: Endpoint::Rest, hub: Some("chat"), path: "/api/hubs/chat/:send" }
    }

    fn applied(faults: &Faults) -> Vec<u64> {
        faults.all().iter().map(|fault| fault.applied).collect()
    }

    #[test]
    fn a_fault_is_applied_as_often_as_asked_for() {
        let mut faults = Faults::default();
        faults.add(on(Endpoint::Rest, answer(429)), Some(2)).unwrap();
        for _ in 0..2 {
            assert_eq!(faults.apply_to_request(rest()).end, Some(answer(429)));
        }
        assert_eq!(faults.apply_to_request(rest()), InjectedFaults::default());
        assert_eq!(applied(&faults), [2]);
    }

    #[test]
    fn delays_add_up_and_the_first_ending_fault_counts() {
        let mut faults = Faults::default();
        let delay = RequestEffect::Delay { milliseconds: 30 };
        for effect in [delay.clone(), answer(500), delay, answer(503), RequestEffect::Refuse] {
            faults.add(on(Endpoint::Rest, effect), None).unwrap();
        }
        let injected = faults.apply_to_request(rest());
        assert_eq!(injected, InjectedFaults { delay: Duration::from_millis(60), end: Some(answer(500)) });
        assert_eq!(applied(&faults), [1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_fault_does_not_affect_other_endpoints() {
        let mut faults = Faults::default();
        faults.add(on(Endpoint::Negotiate, RequestEffect::Refuse), None).unwrap();
        faults.add(on(Endpoint::Connect, RequestEffect::Refuse), None).unwrap();
        assert_eq!(faults.apply_to_request(rest()), InjectedFaults::default());
        let connect = RequestInfo { endpoint: Endpoint::Connect, hub: None, path: "/client/" };
        assert_eq!(faults.apply_to_request(connect).end, Some(RequestEffect::Refuse));
    }

    #[test]
    fn messages_to_a_hub_and_to_a_connection_are_counted_separately() {
        let mut faults = Faults::default();
        let rule = |connection: Option<&str>, effect| {
            FaultRule::Message(MessageFault { hub: "chat".into(), connection: connection.map(Into::into), effect })
        };
        faults.add(rule(None, MessageEffect::Duplicate), Some(1)).unwrap();
        faults.add(rule(Some("c"), MessageEffect::Drop), Some(1)).unwrap();
        assert_eq!(faults.apply_to_hub("other"), MessageEffect::Deliver);
        assert_eq!(faults.apply_to_hub("chat"), MessageEffect::Duplicate);
        assert_eq!(faults.apply_to_hub("chat"), MessageEffect::Deliver);
        assert_eq!(faults.apply_to_connection("chat", "d"), MessageEffect::Deliver);
        assert_eq!(faults.apply_to_connection("chat", "c"), MessageEffect::Drop);
        assert_eq!(faults.apply_to_connection("chat", "c"), MessageEffect::Deliver);
    }

    #[test]
    fn there_are_at_most_a_hundred_faults_and_spent_ones_are_replaced() {
        let mut faults = Faults::default();
        faults.add(on(Endpoint::Rest, answer(500)), Some(1)).unwrap();
        for _ in 1..MAX_FAULTS {
            faults.add(on(Endpoint::Connect, RequestEffect::Refuse), None).unwrap();
        }
        assert_eq!(faults.add(on(Endpoint::Rest, RequestEffect::Refuse), None), Err(TooManyFaults));
        faults.apply_to_request(rest());
        let added = faults.add(on(Endpoint::Rest, RequestEffect::Refuse), None).unwrap().id;
        assert_eq!((faults.all().len(), faults.all()[0].id), (MAX_FAULTS, 2));
        assert!(faults.remove(added));
        assert!(!faults.remove(added));
        faults.clear();
        assert!(faults.all().is_empty());
    }

    #[test]
    fn a_fault_is_serialized_with_its_rule_and_counts() {
        let mut faults = Faults::default();
        let effect = RequestEffect::Answer { status: 429, retry_after_seconds: Some(3) };
        let rule = RequestFault { on: Endpoint::Rest, hub: Some("chat".into()), path: None, effect };
        let fault = faults.add(FaultRule::Request(rule), Some(2)).unwrap();
        assert_eq!(
            serde_json::to_string(fault).unwrap(),
            r#"{"id":1,"on":"rest","hub":"chat","effect":"answer","status":429,"retryAfterSeconds":3,"left":2,"struck":0}"#
        );
    }

    #[test]
    fn hub_and_path_restrict_a_fault() {
        let fault = |hub: Option<&str>, path: Option<&str>| RequestFault {
            on: Endpoint::Rest,
            hub: hub.map(Into::into),
            path: path.map(Into::into),
            effect: RequestEffect::Refuse,
        };
        let send = RequestInfo { endpoint: Endpoint::Rest, hub: Some("chat"), path: "/api/hubs/chat/:send" };
        let health = RequestInfo { endpoint: Endpoint::Rest, hub: None, path: "/api/health" };
        assert!(fault(None, None).matches(send) && fault(None, None).matches(health));
        assert!(fault(Some("chat"), None).matches(send) && !fault(Some("chat"), None).matches(health));
        assert!(!fault(Some("news"), None).matches(send));
        assert!(fault(Some("chat"), Some("/api/hubs/")).matches(send));
        assert!(!fault(Some("chat"), Some("/api/v1/")).matches(send));
    }
}
