//! Headers and body of the webhook request about one event.
//!
//! User ids, claims and names of events are sent as UTF-8, as Azure does; see [`header_value`] for what a header cannot hold.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::access_key::AccessKey;
use crate::hub::{ConnectionId, HubName, UserId};
use crate::protocol::Protocol;

const CONNECTION_ID: HeaderName = HeaderName::from_static("x-asrs-connection-id");
const HUB: HeaderName = HeaderName::from_static("x-asrs-hub");
const CATEGORY: HeaderName = HeaderName::from_static("x-asrs-category");
const EVENT: HeaderName = HeaderName::from_static("x-asrs-event");
const USER_ID: HeaderName = HeaderName::from_static("x-asrs-user-id");
const USER_CLAIMS: HeaderName = HeaderName::from_static("x-asrs-user-claims");
const CLIENT_QUERY: HeaderName = HeaderName::from_static("x-asrs-client-query");
const SIGNATURE: HeaderName = HeaderName::from_static("x-asrs-signature");

/// Parameters of a client's query that the upstream must not see.
const SECRET_PARAMETERS: [&str; 2] = ["access_token", "id"];

/// A client, as long as it is connected. No `Debug`: it holds claims. Headers are made from it when an event is sent, which may be
/// never, and with the access keys of that time.
pub(crate) struct ClientDetails {
    pub(crate) connection_id: ConnectionId,
    pub(crate) hub: HubName,
    pub(crate) user: Option<UserId>,
    /// The payload of its access token: JSON in base64url.
    claims: Box<str>,
    /// The query of its request as the upstream gets it.
    query: Option<Box<str>>,
}

/// An event of a client.
pub(super) enum Event<'a> {
    Connected,
    /// With the error that ended the connection, if any.
    Disconnected(Option<&'a str>),
    Invocation(&'a Invocation<'a>),
}

/// An invocation by a client.
pub(crate) struct Invocation<'a> {
    /// The hub method, as the client spells it.
    pub(crate) target: &'a str,
    /// The id of the completion that the client awaits; `None` if it awaits none.
    pub(crate) invocation_id: Option<&'a str>,
    /// The hub protocol of the client.
    pub(crate) protocol: Protocol,
    /// The message without framing: no 0x1E after JSON, no length before MessagePack.
    pub(crate) forwarded: Bytes,
}

impl ClientDetails {
    /// `claims` is the payload of the client's access token, and `query` that of its request, without `?`.
    pub(crate) fn new(
        connection_id: ConnectionId,
        hub: HubName,
        user: Option<UserId>,
        claims: &str,
        query: &str,
    ) -> Self {
        Self { connection_id, hub, user, claims: claims.into(), query: client_query(query).map(String::into_boxed_str) }
    }

    /// The headers of the request about an event, with a signature by each of the keys.
    pub(super) fn headers(&self, event: &Event<'_>, keys: &[AccessKey]) -> HeaderMap {
        let connection_id = self.connection_id.as_str();
        let mut headers = HeaderMap::with_capacity(9);
        headers.insert(CONNECTION_ID, header_value(connection_id, Charset::Ascii));
        headers.insert(HUB, header_value(self.hub.as_str(), Charset::Ascii));
        headers.insert(SIGNATURE, sensitive(header_value(&sign(keys, connection_id), Charset::Ascii)));
        if let Some(user) = &self.user {
            headers.insert(USER_ID, header_value(user.as_str(), Charset::Utf8));
        }
        let claims = claims(&decode_claims(&self.claims));
        if !claims.is_empty() {
            headers.insert(USER_CLAIMS, sensitive(header_value(&claims, Charset::Utf8)));
        }
        if let Some(query) = &self.query {
            headers.insert(CLIENT_QUERY, sensitive(header_value(query, Charset::Ascii)));
        }
        headers.insert(CATEGORY, HeaderValue::from_static(event.category()));
        headers.insert(EVENT, header_value(event.name(), Charset::Utf8));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(event.content_type()));
        headers
    }
}

/// The claims of a verified token, which decode.
fn decode_claims(payload: &str) -> Map<String, Value> {
    let json = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

impl<'a> Event<'a> {
    pub(super) fn category(&self) -> &'static str {
        match self {
            Self::Connected | Self::Disconnected(_) => "connections",
            Self::Invocation(_) => "messages",
        }
    }

    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected(_) => "disconnected",
            Self::Invocation(message) => message.target,
        }
    }

    fn content_type(&self) -> &'static str {
        match self {
            Self::Invocation(Invocation { protocol: Protocol::MessagePack, .. }) => "application/x-msgpack",
            _ => "application/json",
        }
    }

    pub(super) fn body(&self) -> Bytes {
        match self {
            Self::Connected => Bytes::from_static(br#"{"type":10}"#),
            Self::Disconnected(None) => Bytes::from_static(br#"{"type":11}"#),
            Self::Disconnected(Some(error)) => disconnected_body(error).into(),
            Self::Invocation(message) => message.forwarded.clone(),
        }
    }
}

fn disconnected_body(error: &str) -> String {
    #[derive(Serialize)]
    struct Disconnected<'a> {
        r#type: u8,
        error: &'a str,
    }
    serde_json::to_string(&Disconnected { r#type: 11, error }).expect("a number and a string serialize")
}

/// `name: value` for every claim, joined with `, `; an array is several claims. As in Azure, commas in values are not escaped.
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

/// The query with a leading `?`, without secret parameters; `None` if nothing is left.
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

/// Keeps the value out of `Debug` of the headers.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Which characters of a text stay unescaped in a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    /// For user ids, claims and events, as in Azure.
    Utf8,
}

/// Makes any text a header value: control characters, spaces at either end, and characters outside of the set become `%XX` of their
/// UTF-8 bytes. `%` is not escaped, since receivers decode nothing.
fn header_value(text: &str, charset: Charset) -> HeaderValue {
    let inner = text.len() - text.trim_start_matches(' ').len()..text.trim_end_matches(' ').len();
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let is_kept = match character {
            ' ' => inner.contains(&at),
            character => !character.is_ascii_control() && (charset == Charset::Utf8 || character.is_ascii()),
        };
        if is_kept {
            escaped.push(character);
        } else {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).bytes();
            bytes.for_each(|byte| escaped.push_str(percent_encoding::percent_encode_byte(byte)));
        }
    }
    HeaderValue::from_bytes(escaped.as_bytes()).expect("control characters are escaped, and all others are valid")
}

