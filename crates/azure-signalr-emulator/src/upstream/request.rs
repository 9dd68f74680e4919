//! What an upstream is told: headers that say of whom and of what, and a body.
//!
//! User ids, claims and names of events are texts of strangers, and a header cannot hold every text. As far as it can
//! they travel as the service sends them: as UTF-8, unescaped. See `header_value` for the rest.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

use super::header_value::{Charset, header_value};
use super::signature;
use crate::AccessKey;
use crate::protocol::Protocol;

const CONNECTION_ID: HeaderName = HeaderName::from_static("x-asrs-connection-id");
const HUB: HeaderName = HeaderName::from_static("x-asrs-hub");
const CATEGORY: HeaderName = HeaderName::from_static("x-asrs-category");
const EVENT: HeaderName = HeaderName::from_static("x-asrs-event");
const USER_ID: HeaderName = HeaderName::from_static("x-asrs-user-id");
const USER_CLAIMS: HeaderName = HeaderName::from_static("x-asrs-user-claims");
const CLIENT_QUERY: HeaderName = HeaderName::from_static("x-asrs-client-query");
const SIGNATURE: HeaderName = HeaderName::from_static("x-asrs-signature");

/// Parameters of a client's query that are secrets between it and the service.
const SECRET_PARAMETERS: [&str; 2] = ["access_token", "id"];

/// What is known of a client when it connects.
pub(crate) struct ClientFacts<'a> {
    /// The public id, never the secret one.
    pub(crate) connection_id: &'a str,
    /// The hub, application included, in lower case.
    pub(crate) hub: &'a str,
    pub(crate) user: Option<&'a str>,
    /// Everything its token said.
    pub(crate) claims: &'a Map<String, Value>,
    /// The query of the request it connected with, as it came, without `?`.
    pub(crate) query: &'a str,
}

/// A client as its upstream gets to know it: made once for each connection. It holds no token, but claims and a
/// signature, so it has no `Debug`.
pub(crate) struct Client {
    pub(super) hub: String,
    headers: HeaderMap,
}

/// What has happened to a client.
pub(super) enum Event<'a> {
    Connected,
    /// With the reason, if the connection did not end well.
    Disconnected(Option<&'a str>),
    Message(&'a Message<'a>),
}

/// What a client says to its upstream.
pub(crate) struct Message<'a> {
    /// The hub method, as the client spells it.
    pub(crate) target: &'a str,
    /// By what name it awaits an answer; `None` if it awaits none.
    pub(crate) invocation_id: Option<&'a str>,
    /// Which the client speaks.
    pub(crate) protocol: Protocol,
    /// The whole message without framing: no 0x1E after JSON, no length before MessagePack.
    pub(crate) forwarded: Bytes,
}

impl Client {
    pub(super) fn new(facts: &ClientFacts<'_>, keys: &[AccessKey]) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONNECTION_ID, header_value(facts.connection_id, Charset::Ascii));
        headers.insert(HUB, header_value(facts.hub, Charset::Ascii));
        headers.insert(
            SIGNATURE,
            secret(header_value(&signature::sign(keys, facts.connection_id), Charset::Ascii)),
        );
        if let Some(user) = facts.user.filter(|user| !user.is_empty()) {
            headers.insert(USER_ID, header_value(user, Charset::Utf8));
        }
        let claims = claims(facts.claims);
        if !claims.is_empty() {
            headers.insert(USER_CLAIMS, secret(header_value(&claims, Charset::Utf8)));
        }
        if let Some(query) = client_query(facts.query) {
            headers.insert(CLIENT_QUERY, secret(header_value(&query, Charset::Ascii)));
        }
        Self { hub: facts.hub.to_owned(), headers }
    }

    pub(super) fn headers(&self, event: &Event<'_>) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(CATEGORY, HeaderValue::from_static(event.category()));
        headers.insert(EVENT, header_value(event.name(), Charset::Utf8));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(event.content_type()));
        headers
    }
}

