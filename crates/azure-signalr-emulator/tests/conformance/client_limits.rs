//! Limits for clients: the length of access tokens, and the number of connections.

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::json;

use crate::support::{Client, KEY, TestService, client_token, now, sign};

const WS: &str = "/client/?hub=chat";

/// How a client presents its access token.
#[derive(Debug, Clone, Copy)]
enum Place {
    Negotiation,
    WebSocketHeader,
    WebSocketQuery,
    EventStreamHeader,
    EventStreamQuery,
    Poll,
    Post,
    Delete,
}

impl Place {
    const ALL: [Self; 8] = [
        Self::Negotiation,
        Self::WebSocketHeader,
        Self::WebSocketQuery,
        Self::EventStreamHeader,
        Self::EventStreamQuery,
        Self::Poll,
        Self::Post,
        Self::Delete,
    ];

    /// The status and the error of a request with the token.
    async fn request(self, service: &TestService, token: &str) -> (u16, String) {
        let (method, accept) = match self {
            Self::Negotiation | Self::Post => (Method::POST, "*/*"),
            Self::WebSocketHeader => return opened(service.open(WS, Some(token)).await),
            Self::WebSocketQuery => return opened(service.open(&format!("{WS}&access_token={token}"), None).await),
            Self::EventStreamHeader | Self::EventStreamQuery => (Method::GET, "text/event-stream"),
            Self::Poll => (Method::GET, "*/*"),
            Self::Delete => (Method::DELETE, "*/*"),
        };
        let path = match self {
            Self::Negotiation => "/client/negotiate?hub=chat".to_owned(),
            Self::EventStreamQuery => format!("{WS}&id=unknown&access_token={token}"),
            _ => format!("{WS}&id=unknown"),
        };
        let mut request = service.request(method, &path).header("accept", accept);
        if !matches!(self, Self::EventStreamQuery) {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What a valid token leads to.
    fn status(self) -> u16 {
        match self {
            Self::Negotiation => 200,
            Self::WebSocketHeader | Self::WebSocketQuery => 101,
            // No connection has the id of these requests.
            _ => 404,
        }
    }
}

fn opened(result: Result<Client, (u16, String)>) -> (u16, String) {
    result.err().unwrap_or((101, String::new()))
}

/// The shortest valid client token of at least `length` bytes.
fn token_of_at_least(length: usize) -> String {
    let audience = "http://localhost/client/?hub=chat";
    let signed = |padding: usize| {
        let claims = json!({"aud": audience, "exp": now() + 3600, "padding": "x".repeat(padding)});
        sign(KEY, &json!({"alg": "HS256"}), &claims)
    };
    // Three bytes of a claim are four characters of a token.
    let shorter = (length - signed(0).len()) / 4 * 3;
    (shorter..).map(signed).find(|token| token.len() >= length).unwrap()
}

#[tokio::test]
async fn a_token_has_at_most_4_kib_wherever_a_client_carries_it() {
    let service = TestService::start().await;
    let (longest, too_long) = (token_of_at_least(4096), token_of_at_least(4097));
    assert_eq!(longest.len(), 4096);
    for place in Place::ALL {
        assert_eq!(place.request(&service, &longest).await.0, place.status(), "{place:?}");
        // The length is checked before anything else, so that no error is about the signature.
        for token in [&too_long, &"x".repeat(4097), &"x.".repeat(3_000)] {
            let (status, error) = place.request(&service, token).await;
            assert_eq!(status, 413, "{place:?}: {error}");
            assert!(error.contains(&format!("{} bytes", token.len())) && error.contains("4096"), "{error}");
        }
    }
}

fn assert_too_many(response: &Response) {
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-ms-error-code"], "TooManyConnections");
    assert_eq!(response.headers()["retry-after"], "5");
}

#[tokio::test]
async fn unused_negotiations_lock_no_client_out_and_open_connections_have_a_limit() {
    let service = TestService::with(Options { max_connections: 2, ..Options::default() }).await;
    let token = client_token(json!({}));
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(service.negotiated_ids(&token).await.1);
    }
    let first = service.connect(&format!("{WS}&id={}", ids[0]), &token).await;
    let _without_negotiation = service.client().await;

    // Both connections are open: there is no more for a negotiation, a negotiated client, or another.
    assert_too_many(&service.negotiate("", &token).await);
    let poll = service.request(Method::GET, &format!("{WS}&id={}", ids[1])).bearer_auth(&token);
    assert_too_many(&poll.send().await.unwrap());
    for path in [format!("{WS}&id={}", ids[1]), WS.to_owned()] {
        assert_eq!(service.open(&path, Some(&token)).await.err().unwrap().0, 429, "{path}");
    }

    // A client that was refused connects with the same id when there is room again.
    drop(first);
    let path = format!("{WS}&id={}", ids[1]);
    let opened = async {
        loop {
            match service.open(&path, Some(&token)).await {
                Ok(client) => return client,
                Err((status, _)) => assert_eq!(status, 429),
            }
        }
    };
    tokio::time::timeout(crate::support::DEADLINE, opened).await.unwrap().handshake().await;
}