/// The header `X-ASRS-Signature`: `sha256=…` with the HMAC-SHA256 of the connection id in lower-case hex, for each key. Receivers
/// split it at commas without trimming.
fn sign(keys: &[AccessKey], connection_id: &str) -> String {
    let signatures: Vec<_> = keys.iter().map(|key| sign_with(key, connection_id)).collect();
    signatures.join(",")
}

fn sign_with(key: &AccessKey, connection_id: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_str().as_bytes()).expect("HMAC accepts keys of any length");
    mac.update(connection_id.as_bytes());
    let mut signature = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(signature, "{byte:02x}").expect("writing to a string cannot fail");
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn client(user: Option<&str>, claims: &Value, query: &str) -> HeaderMap {
        let (connection_id, hub) = (ConnectionId::new("conn-1"), HubName::of_client("chat").unwrap());
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let details = ClientDetails::new(connection_id, hub, user.and_then(UserId::new), &claims, query);
        details.headers(&Event::Connected, &[AccessKey::official_emulator()])
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        std::str::from_utf8(headers[name].as_bytes()).unwrap()
    }

    #[test]
    fn case_74_headers_name_client_and_event() {
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
    fn empty_headers_are_left_out() {
        for user in [None, Some("")] {
            let headers = client(user, &json!({}), "access_token=t");
            for name in ["x-asrs-user-id", "x-asrs-user-claims", "x-asrs-client-query"] {
                assert!(!headers.contains_key(name), "{name}");
            }
        }
    }

    #[test]
    fn case_79_the_query_keeps_all_but_secret_parameters() {
        let query = |query| client_query(query).unwrap();
        assert_eq!(query("hub=chat&access_token=t&room=a%26b+c&id=secret"), "?hub=chat&room=a%26b+c");
        assert_eq!(query("Access_Token=t&ID=x&id&a=1&&access%5Ftoken=t&%69d=x"), "?a=1");
        assert_eq!(query("idea=1&access_token_hint=2"), "?idea=1&access_token_hint=2");
        assert_eq!(client_query("id=x"), None);
    }

    #[test]
    fn claims_are_written_as_receivers_parse_them() {
        let object = json!({"role": ["admin", "user"], "age": 7, "ok": true, "who": {"a": 1}, "n": "x, y"});
        let written = claims(object.as_object().unwrap());
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
    fn case_75_invocations_are_forwarded_unchanged() {
        let forwarded = Bytes::from_static(b"unchanged");
        let message =
            |protocol| Invocation { target: "Foo", invocation_id: None, protocol, forwarded: forwarded.clone() };
        let (json, message_pack) = (message(Protocol::Json), message(Protocol::MessagePack));
        let (json, message_pack) = (Event::Invocation(&json), Event::Invocation(&message_pack));
        assert_eq!((json.category(), json.name(), json.content_type()), ("messages", "Foo", "application/json"));
        assert_eq!(message_pack.content_type(), "application/x-msgpack");
        assert_eq!(message_pack.body(), "unchanged");
    }

    #[test]
    fn case_77_disconnected_has_the_error_if_there_was_one() {
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

    #[test]
    fn spaces_at_the_ends_are_escaped() {
        let value = |text| header_value(text, Charset::Utf8);
        assert_eq!(value(" a b  "), "%20a b%20%20");
        assert_eq!(value("  "), "%20%20");
        assert_eq!(value("100%"), "100%");
        assert_eq!(value(""), "");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_header_value(text in ".*|[\\x00-\\x7f]{0,20}") {
            for charset in [Charset::Ascii, Charset::Utf8] {
                let value = header_value(&text, charset);
                prop_assert!(value.as_bytes().iter().all(|byte| *byte >= b' ' && *byte != 0x7f));
                prop_assert_eq!(value.as_bytes().trim_ascii(), value.as_bytes());
                prop_assert!(charset == Charset::Utf8 || value.to_str().is_ok());
            }
        }
    }

    /// Made by another implementation with the key of the official emulator.
    const VECTOR: &str = "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881";

    #[test]
    fn case_74_the_signature_matches_a_known_one() {
        assert_eq!(sign(&[AccessKey::official_emulator()], "conn-1"), VECTOR);
    }

    #[test]
    fn there_is_a_signature_by_each_key() {
        let keys = [AccessKey::new("other").unwrap(), AccessKey::official_emulator()];
        let signatures = sign(&keys, "conn-1");
        let (first, second) = signatures.split_once(',').unwrap();
        assert_ne!(first, second);
        assert_eq!(second, VECTOR);
    }
}
