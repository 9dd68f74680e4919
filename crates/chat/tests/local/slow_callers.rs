//! Tests of callers of every server that are slow, or that send their whole body first.

use test_support::raw_http::{Form, RawConnection};

use crate::test_stack::{TestStack, port};

/// The four servers by name and port.
fn ports(stack: &TestStack) -> [(&'static str, u16); 4] {
    let communication = stack.printed("identities").unwrap();
    let communication = communication.split([';', '=']).nth(1).unwrap().trim_end_matches('/').to_owned();
    [
        ("page", port(&stack.page())),
        ("functions", port(&stack.api())),
        ("SignalR", port(&stack.service())),
        ("identities", port(&communication)),
    ]
}

async fn connect(port: u16) -> RawConnection {
    RawConnection::open(("127.0.0.1", port)).await
}

#[tokio::test]
async fn every_server_reads_a_body_before_it_refuses_the_request() {
    let stack = TestStack::start();
    let paths =
        ["/", "/nowhere", "/api/negotiate", "/api/messages", "/.auth/login/aad", "/api/hubs/chat/:send", "/identities"];
    for (name, port) in ports(&stack) {
        for path in paths {
            for (form, size) in [(Form::Length, 200_000), (Form::Length, 3_000_000), (Form::Chunked, 3_000_000)] {
                let mut connection = connect(port).await;
                connection.send(form.request("POST", path, "", size)).await;
                let response = connection.response().await;
                assert!(!response.closes(), "{name} {path} {form:?} {size}: {response:?}");
                // The same connection can be used again.
                connection.send(Form::Length.request("POST", path, "", 0)).await;
                connection.response().await;
            }
        }
    }
}

#[tokio::test]
async fn an_error_for_a_large_body_is_what_the_caller_gets() {
    let stack = TestStack::start();
    let api = port(&stack.api());
    for (path, headers, size, status) in [
        ("/api/messages", "Content-Type: application/json\r\n", 200_000, 413),
        ("/api/messages", "Content-Type: application/json\r\n", 3_000_000, 413),
        ("/api/messages", "", 3_000_000, 415),
        ("/api/negotiate", "", 3_000_000, 200),
        ("/api/access-token", "", 3_000_000, 401),
    ] {
        let mut connection = connect(api).await;
        connection.send(Form::Length.request("POST", path, headers, size)).await;
        assert_eq!(connection.response().await.status, status, "{path} {size}");
    }
}

#[tokio::test]
async fn no_server_waits_for_what_does_not_arrive() {
    let stack = TestStack::start();
    let mut waiting = Vec::new();
    for (name, port) in ports(&stack) {
        let (mut half_a_head, mut refused) = (connect(port).await, connect(port).await);
        half_a_head.send("POST / HTTP/1.1\r\n").await;
        refused.send(Form::Incomplete.request("PUT", "/nowhere", "", 100_000)).await;
        waiting.push((name, half_a_head, refused));
    }
    for (name, mut half_a_head, mut refused) in waiting {
        let response = refused.response().await;
        assert!(response.closes() && response.status >= 400, "{name}: {response:?}");
        assert_eq!(refused.closed().await, "", "{name}");
        assert_eq!(half_a_head.closed().await, "", "{name}");
    }
}
