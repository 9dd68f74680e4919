//! What a refusal, a broken connection or nonsense becomes. None of it repeats a key, a token or the id of a user.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use azure_communication::{Client, Error, ErrorKind, Scope, TeamsUser};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::service::{
    TOKEN_BODY, Turn, USER, answer, answer_with, client, issue, listen, now, start, user, whole_story,
};

fn error_body(code: &str, message: &str) -> String {
    serde_json::json!({"error": {"code": code, "message": message}}).to_string()
}

async fn failure(turn: Turn) -> Error {
    let (client, service) = start([turn]).await;
    let error = issue(&client).await.unwrap_err();
    service.only_request();
    whole_story(&error);
    error
}

#[tokio::test]
async fn a_wrong_request_is_named_by_code_and_target() {
    let message = "ExpiresInMinutes value 59 is invalid. Value must be within the [60, 1440] interval.";
    let body = serde_json::json!({"error": {
        "code": "ValidationError", "message": message, "target": "ExpiresInMinutes", "details": [{"code": "a", "message": "b"}],
    }});
    let error = failure(answer(400, &body.to_string())).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(400)));
    assert_eq!((error.code(), error.target()), (Some("ValidationError"), Some("ExpiresInMinutes")));
    assert!(!error.is_retryable() && !error.may_have_been_done());
    assert_eq!(
        error.to_string(),
        "Azure Communication Services answered 400 (ValidationError, ExpiresInMinutes): it finds something wrong with the request"
    );
    assert!(error.source().unwrap().to_string().contains(message));
}

#[tokio::test]
async fn case_42_a_refusal_has_a_kind_and_the_services_words_are_a_cause_only() {
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::Invalid),
        (422, ErrorKind::Invalid),
        (501, ErrorKind::Unavailable),
        (302, ErrorKind::UnexpectedAnswer),
        (202, ErrorKind::UnexpectedAnswer),
        (204, ErrorKind::UnexpectedAnswer),
    ] {
        let body = if status == 204 { String::new() } else { error_body("SomeCode", "upstream words") };
        let error = failure(answer(status, &body)).await;
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert_eq!(error.is_retryable(), status == 501);
        assert!(!error.to_string().contains("upstream words"), "{error}");
        let said = error.source().is_some_and(|cause| cause.to_string().contains("upstream words"));
        assert_eq!(said, status != 204);
    }
}

#[tokio::test]
async fn a_refusal_without_usable_words_is_still_a_refusal() {
    let html = "<html>hush</html>".to_owned();
    for body in [String::new(), "hush".to_owned(), html, "[]".to_owned(), "{\"error\":\"hush\"}".to_owned()] {
        let error = failure(answer(401, &body)).await;
        assert_eq!((error.kind(), error.code(), error.target()), (ErrorKind::Unauthenticated, None, None));
        assert!(error.source().is_none());
    }
}

#[tokio::test]
async fn what_the_service_repeats_of_a_request_stays_out_of_every_word() {
    let uri = format!("http://h/identities/{USER}/:issueAccessToken?api-version=2023-10-01");
    let message =
        format!("The resource '{uri}' of {USER} with hush.token.hush-and-more-of-a-very-long-token is off");
    let error = failure(answer(400, &error_body("UnsupportedApiVersion", &message))).await;
    assert!(whole_story(&error).contains("The resource *** of *** with *** is off"));
}

