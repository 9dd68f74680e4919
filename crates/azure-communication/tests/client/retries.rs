//! Which calls are made again after which failures, and what a second try looks like.

use std::time::{Duration, Instant};

use azure_communication::{Client, Error, ErrorKind, Scope, TeamsUser};

use crate::service::{
    Request, TOKEN_BODY, Turn, USER, answer, answer_with, issue, now, start, user, whole_story,
};

fn hang_up() -> Turn {
    Turn::Leave(String::new())
}

fn hang_up_half_way(status: u16) -> Turn {
    Turn::Leave(format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"ident"))
}

fn created() -> Turn {
    answer(201, &format!(r#"{{"identity":{{"id":"{USER}"}}}}"#))
}

fn throttled(seconds: u64) -> Turn {
    answer_with(429, &format!("retry-after: {seconds}\r\n"), "")
}

async fn create_with_token(client: &Client) -> Result<(), Error> {
    client.create_user_and_token(&Scope::CHAT.into(), now()).await.map(drop)
}

#[tokio::test]
async fn a_create_is_not_made_again_where_it_may_have_been_done() {
    let turns = [500, 502, 503, 504, 408].map(|status| answer(status, ""));
    for turn in turns.into_iter().chain([hang_up(), hang_up_half_way(201), hang_up_half_way(200)]) {
        let (client, service) = start([turn.clone(), created()]).await;
        let error = client.create_user(now()).await.unwrap_err();
        assert!(error.may_have_been_done(), "{error:?}");
        whole_story(&error);
        service.only_request();

        let (client, service) = start([turn, created()]).await;
        create_with_token(&client).await.unwrap_err();
        service.only_request();
    }
}

#[tokio::test]
async fn a_create_is_made_again_after_a_429_that_changed_nothing() {
    let (client, service) = start([throttled(0), created()]).await;
    assert_eq!(client.create_user(now()).await.unwrap(), user());
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn an_issue_is_made_again_after_all_that_passes() {
    let turns = [408, 500, 502, 503, 504].map(|status| answer(status, ""));
    for turn in turns.into_iter().chain([hang_up(), hang_up_half_way(200)]) {
        let (client, service) = start([turn, answer(200, TOKEN_BODY)]).await;
        issue(&client).await.unwrap();
        assert_eq!(service.requests().len(), 2);
    }
}

#[tokio::test]
async fn so_are_revoke_delete_and_exchange() {
    for turn in [hang_up(), answer(503, "")] {
        let yes = [answer(204, ""), turn.clone(), answer(204, ""), turn.clone(), answer(200, TOKEN_BODY)];
        let (client, service) = start([turn].into_iter().chain(yes)).await;
        client.revoke_tokens(&user(), now()).await.unwrap();
        client.delete_user(&user(), now()).await.unwrap();
        let token = "hush.teams.hush".parse().unwrap();
        let who = TeamsUser { token: &token, app_id: "app", user_id: "oid" };
        client.exchange_teams_user_token(&who, now()).await.unwrap();
        assert_eq!(service.requests().len(), 6);
    }
}

#[tokio::test]
async fn a_call_is_made_four_times_at_most() {
    let (client, service) = start((0..9).map(|_| answer(503, ""))).await;
    let error = issue(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
    assert_eq!(service.requests().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [302, 400, 401, 403, 404, 501] {
        let (client, service) = start([answer(status, ""), answer(200, TOKEN_BODY)]).await;
        issue(&client).await.unwrap_err();
        service.only_request();
    }
}

fn signature(request: &Request) -> &str {
    request.header("authorization").unwrap().split_once("&Signature=").unwrap().1
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_it_was_told_and_is_signed_anew() {
    let (client, service) = start([throttled(1), answer(200, TOKEN_BODY)]).await;
    let begun = Instant::now();
    issue(&client).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let [first, second] = service.requests().try_into().unwrap();
    assert_eq!((first.line(), &first.body), (second.line(), &second.body));
    assert_eq!(first.date(), now());
    assert!(second.date() > first.date());
    assert_ne!(signature(&first), signature(&second));
}

#[tokio::test]
async fn a_wait_longer_than_the_deadline_is_left_to_the_caller() {
    for (headers, seconds) in [
        ("retry-after: 3600\r\n", 3_600),
        ("retry-after: Wed, 18 Oct 2023 15:35:16 GMT\r\n", 60),
        ("retry-after: 18446744073709551615\r\n", 86_400),
    ] {
        let (client, service) = start([answer_with(429, headers, "")]).await;
        let error = issue(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Throttled, Some(429)));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        assert!(error.is_retryable() && !error.may_have_been_done());
        service.only_request();
    }
}

#[tokio::test]
async fn a_user_that_is_gone_after_a_delete_whose_answer_got_lost_is_deleted() {
    let (client, service) = start([hang_up(), answer(404, "")]).await;
    client.delete_user(&user(), now()).await.unwrap();
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn a_user_that_was_not_there_when_first_asked_is_not_found() {
    let (client, _) = start([answer(404, "")]).await;
    assert_eq!(client.delete_user(&user(), now()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let (client, service) = start([throttled(0), answer(404, "")]).await;
    assert_eq!(client.delete_user(&user(), now()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(service.requests().len(), 2);
    let (client, _) = start([hang_up(), answer(404, "")]).await;
    assert_eq!(client.revoke_tokens(&user(), now()).await.unwrap_err().kind(), ErrorKind::NotFound);
}
