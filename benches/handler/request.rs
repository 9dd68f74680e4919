//! The requests that are sent: those of the Functions host, with the headers the platform adds.
//!
//! They are made once, before anything is timed.

use serde_json::json;

/// Who signs in, as the platform's header says it.
pub(crate) const USER: &str = "alice@contoso.com";

/// What is said in every message.
pub(crate) const TEXT: &str = "Good morning, everyone! Shall we meet at ten, or is eleven better?";

const NAME: &str = "X-MS-CLIENT-PRINCIPAL-NAME";
const INVOCATION: &str = "X-Azure-Functions-InvocationId";
const INVOCATION_ID: &str = "0b8d1c52-6d0e-4f3a-9c1b-2f6f5a1e7d34";

/// A request as it is sent, head and body.
pub(crate) struct Request(String);

impl Request {
    /// The probe of the Functions host.
    pub(crate) fn probe() -> Self {
        Self("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned())
    }

    /// `POST /api/negotiate`, as the page calls it.
    pub(crate) fn negotiation() -> Self {
        Self::post("/api/negotiate?negotiateVersion=1", "")
    }

    /// `POST /api/messages` to everyone.
    pub(crate) fn message() -> Self {
        Self::post("/api/messages", &json!({ "text": TEXT, "recipient": null }).to_string())
    }

    /// `POST path` by [`USER`] with a JSON `body`, perhaps an empty one, with the headers the platform adds.
    fn post(path: &str, body: &str) -> Self {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let platform = format!("{INVOCATION}: {INVOCATION_ID}\r\n{NAME}: {USER}\r\n");
        Self(format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{platform}{kind}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// As it goes over the wire.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