#[tokio::test]
async fn a_teams_users_token_that_is_refused_is_told_from_a_wrong_key() {
    let refused = error_body("InvalidAccessToken", "Provided access token is not valid.");
    let denied = error_body("Denied", "no");
    let (client, _) = start([answer(401, &refused), answer(401, &denied)]).await;
    let token = "hush.teams.hush".parse().unwrap();
    let who = TeamsUser { token: &token, app_id: "app", user_id: "oid" };
    for expected in [ErrorKind::InvalidTeamsToken, ErrorKind::Unauthenticated] {
        let error = client.exchange_teams_user_token(&who, now()).await.unwrap_err();
        assert_eq!(error.kind(), expected);
        whole_story(&error);
    }
    assert_eq!(failure(answer(401, &refused)).await.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_yes_that_cannot_be_read_is_a_failure_that_may_have_been_done() {
    for body in ["", "hush", "\"hush\"", "{}", "<html>", r#"{"token":"hush"}"#, &TOKEN_BODY[..40]] {
        let error = failure(answer(200, body)).await;
        assert_eq!((error.kind(), error.status()), (ErrorKind::UnexpectedAnswer, Some(200)));
        assert!(error.may_have_been_done() && !error.is_retryable());
        assert!(error.source().unwrap().to_string().starts_with("the answer"));
    }
}

#[tokio::test]
async fn a_user_without_the_token_that_was_asked_for_is_a_failure_that_may_have_been_done() {
    for token in ["", r#","accessToken":null"#] {
        let (client, _) = start([answer(201, &format!(r#"{{"identity":{{"id":"{USER}"}}{token}}}"#))]).await;
        let error = client.create_user_and_token(&Scope::CHAT.into(), now()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::UnexpectedAnswer && error.may_have_been_done());
        whole_story(&error);
    }
}

#[tokio::test]
async fn only_the_agreed_yes_is_one() {
    let (client, _) = start([answer(200, "<html>"), answer(200, "")]).await;
    assert_eq!(client.revoke_tokens(&user(), now()).await.unwrap_err().kind(), ErrorKind::UnexpectedAnswer);
    assert_eq!(client.delete_user(&user(), now()).await.unwrap_err().kind(), ErrorKind::UnexpectedAnswer);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let flood = |status: u16| Turn::Flood(format!("HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n"));
    assert_eq!(failure(flood(200)).await.kind(), ErrorKind::UnexpectedAnswer);
    let error = failure(flood(403)).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Forbidden, None));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (port, elsewhere) = listen([answer(200, TOKEN_BODY)]).await;
    let location = format!("location: http://127.0.0.1:{port}/elsewhere\r\n");
    let error = failure(answer_with(307, &location, "")).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::UnexpectedAnswer, Some(307)));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_http_is_as_good_as_no_answer() {
    let (client, _) = start([Turn::Leave("hush hush\r\n\r\n".to_owned())]).await;
    let error = client.create_user(now()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Interrupted && error.may_have_been_done());
    whole_story(&error);
}

/// The failure, and how long it took: once the request is there, the clock runs ahead whenever there is nothing else to do.
async fn failure_in_time(turn: Turn) -> (Error, Duration) {
    let (client, service) = start([turn]).await;
    let begun = Instant::now();
    let call = tokio::spawn(async move { issue(&client).await });
    service.asked().await;
    tokio::time::pause();
    let error = call.await.unwrap().unwrap_err();
    let took = begun.elapsed();
    service.only_request();
    whole_story(&error);
    (error, took)
}

#[tokio::test]
async fn a_refusal_whose_words_do_not_come_is_told_without_them() {
    let stalled = "HTTP/1.1 403 X\r\ncontent-length: 100\r\n\r\n{\"error\"".to_owned();
    let (error, took) = failure_in_time(Turn::Stall(stalled)).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Forbidden, None));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

async fn gives_up_after_ten_seconds(turn: Turn) {
    let (error, took) = failure_in_time(turn).await;
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_retryable() && error.may_have_been_done());
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(11), "{took:?}");
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up_after_ten_seconds() {
    gives_up_after_ten_seconds(Turn::Stall(String::new())).await;
}

#[tokio::test]
async fn an_answer_that_stops_half_way_is_given_up_after_ten_seconds() {
    let half = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", &TOKEN_BODY[..40]);
    gives_up_after_ten_seconds(Turn::Stall(half)).await;
}

#[tokio::test]
async fn a_service_that_is_away_is_told_from_one_that_refuses() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client: Client = client(socket.local_addr().unwrap().port());
    drop(socket);
    let error = client.create_user(now()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, None));
    assert!(error.is_retryable() && !error.may_have_been_done());
    whole_story(&error);
}
