//! Error responses, broken connections and malformed responses become errors without keys, tokens and ids of users.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use azure_communication::{Client, Error, ErrorKind, Scope, TeamsUser};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::test_service::{
    Reply, TOKEN_BODY, USER, client, error_chain, issue, listen, now, reply, reply_with, start, user,
};

fn error_body(code: &str, message: &str) -> String {
    serde_json::json!({"error": {"code": code, "message": message}}).to_string()
}

async fn failure(scripted: Reply) -> Error {
    let (client, service) = start([scripted]).await;
    let error = issue(&client).await.unwrap_err();
    service.only_request();
    error_chain(&error);
    error
}

#[tokio::test]
async fn a_wrong_request_is_named_by_code_and_target() {
    let message = "ExpiresInMinutes value 59 is invalid. Value must be within the [60, 1440] interval.";
    let body = serde_json::json!({"error": {
        "code": "ValidationError", "message": message, "target": "ExpiresInMinutes", "details": [{"code": "a", "message": "b"}],
    }});
    let error = failure(reply(400, &body.to_string())).await;
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
async fn case_42_an_error_response_has_a_kind_and_its_message_is_a_cause_only() {
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::Invalid),
        (422, ErrorKind::Invalid),
        (501, ErrorKind::Unavailable),
        (302, ErrorKind::UnexpectedResponse),
        (202, ErrorKind::UnexpectedResponse),
        (204, ErrorKind::UnexpectedResponse),
    ] {
        let body = if status == 204 { String::new() } else { error_body("SomeCode", "upstream words") };
        let error = failure(reply(status, &body)).await;
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert_eq!(error.is_retryable(), status == 501);
        assert!(!error.to_string().contains("upstream words"), "{error}");
        let is_cause = error.source().is_some_and(|cause| cause.to_string().contains("upstream words"));
        assert_eq!(is_cause, status != 204);
    }
}

#[tokio::test]
async fn an_error_response_without_a_usable_body_is_still_one() {
    let html = "<html>hush</html>".to_owned();
    for body in [String::new(), "hush".to_owned(), html, "[]".to_owned(), "{\"error\":\"hush\"}".to_owned()] {
        let error = failure(reply(401, &body)).await;
        assert_eq!((error.kind(), error.code(), error.target()), (ErrorKind::Unauthenticated, None, None));
        assert!(error.source().is_none());
    }
}

#[tokio::test]
async fn what_the_service_repeats_of_a_request_is_in_no_error() {
    let uri = format!("http://h/identities/{USER}/:issueAccessToken?api-version=2023-10-01");
    let message = format!("The resource '{uri}' of {USER} with hush.token.hush-and-more-of-a-very-long-token is off");
    let error = failure(reply(400, &error_body("UnsupportedApiVersion", &message))).await;
    assert!(error_chain(&error).contains("The resource *** of *** with *** is off"));
}

#[tokio::test]
async fn a_rejected_token_of_a_teams_user_differs_from_a_wrong_key() {
    let refused = error_body("InvalidAccessToken", "Provided access token is not valid.");
    let denied = error_body("Denied", "no");
    let (client, _) = start([reply(401, &refused), reply(401, &denied)]).await;
    let token = "hush.teams.hush".parse().unwrap();
    let who = TeamsUser { token: &token, app_id: "app", user_id: "oid" };
    for expected in [ErrorKind::InvalidTeamsToken, ErrorKind::Unauthenticated] {
        let error = client.exchange_teams_user_token(&who, now()).await.unwrap_err();
        assert_eq!(error.kind(), expected);
        error_chain(&error);
    }
    assert_eq!(failure(reply(401, &refused)).await.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_success_that_cannot_be_read_may_have_been_performed() {
    for body in ["", "hush", "\"hush\"", "{}", "<html>", r#"{"token":"hush"}"#, &TOKEN_BODY[..40]] {
        let error = failure(reply(200, body)).await;
        assert_eq!((error.kind(), error.status()), (ErrorKind::UnexpectedResponse, Some(200)));
        assert!(error.may_have_been_done() && !error.is_retryable());
        assert!(error.source().unwrap().to_string().starts_with("the response"));
    }
}

#[tokio::test]
async fn a_user_without_the_requested_token_may_have_been_created() {
    for token in ["", r#","accessToken":null"#] {
        let (client, _) = start([reply(201, &format!(r#"{{"identity":{{"id":"{USER}"}}{token}}}"#))]).await;
        let error = client.create_user_and_token(&Scope::CHAT.into(), now()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::UnexpectedResponse && error.may_have_been_done());
        error_chain(&error);
    }
}

#[tokio::test]
async fn only_the_documented_status_is_success() {
    let (client, _) = start([reply(200, "<html>"), reply(200, "")]).await;
    assert_eq!(client.revoke_tokens(&user(), now()).await.unwrap_err().kind(), ErrorKind::UnexpectedResponse);
    assert_eq!(client.delete_user(&user(), now()).await.unwrap_err().kind(), ErrorKind::UnexpectedResponse);
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let endless = |status: u16| Reply::Endless(format!("HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n"));
    assert_eq!(failure(endless(200)).await.kind(), ErrorKind::UnexpectedResponse);
    let error = failure(endless(403)).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Forbidden, None));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (port, elsewhere) = listen([reply(200, TOKEN_BODY)]).await;
    let location = format!("location: http://127.0.0.1:{port}/elsewhere\r\n");
    let error = failure(reply_with(307, &location, "")).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::UnexpectedResponse, Some(307)));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_http_counts_as_a_broken_connection() {
    let (client, _) = start([Reply::Disconnect("hush hush\r\n\r\n".to_owned())]).await;
    let error = client.create_user(now()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Interrupted && error.may_have_been_done());
    error_chain(&error);
}

/// The error and the time until it; the clock is paused once the first request has arrived. Every attempt gets the same reply.
async fn failure_in_time(scripted: Reply) -> (Error, Duration) {
    let (client, service) = start([scripted.clone(), scripted.clone(), scripted]).await;
    let start = Instant::now();
    let call = tokio::spawn(async move { issue(&client).await });
    service.first_request().await;
    tokio::time::pause();
    let error = call.await.unwrap().unwrap_err();
    let took = start.elapsed();
    error_chain(&error);
    (error, took)
}

#[tokio::test]
async fn an_error_response_whose_body_stalls_is_reported_without_it() {
    let stalled = "HTTP/1.1 403 X\r\ncontent-length: 100\r\n\r\n{\"error\"".to_owned();
    let (error, took) = failure_in_time(Reply::Stall(stalled)).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Forbidden, None));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

async fn gives_up_after_ten_seconds(scripted: Reply) {
    let (error, took) = failure_in_time(scripted).await;
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_retryable() && error.may_have_been_done());
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(11), "{took:?}");
}

#[tokio::test]
async fn a_service_that_never_responds_is_given_up_after_ten_seconds() {
    gives_up_after_ten_seconds(Reply::Stall(String::new())).await;
}

#[tokio::test]
async fn a_response_that_stops_half_way_is_given_up_after_ten_seconds() {
    let half = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", &TOKEN_BODY[..40]);
    gives_up_after_ten_seconds(Reply::Stall(half)).await;
}

#[tokio::test]
async fn an_unreachable_service_is_an_error_of_its_own() {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client: Client = client(socket.local_addr().unwrap().port());
    drop(socket);
    let error = client.create_user(now()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, None));
    assert!(error.is_retryable() && !error.may_have_been_done());
    error_chain(&error);
}
