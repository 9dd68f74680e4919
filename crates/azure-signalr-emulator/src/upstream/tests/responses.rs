//! Tests of what clients get for the responses of webhooks, slow and endless ones included.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Redirect;
use futures_util::stream;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn case_76_a_completion_reaches_its_client_byte_for_byte() {
    let webhook = Webhook::returning(COMPLETION).await;
    assert_eq!(completion_from(&webhook).await, Completion::Framed(Frame::text(COMPLETION)));
}

#[tokio::test]
async fn case_76_a_completion_in_message_pack_reaches_its_client() {
    let completion = &b"\x07\x95\x03\x80\xa1\x31\x03\x2a"[..];
    let webhook = Webhook::returning(completion).await;
    let upstream = upstream(options_for(&webhook.url("/")));
    let message = Invocation { protocol: Protocol::MessagePack, ..foo(Some("1")) };
    let reply = upstream.invoke(&alice(), &message).await;
    assert_eq!(reply.completion, Completion::Framed(Frame::binary(completion)));
}

#[tokio::test]
async fn case_76_an_empty_response_is_a_completion_without_result() {
    assert_eq!(completion_from(&Webhook::returning(StatusCode::NO_CONTENT).await).await, Completion::Void);
    assert_eq!(completion_from(&Webhook::returning(StatusCode::OK).await).await, Completion::Void);
}

#[tokio::test]
async fn defect_9_an_empty_chunked_response_is_a_completion_too() {
    let webhook = Webhook::start(async |received| {
        assert_eq!(received.method, "POST");
        Body::from_stream(stream::iter([Ok::<_, Infallible>(Bytes::new())]))
    })
    .await;
    assert_eq!(completion_from(&webhook).await, Completion::Void);
}

#[tokio::test]
async fn case_76_an_error_status_reaches_the_client() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED] {
        let webhook = Webhook::returning((status, COMPLETION)).await;
        let expected = format!("Invocation failed, status code {}", status.as_u16());
        assert_eq!(completion_from(&webhook).await, error(&expected));
    }
}

#[tokio::test]
async fn case_76_an_unreachable_upstream_fails_the_invocation_only() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    drop(socket);
    let upstream = upstream(options_for(&url));
    let reply = invoke(&upstream).await;
    assert_eq!(reply.completion, error("Invocation failed, status code 500"));
    assert!(reply.record.unwrap().outcome.to_string().starts_with("the upstream cannot be reached"));
    assert_eq!(upstream.invoke(&alice(), &foo(None)).await.completion, Completion::NotAwaited);
}

#[tokio::test]
async fn a_response_that_ends_early_fails_the_invocation() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let breaking = tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
    });
    let reply = invoke(&upstream(options_for(&url))).await;
    breaking.await.unwrap();
    assert_eq!(reply.completion, error("Invocation failed, status code 500"));
    assert!(reply.record.unwrap().outcome.to_string().starts_with("the response ended early"));
}

#[tokio::test]
async fn other_bodies_are_not_passed_on() {
    for (body, named) in [
        ("done", "0x1E"),
        ("{\"type\":3,\"invocationId\":\"7\"}\u{1e}", "another invocation"),
        ("{\"type\":7}\u{1e}", "another type"),
    ] {
        let Completion::Error(error) = completion_from(&Webhook::returning(body).await).await else {
            panic!("{body} passed")
        };
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test]
async fn the_response_to_a_send_is_ignored() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let webhook = Webhook::returning((status, COMPLETION)).await;
        let upstream = upstream(options_for(&webhook.url("/")));
        let reply = upstream.invoke(&alice(), &foo(None)).await;
        assert_eq!(reply.completion, Completion::NotAwaited);
        assert_eq!(reply.record.unwrap().outcome, WebhookOutcome::Answered(status.as_u16()));
    }
}

#[tokio::test]
async fn case_80_defect_9_an_unmatched_invocation_is_completed_at_once() {
    let webhook = Webhook::returning(COMPLETION).await;
    let template = json!({"UrlTemplate": webhook.url("/"), "CategoryPattern": "connections"});
    let settings = json!({"UpstreamSettings": {"Templates": [template]}}).to_string();
    let some = upstream(UpstreamOptions::new(TemplateSource::Fixed(settings.parse().unwrap())));
    let reply = invoke(&some).await;
    let expected =
        "No upstream serves 'Foo': no upstream template matches hub 'chat', category 'messages', event 'Foo'.";
    assert_eq!((reply.completion, reply.record), (error(expected), None));
    assert_eq!(some.invoke(&alice(), &foo(None)).await.completion, Completion::NotAwaited);

    let none = TemplateSource::Fixed(Templates::default());
    let reply = invoke(&upstream(UpstreamOptions::new(none))).await;
    assert_eq!(reply.completion, error("No upstream serves 'Foo': this emulator has no upstream configured."));
    assert!(webhook.is_quiet().await);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let goal = Webhook::returning(COMPLETION).await;
    let webhook = Webhook::returning(Redirect::temporary(&goal.url("/"))).await;
    assert_eq!(completion_from(&webhook).await, error("Invocation failed, status code 307"));
    assert!(goal.is_quiet().await);
}

