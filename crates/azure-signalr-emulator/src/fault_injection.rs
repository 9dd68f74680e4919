//! What to do wrong next, on demand: the faults somebody has asked for, and whom each has struck how often.
//!
//! Pure rules without clock or socket. A fault that has struck as often as it was to strike stays in the list, so that
//! its count can still be read, until the list needs its place.

mod message;
mod request;

use serde::Serialize;

pub(crate) use message::{MessageFault, Treatment};
pub(crate) use request::{Effect, Face, Request, RequestFault, Strike};

/// Most faults at a time.
const MOST: usize = 100;

/// What is done to connections that are open, at once and once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// The transport goes without a word, as when a cable is pulled.
    Drop,
    /// Nothing is read or written until the thaw.
    Freeze,
    Thaw,
    /// The connection ends as it would at the end of its access token.
    Expire,
}

/// Names a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct FaultId(pub(crate) u64);

/// What a fault does, and to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Rule {
    Request(RequestFault),
    Message(MessageFault),
}

/// One fault somebody has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    id: FaultId,
    #[serde(flatten)]
    rule: Rule,
    /// How often it will still strike; without it for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    struck: u64,
}

/// There are as many faults as there may be, and all of them would still strike.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyFaults;

/// The faults there are, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
    last_id: u64,
}

impl Faults {
    /// Adds a fault that strikes `times` times, or until it is removed.
    pub(crate) fn add(&mut self, rule: Rule, times: Option<u32>) -> Result<&Fault, TooManyFaults> {
        if self.faults.len() == MOST {
            let spent = self.faults.iter().position(|fault| fault.left == Some(0)).ok_or(TooManyFaults)?;
            self.faults.remove(spent);
        }
        self.last_id += 1;
        self.faults.push(Fault { id: FaultId(self.last_id), rule, left: times, struck: 0 });
        self.faults.last().ok_or(TooManyFaults)
    }

    /// True if there was such a fault.
    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
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

    /// What befalls a request: every delay there is for it, and the first fault that ends it.
    pub(crate) fn strike(&mut self, request: Request<'_>) -> Strike {
        let mut strike = Strike::default();
        for fault in &mut self.faults {
            if let Rule::Request(rule) = &fault.rule
                && rule.fits(request)
                && strike.leaves_room_for(&rule.effect)
                && fault.left != Some(0)
            {
                strike.add(&rule.effect);
                fault.count();
            }
        }
        strike
    }

    /// What befalls a message to a hub, whoever of it is meant.
    pub(crate) fn treat_hub(&mut self, hub: &str) -> Treatment {
        self.treat(|rule| rule.is_for_hub(hub))
    }

    /// What befalls a message to one connection.
    pub(crate) fn treat_connection(&mut self, hub: &str, connection: &str) -> Treatment {
        self.treat(|rule| rule.is_for_connection(hub, connection))
    }

    /// The first fault that fits.
    fn treat(&mut self, fits: impl Fn(&MessageFault) -> bool) -> Treatment {
        for fault in &mut self.faults {
            if let Rule::Message(rule) = &fault.rule
                && fault.left != Some(0)
                && fits(rule)
            {
                let treatment = rule.treatment;
                fault.count();
                return treatment;
            }
        }
        Treatment::Deliver
    }
}

impl Fault {
    fn count(&mut self) {
        self.struck += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn on(face: Face, effect: Effect) -> Rule {
        Rule::Request(RequestFault { on: face, hub: None, path: None, effect })
    }

    fn answer(status: u16) -> Effect {
        Effect::Answer { status, retry_after_seconds: None }
    }

    fn rest() -> Request<'static> {
        Request { face: Face::Rest, hub: Some("chat"), path: "/api/hubs/chat/:send" }
    }

