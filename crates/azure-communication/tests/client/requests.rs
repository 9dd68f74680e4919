//! The bytes that are sent for each operation, and the results of successful responses.

use azure_communication::{AccessToken, Grant, Lifetime, Scope, TeamsUser};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::test_service::{ESCAPED_USER, KEY, Request, TOKEN, TOKEN_BODY, USER, issue, now, reply, start, user};

/// Compares the whole request; the signature is computed from the rest of it.
fn assert_sent(request: &Request, line: &str, content_headers: &str, body: &str) {
    let host = request.header("host").unwrap();
    assert!(host.starts_with("127.0.0.1:"), "{host}");
    let (method, target) = line.split_once(' ').unwrap();
    let hash = STANDARD.encode(Sha256::digest(body));
    let string = format!("{method}\n{target}\nWed, 18 Oct 2023 15:34:16 GMT;{host};{hash}");
    let mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap().chain_update(string);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "{line} HTTP/1.1\r\n\
         accept: application/json\r\n\
         authorization: HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}\r\n\
         {content_headers}\
         host: {host}\r\n\
         user-agent: azure-communication-rust/{version}\r\n\
         x-ms-content-sha256: {hash}\r\n\
         x-ms-date: Wed, 18 Oct 2023 15:34:16 GMT"
    );
    assert_eq!((sorted(&request.head), request.body.as_str()), (sorted(&expected), body));
}

/// The order of headers means nothing.
fn sorted(head: &str) -> String {
    let mut lines: Vec<_> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    lines.join("\r\n")
}

fn json_of(length: usize) -> String {
    format!("content-length: {length}\r\ncontent-type: application/json\r\n")
}

fn assert_token(token: &AccessToken) {
    assert_eq!(token.secret(), TOKEN);
    assert_eq!(token.expires_on(), "2023-10-19T15:34:15.5010629Z".parse::<Timestamp>().unwrap());
}

#[tokio::test]
async fn a_user_is_created_with_an_empty_body() {
    let (client, service) = start([reply(201, &format!(r#"{{"identity":{{"id":"{USER}"}}}}"#))]).await;
    assert_eq!(client.create_user(now()).await.unwrap(), user());
    assert_sent(&service.only_request(), "POST /identities?api-version=2023-10-01", &json_of(0), "");
}

#[tokio::test]
async fn a_user_is_created_together_with_a_token() {
    let created = format!(r#"{{"identity":{{"id":"{USER}"}},"accessToken":{TOKEN_BODY}}}"#);
    let (client, service) = start([reply(201, &created), reply(201, &created)]).await;
    for (grant, body) in [
        (Grant::from(Scope::CHAT), r#"{"createTokenWithScopes":["chat"]}"#),
        (
            Grant::new([Scope::CHAT, Scope::VOIP_JOIN]).unwrap().with_lifetime(Lifetime::MIN),
            r#"{"createTokenWithScopes":["chat","voip.join"],"expiresInMinutes":60}"#,
        ),
    ] {
        let (created, token) = client.create_user_and_token(&grant, now()).await.unwrap();
        assert_eq!(created, user());
        assert_token(&token);
        let request = service.requests().pop().unwrap();
        assert_sent(&request, "POST /identities?api-version=2023-10-01", &json_of(body.len()), body);
    }
}

#[tokio::test]
async fn a_token_is_issued() {
    let (client, service) = start([reply(200, TOKEN_BODY), reply(200, TOKEN_BODY)]).await;
    let line = format!("POST /identities/{ESCAPED_USER}/:issueAccessToken?api-version=2023-10-01");
    for (grant, body) in [
        (Grant::from(Scope::VOIP), r#"{"scopes":["voip"]}"#),
        (Grant::from(Scope::VOIP).with_lifetime(Lifetime::MIN), r#"{"scopes":["voip"],"expiresInMinutes":60}"#),
    ] {
        assert_token(&client.issue_token(&user(), &grant, now()).await.unwrap());
        assert_sent(&service.requests().pop().unwrap(), &line, &json_of(body.len()), body);
    }
}

#[tokio::test]
async fn tokens_are_revoked_without_a_body() {
    let (client, service) = start([reply(204, "")]).await;
    client.revoke_tokens(&user(), now()).await.unwrap();
    let line = format!("POST /identities/{ESCAPED_USER}/:revokeAccessTokens?api-version=2023-10-01");
    assert_sent(&service.only_request(), &line, "content-length: 0\r\n", "");
}

#[tokio::test]
async fn a_user_is_deleted_without_a_body() {
    let (client, service) = start([reply(204, "")]).await;
    client.delete_user(&user(), now()).await.unwrap();
    let line = format!("DELETE /identities/{ESCAPED_USER}?api-version=2023-10-01");
    assert_sent(&service.only_request(), &line, "", "");
}

#[tokio::test]
async fn the_token_of_a_teams_user_is_exchanged() {
    let (client, service) = start([reply(200, TOKEN_BODY)]).await;
    let teams = "hush.teams.hush".parse().unwrap();
    let who = TeamsUser { token: &teams, app_id: "app\"1", user_id: "oid-1" };
    assert_token(&client.exchange_teams_user_token(&who, now()).await.unwrap());
    let body = r#"{"token":"hush.teams.hush","appId":"app\"1","userId":"oid-1"}"#;
    let line = "POST /teamsUser/:exchangeAccessToken?api-version=2023-10-01";
    assert_sent(&service.only_request(), line, &json_of(body.len()), body);
}

#[tokio::test]
async fn a_connection_serves_more_than_one_call() {
    let (client, service) = start([reply(204, ""), reply(200, TOKEN_BODY)]).await;
    client.revoke_tokens(&user(), now()).await.unwrap();
    issue(&client.clone()).await.unwrap();
    assert_eq!(service.requests().len(), 2);
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn what_holds_a_secret_or_a_person_does_not_print_it() {
    let created = format!(r#"{{"identity":{{"id":"{USER}"}},"accessToken":{TOKEN_BODY}}}"#);
    let (client, _) = start([reply(201, &created)]).await;
    let made = client.create_user_and_token(&Scope::CHAT.into(), now()).await.unwrap();
    let teams = "hush.teams.hush".parse().unwrap();
    let who = TeamsUser { token: &teams, app_id: "app", user_id: "hush" };
    let shown = format!("{client:?} {made:?} {teams:?} {who:?}");
    for secret in [KEY, "hush", "8:acs", "2dee53b4"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