impl<'a> Event<'a> {
    pub(super) fn category(&self) -> &'static str {
        match self {
            Self::Connected | Self::Disconnected(_) => "connections",
            Self::Message(_) => "messages",
        }
    }

    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected(_) => "disconnected",
            Self::Message(message) => message.target,
        }
    }

    fn content_type(&self) -> &'static str {
        match self {
            Self::Message(Message { protocol: Protocol::MessagePack, .. }) => "application/x-msgpack",
            _ => "application/json",
        }
    }

    pub(super) fn body(&self) -> Bytes {
        match self {
            Self::Connected => Bytes::from_static(br#"{"type":10}"#),
            Self::Disconnected(None) => Bytes::from_static(br#"{"type":11}"#),
            Self::Disconnected(Some(error)) => disconnected_body(error).into(),
            Self::Message(message) => message.forwarded.clone(),
        }
    }
}

fn disconnected_body(error: &str) -> String {
    #[derive(Serialize)]
    struct Disconnected<'a> {
        r#type: u8,
        error: &'a str,
    }
    serde_json::to_string(&Disconnected { r#type: 11, error }).expect("a number and a text always serialise")
}

/// `name: value` for every claim of the token, under its name there, with `, ` between; a claim given more than once
/// is several. Nothing escapes a comma inside a value: receivers would not undo it, and the service does not do it.
fn claims(claims: &Map<String, Value>) -> String {
    let each = claims.iter().flat_map(|(name, value)| match value {
        Value::Array(values) => values.iter().map(|value| claim(name, value)).collect(),
        value => vec![claim(name, value)],
    });
    each.collect::<Vec<_>>().join(", ")
}

fn claim(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => [name, ": ", text].concat(),
        value => format!("{name}: {value}"),
    }
}

/// The query with a leading `?`, byte for byte but for what is secret; `None` if nothing is left.
fn client_query(query: &str) -> Option<String> {
    let public = query.split('&').filter(|pair| !pair.is_empty() && !is_secret(pair));
    let public: Vec<_> = public.collect();
    (!public.is_empty()).then(|| ["?", &public.join("&")].concat())
}

fn is_secret(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
    let name = percent_decode_str(&name).decode_utf8_lossy();
    SECRET_PARAMETERS.iter().any(|secret| secret.eq_ignore_ascii_case(name.trim()))
}

/// Whoever logs headers hides this one.
fn secret(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn client(user: Option<&str>, claims: &Value, query: &str) -> HeaderMap {
        let claims = claims.as_object().unwrap();
        let facts = ClientFacts { connection_id: "conn-1", hub: "chat", user, claims, query };
        Client::new(&facts, &[AccessKey::official_emulator()]).headers(&Event::Connected)
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        std::str::from_utf8(headers[name].as_bytes()).unwrap()
    }

    #[test]
    fn case_74_headers_say_who_and_what() {
        let headers = client(Some("alice"), &json!({"name": "Alice"}), "hub=chat");
        let expected = [
            ("x-asrs-connection-id", "conn-1"),
            ("x-asrs-hub", "chat"),
            ("x-asrs-category", "connections"),
            ("x-asrs-event", "connected"),
            ("x-asrs-user-id", "alice"),
            ("x-asrs-user-claims", "name: Alice"),
            ("x-asrs-client-query", "?hub=chat"),
            ("x-asrs-signature", "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881"),
            ("content-type", "application/json"),
        ];
        for (name, value) in expected {
            assert_eq!(text(&headers, name), value, "{name}");
        }
        assert_eq!(headers.len(), expected.len());
    }

    #[test]
    fn what_is_empty_is_left_out() {
        for user in [None, Some("")] {
            let headers = client(user, &json!({}), "access_token=t");
            for name in ["x-asrs-user-id", "x-asrs-user-claims", "x-asrs-client-query"] {
                assert!(!headers.contains_key(name), "{name}");
            }
        }
    }

    #[test]
    fn case_79_the_query_keeps_everything_but_its_secrets() {
        let query = |query| client_query(query).unwrap();
        assert_eq!(query("hub=chat&access_token=t&room=a%26b+c&id=secret"), "?hub=chat&room=a%26b+c");
        assert_eq!(query("Access_Token=t&ID=x&id&a=1&&access%5Ftoken=t&%69d=x"), "?a=1");
        assert_eq!(query("idea=1&access_token_hint=2"), "?idea=1&access_token_hint=2");
        assert_eq!(client_query("id=x"), None);
    }

    #[test]
    fn claims_are_written_as_receivers_read_them() {
        let said = json!({"role": ["admin", "user"], "age": 7, "ok": true, "who": {"a": 1}, "n": "x, y"});
        let written = claims(said.as_object().unwrap());
        let mut each: Vec<_> = written.split(", ").collect();
        each.sort_unstable();
        assert_eq!(each, ["age: 7", "n: x", "ok: true", "role: admin", "role: user", "who: {\"a\":1}", "y"]);
    }

    #[test]
    fn a_text_cannot_end_its_header() {
        let headers = client(Some("a\r\nX-ASRS-Hub: other\0"), &json!({"n\n": "\r"}), "hub=chat");
        assert_eq!(text(&headers, "x-asrs-user-id"), "a%0D%0AX-ASRS-Hub: other%00");
        assert_eq!(text(&headers, "x-asrs-user-claims"), "n%0A: %0D");
        assert_eq!(text(&headers, "x-asrs-hub"), "chat");
    }

    #[test]
    fn users_of_any_script_are_sent_as_utf8_and_queries_are_escaped() {
        let headers = client(Some("Zoë 😀"), &json!({"n": "é"}), "n=é");
        assert_eq!(text(&headers, "x-asrs-user-id"), "Zoë 😀");
        assert_eq!(text(&headers, "x-asrs-user-claims"), "n: é");
        assert_eq!(text(&headers, "x-asrs-client-query"), "?n=%C3%A9");
    }

    #[test]
    fn case_75_messages_go_as_they_came() {
        let message = |protocol| Message {
            target: "Foo",
            invocation_id: None,
            protocol,
            forwarded: Bytes::from_static(b"as it came"),
        };
        let (json, message_pack) = (message(Protocol::Json), message(Protocol::MessagePack));
        let (json, message_pack) = (Event::Message(&json), Event::Message(&message_pack));
        assert_eq!(
            (json.category(), json.name(), json.content_type()),
            ("messages", "Foo", "application/json")
        );
        assert_eq!(message_pack.content_type(), "application/x-msgpack");
        assert_eq!(message_pack.body(), "as it came");
    }

    #[test]
    fn case_77_a_disconnection_tells_an_error_if_there_was_one() {
        assert_eq!(Event::Connected.body(), r#"{"type":10}"#);
        assert_eq!(Event::Disconnected(None).body(), r#"{"type":11}"#);
        assert_eq!(Event::Disconnected(Some("a \"b\"")).body(), r#"{"type":11,"error":"a \"b\""}"#);
    }

    #[test]
    fn signature_claims_and_query_do_not_print() {
        let printed = format!("{:?}", client(Some("alice"), &json!({"n": "hush"}), "room=hush"));
        assert!(!printed.contains("hush") && !printed.contains("sha256"), "{printed}");
    }

    proptest! {
        #[test]
        fn no_secret_is_left_in_a_query(pairs in prop::collection::vec("(id|ID|access_token|%69d|a|b)(=[a-z]{0,3})?", 0..6)) {
            let left = client_query(&pairs.join("&")).unwrap_or_default();
            for (name, _) in url::form_urlencoded::parse(left.trim_start_matches('?').as_bytes()) {
                prop_assert!(name == "a" || name == "b", "{}", left);
            }
        }
    }
}
