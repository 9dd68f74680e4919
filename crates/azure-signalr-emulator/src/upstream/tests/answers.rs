//! What clients get for what webhooks answer.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Redirect;
use futures_util::stream;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::super::Outcome;
use super::*;

#[tokio::test]
async fn case_76_a_completion_reaches_its_client_byte_for_byte() {
    let webhook = Webhook::saying(COMPLETION).await;
    assert_eq!(answer_of(&webhook).await, Answer::Completion(Frame::Text(COMPLETION.into())));
}

#[tokio::test]
async fn case_76_a_completion_in_message_pack_reaches_its_client() {
    let completion = &b"\x07\x95\x03\x80\xa1\x31\x03\x2a"[..];
    let webhook = Webhook::saying(completion).await;
    let upstream = upstream(everything_to(&webhook.url("/")));
    let message = Message { protocol: Protocol::MessagePack, ..foo(Some("1")) };
    let reply = upstream.message(&alice(&upstream), &message).await;
    assert_eq!(reply.answer, Answer::Completion(Frame::Binary(completion.into())));
}

#[tokio::test]
async fn case_76_an_empty_answer_is_a_completion_without_result() {
    assert_eq!(answer_of(&Webhook::saying(StatusCode::NO_CONTENT).await).await, Answer::Void);
    assert_eq!(answer_of(&Webhook::saying(StatusCode::OK).await).await, Answer::Void);
}

#[tokio::test]
async fn defect_9_an_empty_answer_in_chunks_is_a_completion_too() {
    let webhook = Webhook::answering(async |heard| {
        assert_eq!(heard.method, "POST");
        Body::from_stream(stream::iter([Ok::<_, Infallible>(Bytes::new())]))
    })
    .await;
    assert_eq!(answer_of(&webhook).await, Answer::Void);
}

#[tokio::test]
async fn case_76_a_bad_status_is_told_to_the_client() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED] {
        let webhook = Webhook::saying((status, COMPLETION)).await;
        let expected = format!("Invocation failed, status code {}", status.as_u16());
        assert_eq!(answer_of(&webhook).await, failed(&expected));
    }
}

#[tokio::test]
async fn case_76_an_upstream_that_is_down_fails_the_invocation_only() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    drop(socket);
    let upstream = upstream(everything_to(&url));
    let reply = invoke(&upstream).await;
    assert_eq!(reply.answer, failed("Invocation failed, status code 500"));
    assert!(reply.post.unwrap().outcome.to_string().starts_with("the upstream cannot be reached"));
    assert_eq!(upstream.message(&alice(&upstream), &foo(None)).await.answer, Answer::Nothing);
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails_the_invocation() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let breaking = tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
    });
    let reply = invoke(&upstream(everything_to(&url))).await;
    breaking.await.unwrap();
    assert_eq!(reply.answer, failed("Invocation failed, status code 500"));
    assert!(reply.post.unwrap().outcome.to_string().starts_with("the answer broke off"));
}

#[tokio::test]
async fn what_is_no_completion_is_not_passed_on() {
    for (body, named) in [
        ("done", "0x1E"),
        ("{\"type\":3,\"invocationId\":\"7\"}\u{1e}", "another invocation"),
        ("{\"type\":7}\u{1e}", "another type"),
    ] {
        let Answer::Failed(error) = answer_of(&Webhook::saying(body).await).await else {
            panic!("{body} passed")
        };
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test]
async fn the_answer_to_a_send_is_ignored_whatever_it_is() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let webhook = Webhook::saying((status, COMPLETION)).await;
        let upstream = upstream(everything_to(&webhook.url("/")));
        let reply = upstream.message(&alice(&upstream), &foo(None)).await;
        assert_eq!(reply.answer, Answer::Nothing);
        assert_eq!(reply.post.unwrap().outcome, Outcome::Answered(status.as_u16()));
    }
}

#[tokio::test]
async fn case_80_defect_9_an_invocation_that_matches_no_template_is_answered_at_once() {
    let webhook = Webhook::saying(COMPLETION).await;
    let template = json!({"UrlTemplate": webhook.url("/"), "CategoryPattern": "connections"});
    let settings = json!({"UpstreamSettings": {"Templates": [template]}}).to_string();
    let some = upstream(UpstreamOptions::new(TemplateSource::Fixed(settings.parse().unwrap())));
    let reply = invoke(&some).await;
    let expected = "There is nobody to call 'Foo': no upstream template matches hub 'chat', category 'messages', event 'Foo'.";
    assert_eq!((reply.answer, reply.post), (failed(expected), None));
    assert_eq!(some.message(&alice(&some), &foo(None)).await.answer, Answer::Nothing);

    let none = TemplateSource::Fixed(Templates::default());
    let reply = invoke(&upstream(UpstreamOptions::new(none))).await;
    assert_eq!(
        reply.answer,
        failed("There is nobody to call 'Foo': this emulator has no upstream configured.")
    );
    assert!(webhook.is_quiet().await);
}

#[tokio::test]
async fn a_redirect_is_no_answer() {
    let goal = Webhook::saying(COMPLETION).await;
    let webhook = Webhook::saying(Redirect::temporary(&goal.url("/"))).await;
    assert_eq!(answer_of(&webhook).await, failed("Invocation failed, status code 307"));
    assert!(goal.is_quiet().await);
}