/// A webhook that answers one request for each permit.
async fn throttled() -> (Webhook, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let gate = permits.clone();
    let webhook = Webhook::start(move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            COMPLETION
        }
    })
    .await;
    (webhook, permits)
}

#[tokio::test]
async fn a_slow_upstream_is_waited_for() {
    let (webhook, permits) = throttled().await;
    let upstream = upstream(options_for(&webhook.url("/")));
    let received = async {
        webhook.received().await;
        permits.add_permits(1);
    };
    let (reply, ()) = tokio::join!(invoke(&upstream), received);
    assert_eq!(reply.completion, Completion::Framed(Frame::text(COMPLETION)));
}

#[tokio::test]
async fn an_upstream_without_a_response_fails_the_invocation() {
    let (webhook, _permits) = throttled().await;
    let options = options_for(&webhook.url("/"));
    let reply = invoke(&upstream(UpstreamOptions { timeout: Duration::from_millis(50), ..options })).await;
    assert_eq!(reply.completion, error("Invocation failed, status code 500"));
    let record: WebhookRecord = reply.record.unwrap();
    assert_eq!(record.outcome, WebhookOutcome::Failed(WebhookError::TimedOut));
    assert!(record.took >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_response_that_never_ends_fails_the_invocation() {
    let webhook = Webhook::start(async |received| {
        assert_eq!(received.method, "POST");
        Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
    })
    .await;
    let options = options_for(&webhook.url("/"));
    let reply = invoke(&upstream(UpstreamOptions { timeout: Duration::from_millis(50), ..options })).await;
    assert_eq!(reply.record.unwrap().outcome, WebhookOutcome::Failed(WebhookError::TimedOut));
}

#[tokio::test]
async fn requests_are_queued_and_the_queue_is_bounded() {
    let (webhook, permits) = throttled().await;
    let options = options_for(&webhook.url("/"));
    let upstream = upstream(UpstreamOptions { max_requests: 1, max_queued_requests: 1, ..options });
    let refused = async {
        webhook.received().await;
        let third = invoke(&upstream).await;
        assert!(webhook.is_quiet().await, "the second did not wait");
        permits.add_permits(2);
        third
    };
    let (first, second, third) = tokio::join!(invoke(&upstream), invoke(&upstream), refused);
    assert_eq!(first.completion, Completion::Framed(Frame::text(COMPLETION)));
    assert_eq!(second.completion, Completion::Framed(Frame::text(COMPLETION)));
    assert_eq!(third.record.unwrap().outcome, WebhookOutcome::Failed(WebhookError::QueueFull));
    assert_eq!(third.completion, error("Invocation failed, too many others are in the queue of the upstream."));
    permits.add_permits(1);
    assert_eq!(invoke(&upstream).await.completion, Completion::Framed(Frame::text(COMPLETION)));
}

#[tokio::test]
async fn the_time_out_includes_time_in_the_queue() {
    let (webhook, _permits) = throttled().await;
    let options = options_for(&webhook.url("/"));
    let options = UpstreamOptions { timeout: Duration::from_millis(50), max_requests: 1, ..options };
    let upstream = upstream(options);
    let (first, second) = tokio::join!(invoke(&upstream), invoke(&upstream));
    for reply in [first, second] {
        assert_eq!(reply.record.unwrap().outcome, WebhookOutcome::Failed(WebhookError::TimedOut));
    }
}

#[tokio::test]
async fn a_dropped_request_frees_its_place() {
    let (webhook, permits) = throttled().await;
    let options = options_for(&webhook.url("/"));
    let upstream = upstream(UpstreamOptions { max_requests: 1, max_queued_requests: 0, ..options });
    tokio::select! {
        _ = invoke(&upstream) => panic!("a response without a permit"),
        _ = webhook.received() => {}
    }
    permits.add_permits(2);
    assert_eq!(invoke(&upstream).await.completion, Completion::Framed(Frame::text(COMPLETION)));
}

#[tokio::test]
async fn case_76_a_response_may_have_the_documented_size() {
    let frame = "{\"type\":3,\"invocationId\":\"1\",\"result\":\"\"}\u{1e}".len();
    let answer = |length: usize| {
        let result = "x".repeat(length - frame);
        format!("{{\"type\":3,\"invocationId\":\"1\",\"result\":\"{result}\"}}\u{1e}")
    };
    let webhook = Webhook::returning(answer(MAX_RESPONSE_BYTES)).await;
    assert!(matches!(completion_from(&webhook).await, Completion::Framed(body) if body.len() == MAX_RESPONSE_BYTES));
    let webhook = Webhook::returning(answer(MAX_RESPONSE_BYTES + 1)).await;
    assert_eq!(completion_from(&webhook).await, error("Invocation failed, response too large."));
}

#[tokio::test]
async fn an_endless_response_is_not_read_for_a_send() {
    let webhook = Webhook::start(async |received| {
        assert_eq!(received.method, "POST");
        let without_end = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
        (StatusCode::OK, Body::from_stream(without_end))
    })
    .await;
    let upstream = upstream(options_for(&webhook.url("/")));
    let reply = upstream.invoke(&alice(), &foo(None)).await;
    assert_eq!(reply.record.unwrap().outcome, WebhookOutcome::Answered(200));
}
