//! Limits for clients: the number of connections.

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::json;

use crate::support::{TestService, client_token};

const WS: &str = "/client/?hub=chat";

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