    fn struck(faults: &Faults) -> Vec<u64> {
        faults.all().iter().map(|fault| fault.struck).collect()
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_should_and_then_behaves() {
        let mut faults = Faults::default();
        faults.add(on(Face::Rest, answer(429)), Some(2)).unwrap();
        for _ in 0..2 {
            assert_eq!(faults.strike(rest()).end, Some(answer(429)));
        }
        assert_eq!(faults.strike(rest()), Strike::default());
        assert_eq!(struck(&faults), [2]);
    }

    #[test]
    fn delays_add_up_and_the_first_end_is_the_end() {
        let mut faults = Faults::default();
        let delay = Effect::Delay { milliseconds: 30 };
        for effect in [delay.clone(), answer(500), delay, answer(503), Effect::Refuse] {
            faults.add(on(Face::Rest, effect), None).unwrap();
        }
        let strike = faults.strike(rest());
        assert_eq!(strike, Strike { delay: Duration::from_millis(60), end: Some(answer(500)) });
        assert_eq!(struck(&faults), [1, 1, 1, 0, 0]);
    }

    #[test]
    fn other_faces_are_spared() {
        let mut faults = Faults::default();
        faults.add(on(Face::Negotiate, Effect::Refuse), None).unwrap();
        faults.add(on(Face::Connect, Effect::Refuse), None).unwrap();
        assert_eq!(faults.strike(rest()), Strike::default());
        let connect = Request { face: Face::Connect, hub: None, path: "/client/" };
        assert_eq!(faults.strike(connect).end, Some(Effect::Refuse));
    }

    #[test]
    fn messages_to_a_hub_and_to_one_of_its_connections_are_counted_apart() {
        let mut faults = Faults::default();
        let rule = |connection: Option<&str>, treatment| {
            Rule::Message(MessageFault {
                hub: "chat".into(),
                connection: connection.map(Into::into),
                treatment,
            })
        };
        faults.add(rule(None, Treatment::Duplicate), Some(1)).unwrap();
        faults.add(rule(Some("c"), Treatment::Drop), Some(1)).unwrap();
        assert_eq!(faults.treat_hub("other"), Treatment::Deliver);
        assert_eq!(faults.treat_hub("chat"), Treatment::Duplicate);
        assert_eq!(faults.treat_hub("chat"), Treatment::Deliver);
        assert_eq!(faults.treat_connection("chat", "d"), Treatment::Deliver);
        assert_eq!(faults.treat_connection("chat", "c"), Treatment::Drop);
        assert_eq!(faults.treat_connection("chat", "c"), Treatment::Deliver);
    }

    #[test]
    fn there_are_a_hundred_at_most_and_the_spent_give_way() {
        let mut faults = Faults::default();
        faults.add(on(Face::Rest, answer(500)), Some(1)).unwrap();
        for _ in 1..MOST {
            faults.add(on(Face::Connect, Effect::Refuse), None).unwrap();
        }
        assert_eq!(faults.add(on(Face::Rest, Effect::Refuse), None), Err(TooManyFaults));
        faults.strike(rest());
        let added = faults.add(on(Face::Rest, Effect::Refuse), None).unwrap().id;
        assert_eq!((faults.all().len(), faults.all()[0].id), (MOST, FaultId(2)));
        assert!(faults.remove(added));
        assert!(!faults.remove(added));
        faults.clear();
        assert!(faults.all().is_empty());
    }

    #[test]
    fn a_fault_tells_what_it_does() {
        let mut faults = Faults::default();
        let effect = Effect::Answer { status: 429, retry_after_seconds: Some(3) };
        let rule = RequestFault { on: Face::Rest, hub: Some("chat".into()), path: None, effect };
        let fault = faults.add(Rule::Request(rule), Some(2)).unwrap();
        assert_eq!(
            serde_json::to_string(fault).unwrap(),
            r#"{"id":1,"on":"rest","hub":"chat","effect":"answer","status":429,"retryAfterSeconds":3,"left":2,"struck":0}"#
        );
    }
}
