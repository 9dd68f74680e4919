//! Upstreams that are slow, silent or say too much.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::stream;
use tokio::sync::Semaphore;

use super::super::posting::{Failure, LARGEST_ANSWER};
use super::super::{Outcome, Post};
use super::*;

/// Answers one post for each permit.
async fn held_back() -> (Webhook, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let gate = permits.clone();
    let webhook = Webhook::answering(move |_| {
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
    let (webhook, permits) = held_back().await;
    let upstream = upstream(everything_to(&webhook.url("/")));
    let heard = async {
        webhook.heard().await;
        permits.add_permits(1);
    };
    let (reply, ()) = tokio::join!(invoke(&upstream), heard);
    assert_eq!(reply.answer, Answer::Completion(Frame::Text(COMPLETION.into())));
}

#[tokio::test]
async fn an_upstream_that_never_answers_fails_the_invocation() {
    let (webhook, _permits) = held_back().await;
    let options = everything_to(&webhook.url("/"));
    let reply = invoke(&upstream(UpstreamOptions { timeout: Duration::from_millis(50), ..options })).await;
    assert_eq!(reply.answer, failed("Invocation failed, status code 500"));
    let post: Post = reply.post.unwrap();
    assert_eq!(post.outcome, Outcome::Failed(Failure::TimedOut));
    assert!(post.took >= Duration::from_millis(50));
}

#[tokio::test]
async fn an_answer_that_never_ends_fails_the_invocation() {
    let webhook = Webhook::answering(async |heard| {
        assert_eq!(heard.method, "POST");
        Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
    })
    .await;
    let options = everything_to(&webhook.url("/"));
    let reply = invoke(&upstream(UpstreamOptions { timeout: Duration::from_millis(50), ..options })).await;
    assert_eq!(reply.post.unwrap().outcome, Outcome::Failed(Failure::TimedOut));
}

#[tokio::test]
async fn posts_take_turns_and_their_queue_has_an_end() {
    let (webhook, permits) = held_back().await;
    let options = everything_to(&webhook.url("/"));
    let upstream = upstream(UpstreamOptions { max_posts: 1, max_waiting_posts: 1, ..options });
    let refused = async {
        webhook.heard().await;
        let third = invoke(&upstream).await;
        assert!(webhook.is_quiet().await, "the second went before its turn");
        permits.add_permits(2);
        third
    };
    let (first, second, third) = tokio::join!(invoke(&upstream), invoke(&upstream), refused);
    assert_eq!(first.answer, Answer::Completion(Frame::Text(COMPLETION.into())));
    assert_eq!(second.answer, Answer::Completion(Frame::Text(COMPLETION.into())));
    assert_eq!(third.post.unwrap().outcome, Outcome::Failed(Failure::Busy));
    assert_eq!(third.answer, failed("Invocation failed, too many others are waiting for the upstream."));
    permits.add_permits(1);
    assert_eq!(invoke(&upstream).await.answer, Answer::Completion(Frame::Text(COMPLETION.into())));
}

#[tokio::test]
async fn who_waits_too_long_for_a_turn_is_told_in_time() {
    let (webhook, _permits) = held_back().await;
    let options = everything_to(&webhook.url("/"));
    let options = UpstreamOptions { timeout: Duration::from_millis(50), max_posts: 1, ..options };
    let upstream = upstream(options);
    let (first, second) = tokio::join!(invoke(&upstream), invoke(&upstream));
    for reply in [first, second] {
        assert_eq!(reply.post.unwrap().outcome, Outcome::Failed(Failure::TimedOut));
    }
}

#[tokio::test]
async fn a_post_given_up_makes_room() {
    let (webhook, permits) = held_back().await;
    let options = everything_to(&webhook.url("/"));
    let upstream = upstream(UpstreamOptions { max_posts: 1, max_waiting_posts: 0, ..options });
    tokio::select! {
        _ = invoke(&upstream) => panic!("nobody has answered"),
        _ = webhook.heard() => {}
    }
    permits.add_permits(2);
    assert_eq!(invoke(&upstream).await.answer, Answer::Completion(Frame::Text(COMPLETION.into())));
}

#[tokio::test]
async fn case_76_an_answer_may_be_as_long_as_the_service_lets_it() {
    let frame = "{\"type\":3,\"invocationId\":\"1\",\"result\":\"\"}\u{1e}".len();
    let answer = |length: usize| {
        let result = "x".repeat(length - frame);
        format!("{{\"type\":3,\"invocationId\":\"1\",\"result\":\"{result}\"}}\u{1e}")
    };
    let webhook = Webhook::saying(answer(LARGEST_ANSWER)).await;
    assert!(matches!(answer_of(&webhook).await, Answer::Completion(body) if body.len() == LARGEST_ANSWER));
    let webhook = Webhook::saying(answer(LARGEST_ANSWER + 1)).await;
    assert_eq!(answer_of(&webhook).await, failed("Invocation failed, response too large."));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_for_who_awaits_none() {
    let webhook = Webhook::answering(async |heard| {
        assert_eq!(heard.method, "POST");
        let without_end = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
        (StatusCode::OK, Body::from_stream(without_end))
    })
    .await;
    let upstream = upstream(everything_to(&webhook.url("/")));
    let reply = upstream.message(&alice(&upstream), &foo(None)).await;
    assert_eq!(reply.post.unwrap().outcome, Outcome::Answered(200));
}
