//! Which calls are retried after which failures, and what a second attempt sends.

use std::time::{Duration, Instant};

use azure_communication::{ErrorKind, Scope, TeamsUser};

use crate::test_service::{Reply, Request, TOKEN_BODY, USER, error_chain, issue, now, reply, reply_with, start, user};

fn disconnect() -> Reply {
    Reply::Disconnect(String::new())
}

fn disconnect_half_way(status: u16) -> Reply {
    Reply::Disconnect(format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"ident"))
}

fn created() -> Reply {
    reply(201, &format!(r#"{{"identity":{{"id":"{USER}"}}}}"#))
}

fn throttled(seconds: u64) -> Reply {
    reply_with(429, &format!("retry-after: {seconds}\r\n"), "")
}

#[tokio::test]
async fn a_create_is_not_retried_where_it_may_have_been_performed() {
    let failures = [500, 502, 503, 504, 408].map(|status| reply(status, ""));
    for failure in failures.into_iter().chain([disconnect(), disconnect_half_way(201), disconnect_half_way(200)]) {
        let (client, service) = start([failure.clone(), created()]).await;
        let error = client.create_user(now()).await.unwrap_err();
        assert!(error.may_have_been_done(), "{error:?}");
        error_chain(&error);
        service.only_request();

        let (client, service) = start([failure, created()]).await;
        client.create_user_and_token(&Scope::CHAT.into(), now()).await.unwrap_err();
        service.only_request();
    }
}

#[tokio::test]
async fn a_create_is_retried_after_a_429() {
    let (client, service) = start([throttled(0), created()]).await;
    assert_eq!(client.create_user(now()).await.unwrap(), user());
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn an_issue_is_retried_after_every_failure_that_passes() {
    let failures = [408, 500, 502, 503, 504].map(|status| reply(status, ""));
    for failure in failures.into_iter().chain([disconnect(), disconnect_half_way(200)]) {
        let (client, service) = start([failure, reply(200, TOKEN_BODY)]).await;
        issue(&client).await.unwrap();
        assert_eq!(service.requests().len(), 2);
    }
}

#[tokio::test]
async fn an_attempt_without_a_response_is_given_up_after_four_seconds_and_retried() {
    let (client, service) = start([Reply::Stall(String::new()), reply(200, TOKEN_BODY)]).await;
    let start_time = Instant::now();
    issue(&client).await.unwrap();
    assert!(start_time.elapsed() >= Duration::from_secs(4));
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn revoke_delete_and_exchange_are_retried_too() {
    for failure in [disconnect(), reply(503, "")] {
        let yes = [reply(204, ""), failure.clone(), reply(204, ""), failure.clone(), reply(200, TOKEN_BODY)];
        let (client, service) = start([failure].into_iter().chain(yes)).await;
        client.revoke_tokens(&user(), now()).await.unwrap();
        client.delete_user(&user(), now()).await.unwrap();
        let token = "hush.teams.hush".parse().unwrap();
        let who = TeamsUser { token: &token, app_id: "app", user_id: "oid" };
        client.exchange_teams_user_token(&who, now()).await.unwrap();
        assert_eq!(service.requests().len(), 6);
    }
}

#[tokio::test]
async fn a_call_has_four_attempts_at_most() {
    let (client, service) = start((0..9).map(|_| reply(503, ""))).await;
    let error = issue(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
    assert_eq!(service.requests().len(), 4);
}

#[tokio::test]
async fn a_client_error_is_not_retried() {
    for status in [302, 400, 401, 403, 404, 501] {
        let (client, service) = start([reply(status, ""), reply(200, TOKEN_BODY)]).await;
        issue(&client).await.unwrap_err();
        service.only_request();
    }
}

fn signature(request: &Request) -> &str {
    request.header("authorization").unwrap().split_once("&Signature=").unwrap().1
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_the_service_asks_and_is_signed_anew() {
    let (client, service) = start([throttled(1), reply(200, TOKEN_BODY)]).await;
    let start_time = Instant::now();
    issue(&client).await.unwrap();
    assert!(start_time.elapsed() >= Duration::from_secs(1));
    let [first, second] = service.requests().try_into().unwrap();
    assert_eq!((first.line(), &first.body), (second.line(), &second.body));
    assert_eq!(first.date(), now());
    assert!(second.date() > first.date());
    assert_ne!(signature(&first), signature(&second));
}

#[tokio::test]
async fn a_delay_longer_than_the_deadline_is_left_to_the_caller() {
    for (headers, seconds) in [
        ("retry-after: 3600\r\n", 3_600),
        ("retry-after: Wed, 18 Oct 2023 15:35:16 GMT\r\n", 60),
        ("retry-after: 18446744073709551615\r\n", 86_400),
    ] {
        let (client, service) = start([reply_with(429, headers, "")]).await;
        let error = issue(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, Some(429)));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        assert!(error.is_retryable() && !error.may_have_been_done());
        service.only_request();
    }
}

#[tokio::test]
async fn a_404_after_a_delete_whose_response_was_lost_is_success() {
    let (client, service) = start([disconnect(), reply(404, "")]).await;
    client.delete_user(&user(), now()).await.unwrap();
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn a_404_to_the_first_delete_is_not_found() {
    let (client, _) = start([reply(404, "")]).await;
    assert_eq!(client.delete_user(&user(), now()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let (client, service) = start([throttled(0), reply(404, "")]).await;
    assert_eq!(client.delete_user(&user(), now()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(service.requests().len(), 2);
    let (client, _) = start([disconnect(), reply(404, "")]).await;
    assert_eq!(client.revoke_tokens(&user(), now()).await.unwrap_err().kind(), ErrorKind::NotFound);
}
