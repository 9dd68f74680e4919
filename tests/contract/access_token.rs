//! Tests of `/api/access-token`: who gets a token for Azure Communication Services, with which identity and scopes.
//!
//! The service is the emulator, in the test's process, and the identity store a scripted blob container; the end-to-end tests use Azurite.

use std::future::pending;

use azure_communication_emulator::{Emulator, Fault, KeyType, Operation, Options, Scope, TokenState};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use test_support::http::listen;
use test_support::tcp_proxy::TcpProxy;

use crate::blob_storage::BlobStorage;
use crate::test_app::{ErrorResponse, TestApp, api_error};

const PATH: &str = "/api/access-token";
const CLAIMS: &str = "x-ms-client-principal";

/// An emulated Communication Service, an identity store, and the settings that lead to them.
pub(crate) struct TestEnv {
    pub(crate) emulator: Emulator,
    pub(crate) blobs: BlobStorage,
    connection: String,
    container: String,
}

impl TestEnv {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::new(Options::default());
        let (listener, port) = listen().await;
        let connection = emulator.connection_string(&format!("http://127.0.0.1:{port}"));
        let server = emulator.clone();
        tokio::spawn(async move { server.serve(vec![listener], pending()).await });
        let (blobs, container) = BlobStorage::start().await;
        Self { emulator, blobs, connection, container }
    }

    /// Starts these and a handler that uses them.
    async fn with_app(more: &[(&str, &str)]) -> (Self, TestApp) {
        let env = Self::start().await;
        let app = env.start_app(more);
        (env, app)
    }

    /// Starts a handler behind Easy Auth that uses both, with additional settings.
    pub(crate) fn start_app(&self, more: &[(&str, &str)]) -> TestApp {
        let mut variables = vec![
            ("AzureCommunicationServicesConnectionString", self.connection.as_str()),
            ("ChatIdentityStore", &self.container),
            ("WEBSITE_AUTH_ENABLED", "True"),
        ];
        variables.extend(more);
        TestApp::with_signalr(1, &variables)
    }

    /// Deletes an identity without the handler.
    async fn delete(&self, id: &str) {
        let client = azure_communication::Client::new(&self.connection.parse().unwrap()).unwrap();
        client.delete_user(&id.parse().unwrap(), jiff::Timestamp::now()).await.unwrap();
    }

    fn ids(&self) -> Vec<String> {
        self.emulator.identities().into_iter().map(|identity| identity.id).collect()
    }
}

/// Adds the headers of Easy Auth for a user of Microsoft Entra ID.
fn as_entra(request: RequestBuilder, tenant: &str, object: &str) -> RequestBuilder {
    let principal = json!({"auth_typ": "aad", "name_typ": "name", "claims": [
        {"typ": "name", "val": "ann@contoso.com"},
        {"typ": "http://schemas.microsoft.com/identity/claims/tenantid", "val": tenant},
        {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": object},
    ]});
    let request = request.header(CLAIMS, STANDARD.encode(principal.to_string()));
    request.header("x-ms-client-principal-idp", "aad").header("x-ms-client-principal-id", object)
}

/// A request to `/api/access-token` by a user of Microsoft Entra ID.
pub(crate) fn request_as(app: &TestApp, method: Method, tenant: &str, object: &str) -> RequestBuilder {
    as_entra(app.request(method, PATH), tenant, object)
}

/// `DELETE /api/access-token` with a query.
fn delete_as(app: &TestApp, who: &str, query: &str) -> RequestBuilder {
    as_entra(app.request(Method::DELETE, &format!("{PATH}{query}")), "contoso", who)
}

/// Adds the headers of Easy Auth for a user of GitHub.
fn as_github(request: RequestBuilder, id: &str) -> RequestBuilder {
    request.header("x-ms-client-principal-idp", "github").header("x-ms-client-principal-id", id)
}

/// The hash of the GitHub user `ann`, the name of the file in which earlier versions stored them.
const GITHUB_ANN: &str = "9108e69397f782e30e3bbf5702bd5ee88f2c1a98c0e2434aed09d35c831717d0";

/// The text of the blob of an identity.
fn stored_text(id: &str) -> String {
    json!({"version": 1, "communicationUserId": id}).to_string()
}

fn post_as(app: &TestApp, who: &str) -> RequestBuilder {
    request_as(app, Method::POST, "contoso", who)
}

async fn json_body(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// The token and the identity in the response to `request`.
pub(crate) async fn issue(request: RequestBuilder) -> (String, String) {
    let body = json_body(request.send().await.unwrap()).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&body["token"]), text(&body["user"]["communicationUserId"]))
}

async fn error_of(request: RequestBuilder) -> (u16, String) {
    api_error(request.send().await.unwrap()).await
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_request_without_a_credential_gets_no_token_and_calls_no_service() {
    let env = TestEnv::start().await;
    for allow_anonymous in ["true", "false"] {
        let app = env.start_app(&[("ChatAllowAnonymous", allow_anonymous)]);
        for method in [Method::POST, Method::DELETE] {
            let anonymous = app.request(method.clone(), PATH);
            assert_eq!(error_of(anonymous).await, error(401, "unauthenticated"));
            let name_only = app.request(method, PATH).header("x-ms-client-principal-name", "ann@contoso.com");
            assert_eq!(error_of(name_only).await, error(401, "unauthenticated"));
        }
        assert_eq!(error_of(app.get(PATH)).await, error(405, "method_not_allowed"));
    }
    assert_eq!(env.emulator.calls().received, 0);
    assert!(env.blobs.blobs().is_empty());
}

#[tokio::test]
async fn easy_auth_headers_are_ignored_where_easy_auth_is_off() {
    let env = TestEnv::start().await;
    for value in ["false", "perhaps"] {
        let app = env.start_app(&[("WEBSITE_AUTH_ENABLED", value)]);
        assert_eq!(error_of(post_as(&app, "ann")).await, error(401, "unauthenticated"));
    }
    assert_eq!(env.emulator.calls().received, 0);
}

/// Without `AzureAd__*` settings, only Easy Auth validates tokens. With them, see `bearer_tokens`.
#[tokio::test]
async fn a_bearer_token_without_easy_auth_headers_is_rejected() {
    let (env, app) = TestEnv::with_app(&[]).await;
    for token in ["eyJhbGciOiJub25lIn0.eyJvaWQiOiJhbm4iLCJ0aWQiOiJjb250b3NvIn0.", "x", ""] {
        let request = app.post(PATH).bearer_auth(token);
        assert_eq!(error_of(request).await, error(401, "unauthenticated"));
    }
    assert_eq!(env.emulator.calls().received, 0);
}

#[tokio::test]
async fn each_person_has_exactly_one_identity() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let (first, ann) = issue(post_as(&app, "ann")).await;
    let (second, again) = issue(post_as(&app, "ann")).await;
    assert_eq!(ann, again);
    assert_eq!((env.emulator.calls().create, env.emulator.calls().issue), (1, 2));
    for token in [first, second] {
        assert_eq!(env.emulator.introspect(&token).unwrap().identity, ann);
    }
    let (_, bob) = issue(post_as(&app, "bob")).await;
    let (_, other_tenant) = issue(request_as(&app, Method::POST, "fabrikam", "ann")).await;
    let github = app.post(PATH).header("x-ms-client-principal-idp", "github");
    let (_, github) = issue(github.header("x-ms-client-principal-id", "ann")).await;
    let mut all = vec![ann, bob, other_tenant, github];
    assert_eq!(env.ids(), all);
    all.dedup();
    assert_eq!(all.len(), 4);
    // Neither names nor contents of the blobs identify a person.
    for (path, text) in env.blobs.people() {
        assert!([&path, &text].iter().all(|shown| !shown.contains("ann") && !shown.contains("contoso")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_first_requests_to_two_processes_create_one_identity() {
    let env = TestEnv::start().await;
    let apps = [env.start_app(&[]), env.start_app(&[])];
    let requests = (0..20).map(|number| issue(post_as(&apps[number % 2], "ann")));
    let ids: Vec<_> = join_all(requests).await.into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(env.ids(), ids[..1]);
    let people = env.blobs.people();
    assert_eq!(people.len(), 1);
    assert!(people[0].1.contains(&ids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_people_have_a_thousand_identities() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let mut ids = std::collections::BTreeSet::new();
    for group in 0..20 {
        let people: Vec<_> = (0..50).map(|number| format!("{}", group * 50 + number)).collect();
        let issued = join_all(people.iter().map(|person| issue(post_as(&app, person)))).await;
        ids.extend(issued.into_iter().map(|(_, id)| id));
    }
    assert_eq!((ids.len(), env.ids().len(), env.blobs.people().len()), (1_000, 1_000, 1_000));
}

#[tokio::test]
async fn a_request_can_neither_name_another_identity_nor_exceed_the_configured_grant() {
    let (env, app) =
        TestEnv::with_app(&[("ChatAccessTokenScopes", "chat.join voip.join"), ("ChatAccessTokenMinutes", "120")]).await;
    let (_, bob) = issue(post_as(&app, "bob")).await;
    let (_, ann) = issue(post_as(&app, "ann")).await;
    let named = json!({"user": {"communicationUserId": bob}, "userId": bob, "id": bob, "oid": "bob"});
    let in_query = app.post(&format!("{PATH}?user={bob}&communicationUserId={bob}"));
    let in_query = as_entra(in_query, "contoso", "ann");
    let (token, id) = issue(in_query.json(&named)).await;
    assert_eq!(id, ann);
    assert_eq!(env.emulator.introspect(&token).unwrap().identity, ann);
    for (body, code) in [
        (json!({"scopes": ["voip"]}), "not_allowed"),
        (json!({"scopes": ["chat.join", "chat"]}), "not_allowed"),
        (json!({"expiresInMinutes": 121}), "not_allowed"),
        (json!({"expiresInMinutes": 1_440}), "not_allowed"),
        (json!({"scopes": []}), "invalid_request"),
        (json!({"expiresInMinutes": 59}), "invalid_request"),
        (json!([]), "invalid_request"),
    ] {
        assert_eq!(
            error_of(request_as(&app, Method::POST, "t", &body.to_string()).json(&body)).await,
            error(400, code)
        );
    }
    assert_eq!(env.emulator.calls().issue, 3);
    let less = json!({"scopes": ["voip.join"], "expiresInMinutes": 60});
    let (token, _) = issue(post_as(&app, "ann").json(&less)).await;
    let claims = env.emulator.introspect(&token).unwrap();
    assert_eq!((claims.scopes, claims.expires_at - claims.issued_at), (vec![Scope::VoipJoin], 3_600));
}

#[tokio::test]
async fn the_response_has_the_shape_of_the_official_sdk_and_is_neither_cached_nor_logged() {
    let (env, mut app) = TestEnv::with_app(&[("RUST_LOG", "trace")]).await;
    let response = post_as(&app, "ann").send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = json_body(response).await;
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (keys(&body), keys(&body["user"])),
        (["expiresOn", "scopes", "token", "user"].map(str::to_owned).to_vec(), vec!["communicationUserId".to_owned()],)
    );
    assert_eq!(body["scopes"], json!(["chat.join.limited", "voip.join"]));
    let token = body["token"].as_str().unwrap();
    let claims = env.emulator.introspect(token).unwrap();
    assert_eq!(claims.scopes, [Scope::ChatJoinLimited, Scope::VoipJoin]);
    assert_eq!(claims.expires_at - claims.issued_at, 3_600);
    let expires_on: jiff::Timestamp = body["expiresOn"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires_on.as_second(), i64::try_from(claims.expires_at).unwrap());
    let log = app.stop() + &app.process.err.text();
    assert!(log.contains("operation=\"AccessToken\""), "{log}");
    let key = env.connection.split("accesskey=").nth(1).unwrap();
    for secret in [token, key, "SECRET-of-the-sas", &claims.identity] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn signing_out_revokes_the_callers_tokens_and_keeps_the_identity() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let nothing = request_as(&app, Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!((nothing.status().as_u16(), env.emulator.calls().received), (204, 0));
    let (anns, ann) = issue(post_as(&app, "ann")).await;
    let (bobs, _) = issue(post_as(&app, "bob")).await;
    let ended = request_as(&app, Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!((ended.status().as_u16(), ended.text().await.unwrap()), (204, String::new()));
    assert_eq!(env.emulator.introspect(&anns).unwrap().state, TokenState::Revoked);
    assert_eq!(env.emulator.introspect(&bobs).unwrap().state, TokenState::Alive);
    assert_eq!(env.emulator.calls().revoke, 1);
    let (later, same) = issue(post_as(&app, "ann")).await;
    assert_eq!((same, env.emulator.introspect(&later).unwrap().state), (ann, TokenState::Alive));
}

#[tokio::test]
async fn errors_of_the_service_are_mapped_and_their_text_is_not_forwarded() {
    let (env, app) = TestEnv::with_app(&[]).await;
    issue(post_as(&app, "ann")).await;
    for (fault, expected) in [
        (Fault::new(401).unwrap(), error(502, "upstream_rejected")),
        (Fault::new(403).unwrap(), error(502, "upstream_rejected")),
        (Fault::new(400).unwrap(), error(502, "upstream_rejected")),
        (Fault::throttled(Some(30)), error(429, "throttled")),
        (Fault::new(503).unwrap().retry_after(30), error(503, "unavailable")),
    ] {
        env.emulator.inject(fault.on(Operation::Issue)).unwrap();
        let response = post_as(&app, "ann").send().await.unwrap();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry_after.as_deref(), matches!(expected.0, 429 | 503).then_some("30"));
        assert_eq!(api_error(response).await, expected);
    }
    // The key is regenerated externally.
    env.emulator.regenerate_key(KeyType::Primary);
    let response = post_as(&app, "bob").send().await.unwrap();
    assert_eq!(response.status(), 502);
    let text = response.text().await.unwrap();
    assert!(!text.contains("Denied") && !text.contains("signature"), "{text}");
}

#[tokio::test]
async fn an_unreachable_service_is_reported_as_unavailable() {
    let env = TestEnv::start().await;
    let (_, key) = env.connection.split_once(';').unwrap();
    let unreachable = format!("endpoint=http://127.0.0.1:1/;{key}");
    let app = env.start_app(&[("AzureCommunicationServicesConnectionString", &unreachable)]);
    let response = post_as(&app, "ann").send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, error(503, "unavailable"));
    assert!(env.blobs.people().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_was_deleted_externally_is_replaced_by_one() {
    let env = TestEnv::start().await;
    let apps = [env.start_app(&[]), env.start_app(&[])];
    let (_, deleted) = issue(post_as(&apps[0], "ann")).await;
    env.delete(&deleted).await;
    let requests = (0..8).map(|number| issue(post_as(&apps[number % 2], "ann")));
    let ids: Vec<_> = join_all(requests).await.into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| *id == ids[0] && *id != deleted), "{ids:?}");
    assert_eq!(env.ids(), ids[..1]);
    assert!(env.blobs.people()[0].1.contains(&ids[0]));
    env.delete(&ids[0]).await;
    let ended = request_as(&apps[1], Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!(ended.status(), 204);
}

#[tokio::test]
async fn a_missing_identity_is_replaced_at_most_once_per_request() {
    let (env, app) = TestEnv::with_app(&[]).await;
    issue(post_as(&app, "ann")).await;
    for _ in 0..10 {
        env.emulator.inject(Fault::new(404).unwrap().on(Operation::Issue)).unwrap();
    }
    assert_eq!(error_of(post_as(&app, "ann")).await, error(502, "upstream_rejected"));
    let calls = env.emulator.calls();
    assert_eq!((calls.create, calls.refused), (2, 2));
}

/// Sends requests until one is answered with 429, which it checks.
async fn exhaust(request: impl Fn() -> RequestBuilder) {
    for _ in 0..30 {
        let response = request().send().await.unwrap();
        if response.status().is_success() {
            continue;
        }
        let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(api_error(response).await, error(429, "rate_limited"));
        return;
    }
    panic!("thirty requests are within the limit");
}

#[tokio::test]
async fn the_rate_limit_counts_each_person_separately() {
    let (env, app) = TestEnv::with_app(&[]).await;
    exhaust(|| post_as(&app, "ann")).await;
    let before = env.emulator.calls().received;
    assert_eq!(error_of(post_as(&app, "ann")).await, error(429, "rate_limited"));
    assert_eq!(env.emulator.calls().received, before);
    issue(post_as(&app, "bob")).await;
}

#[tokio::test]
async fn who_gets_no_more_tokens_can_still_revoke_and_forget() {
    let (env, app) = TestEnv::with_app(&[]).await;
    exhaust(|| post_as(&app, "ann")).await;
    assert_eq!(delete_as(&app, "ann", "").send().await.unwrap().status(), 204);
    assert_eq!(env.emulator.calls().revoke, 1);
    assert_eq!(delete_as(&app, "ann", "?forget=true").send().await.unwrap().status(), 204);
    assert!(env.ids().is_empty());
}

#[tokio::test]
async fn revoking_and_forgetting_have_a_limit_of_their_own() {
    let (env, app) = TestEnv::with_app(&[]).await;
    exhaust(|| delete_as(&app, "ann", "")).await;
    let before = env.emulator.calls().received;
    assert_eq!(error_of(delete_as(&app, "ann", "?forget=true")).await, error(429, "rate_limited"));
    assert_eq!(env.emulator.calls().received, before);
    issue(post_as(&app, "ann")).await;
    assert_eq!(delete_as(&app, "bob", "").send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn forget_is_true_or_1_in_any_letter_case() {
    let (env, app) = TestEnv::with_app(&[]).await;
    for query in ["?forget=true", "?forget=True", "?forget=TRUE", "?forget=1", "?Forget=tRuE", "?x=0&forget=1"] {
        issue(post_as(&app, "ann")).await;
        assert_eq!(delete_as(&app, "ann", query).send().await.unwrap().status(), 204);
        assert!(env.ids().is_empty() && env.blobs.people().is_empty(), "{query}");
    }
}

#[tokio::test]
async fn any_other_value_of_forget_is_400_and_revokes_nothing() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let (token, _) = issue(post_as(&app, "ann")).await;
    for query in [
        "?forget", "?forget=", "?forget=yes", "?forget=on", "?forget=2", "?forget=truth", "?forget=%20true",
        "?forget=true&forget=true", "?forget=true&forget=0", "?FORGET=ja",
    ] {
        let refused = ErrorResponse::read(delete_as(&app, "ann", query).send().await.unwrap()).await;
        assert_eq!((refused.status, refused.code.as_str()), (400, "invalid_request"), "{query}");
        assert!(refused.message.contains("forget must be true or false"), "{}", refused.message);
    }
    assert_eq!(env.emulator.calls().revoke, 0);
    for query in ["?forget=false", "?forget=0", "?forget=False"] {
        assert_eq!(delete_as(&app, "ann", query).send().await.unwrap().status(), 204);
    }
    assert_eq!((env.emulator.calls().revoke, env.ids().len()), (3, 1));
    assert_eq!(env.emulator.introspect(&token).unwrap().state, TokenState::Revoked);
}

#[tokio::test]
async fn an_identity_is_deleted_at_the_service_first_and_a_failure_can_be_repeated() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let (token, ann) = issue(post_as(&app, "ann")).await;
    let forget = || delete_as(&app, "ann", "?forget=true");
    // The service refuses: nothing has changed.
    env.emulator.inject(Fault::new(403).unwrap().on(Operation::Delete)).unwrap();
    assert_eq!(error_of(forget()).await, error(502, "upstream_rejected"));
    assert_eq!((env.ids(), env.blobs.people().len()), (vec![ann.clone()], 1));
    assert_eq!(issue(post_as(&app, "ann")).await.1, ann);
    // The store refuses: the identity is gone, and is found once more.
    env.blobs.fail_writes_with(Some(403));
    assert_eq!(error_of(forget()).await, error(500, "identity_store_failed"));
    assert_eq!((env.ids().len(), env.blobs.people().len()), (0, 1));
    env.blobs.fail_writes_with(None);
    // What the service does not have counts as deleted.
    for _ in 0..2 {
        assert_eq!(forget().send().await.unwrap().status(), 204);
        assert!(env.blobs.people().is_empty());
    }
    assert_ne!(env.emulator.introspect(&token).unwrap().state, TokenState::Alive);
    assert_ne!(issue(post_as(&app, "ann")).await.1, ann);
}

#[tokio::test]
async fn an_identity_that_another_process_has_stored_meanwhile_is_not_removed() {
    let (env, app) = TestEnv::with_app(&[]).await;
    issue(post_as(&app, "ann")).await;
    let service = azure_communication::Client::new(&env.connection.parse().unwrap()).unwrap();
    let new = service.create_user(jiff::Timestamp::now()).await.unwrap();
    env.blobs.replace_before_next_delete(&stored_text(new.as_str()));
    assert_eq!(delete_as(&app, "ann", "?forget=true").send().await.unwrap().status(), 204);
    assert_eq!(env.ids(), [new.as_str()]);
    assert_eq!(issue(post_as(&app, "ann")).await.1, new.as_str());
}

/// Each request is answered: with a token that is alive, or dead with its identity.
#[tokio::test(flavor = "multi_thread")]
async fn while_an_identity_is_being_deleted_no_token_is_issued_for_it() {
    let env = TestEnv::start().await;
    let app = env.start_app(&[]);
    let (_, first) = issue(post_as(&app, "ann")).await;
    let requests = (0..16).map(|number| {
        let (app, is_forget) = (&app, number == 8);
        async move {
            if is_forget {
                assert_eq!(delete_as(app, "ann", "?forget=true").send().await.unwrap().status(), 204);
                return None;
            }
            Some(issue(post_as(app, "ann")).await)
        }
    });
    let issued: Vec<_> = join_all(requests).await.into_iter().flatten().collect();
    let ids = env.ids();
    assert!(ids.len() <= 1 && !ids.contains(&first), "{ids:?}");
    assert_eq!(env.emulator.calls().refused, 0, "a token was requested for a deleted identity");
    for (token, id) in issued {
        assert_eq!(env.emulator.introspect(&token).unwrap().state == TokenState::Alive, ids.contains(&id));
    }
}

#[tokio::test]
async fn a_lost_response_of_the_store_leaves_one_identity() {
    let (env, app) = TestEnv::with_app(&[]).await;
    env.blobs.fail_after_next_put();
    let (_, id) = issue(post_as(&app, "ann")).await;
    assert_eq!(env.ids(), [id]);
}

#[tokio::test]
async fn a_failing_store_yields_no_token_and_creates_no_identity() {
    let (env, mut app) = TestEnv::with_app(&[]).await;
    for (status, expected) in [
        (403, error(500, "identity_store_failed")),
        (401, error(500, "identity_store_failed")),
        (404, error(500, "identity_store_failed")),
        (400, error(500, "identity_store_failed")),
        (500, error(503, "unavailable")),
        (503, error(503, "unavailable")),
    ] {
        env.blobs.fail_with(Some(status));
        let response = post_as(&app, "ann").send().await.unwrap();
        assert_eq!(response.headers().contains_key("retry-after"), expected.0 == 503, "{status}");
        assert_eq!(api_error(response).await, expected, "{status}");
    }
    assert_eq!(env.emulator.calls().received, 0);
    env.blobs.fail_with(None);
    issue(post_as(&app, "ann")).await;
    let log = app.stop();
    assert!(log.contains("Storage Blob Data Contributor") && log.contains("create the container"), "{log}");
    assert!(!log.contains("text of the storage account") && !log.contains("/account/"), "{log}");
}

#[tokio::test]
async fn a_store_that_can_only_be_read_yields_no_identity_for_new_people_and_tokens_for_the_others() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let (_, ann) = issue(post_as(&app, "ann")).await;
    let before = env.emulator.calls().create;
    for (status, expected) in [
        (403, error(500, "identity_store_failed")),
        (404, error(500, "identity_store_failed")),
        (503, error(503, "unavailable")),
    ] {
        env.blobs.fail_writes_with(Some(status));
        assert_eq!(error_of(post_as(&app, "bob")).await, expected, "{status}");
        assert_eq!(issue(post_as(&app, "ann")).await.1, ann, "{status}");
        // The first request to a new process needs the key of the names, which is there.
        let second = env.start_app(&[]);
        assert_eq!(error_of(post_as(&second, "bob")).await, expected, "{status}");
        assert_eq!(issue(post_as(&second, "ann")).await.1, ann, "{status}");
    }
    assert_eq!((env.emulator.calls().create, env.ids()), (before, vec![ann]));
}

#[tokio::test]
async fn a_file_that_is_not_of_this_app_is_left_as_it_is_and_reported_to_the_operator() {
    let (env, app) = TestEnv::with_app(&[]).await;
    issue(post_as(&app, "ann")).await;
    for (path, _) in env.blobs.blobs() {
        let name = path.strip_prefix("/account/chat-identities/").unwrap();
        env.blobs.insert(name, "of another app");
    }
    let others = env.blobs.blobs();
    // The second process cannot read the key of the names either.
    for app in [&app, &env.start_app(&[])] {
        assert_eq!(error_of(post_as(app, "ann")).await, error(500, "identity_store_failed"));
        assert_eq!(error_of(delete_as(app, "ann", "?forget=true")).await, error(500, "identity_store_failed"));
        app.process.out.line("holds a file that is none of this app's");
    }
    assert_eq!((env.emulator.calls().create, env.blobs.blobs()), (1, others));
}

#[tokio::test]
async fn without_configuration_the_error_names_the_setting_to_add() {
    let app = TestApp::with_signalr(1, &[("WEBSITE_AUTH_ENABLED", "True")]);
    for request in [post_as(&app, "ann"), app.post(PATH), app.request(Method::DELETE, PATH)] {
        let error = ErrorResponse::read(request.send().await.unwrap()).await;
        assert_eq!((error.status, error.code.as_str()), (404, "not_found"));
        assert!(error.message.contains("AzureCommunicationServicesConnectionString"), "{}", error.message);
    }
}

#[tokio::test]
async fn behind_a_host_the_identity_store_must_be_configured() {
    let (_env, app) = TestEnv::with_app(&[("ChatIdentityStore", "")]).await;
    let error = ErrorResponse::read(post_as(&app, "ann").send().await.unwrap()).await;
    assert_eq!((error.status, error.code.as_str()), (503, "not_configured"));
    assert!(error.message.contains("ChatIdentityStore"));
}

#[tokio::test]
async fn an_account_key_of_the_store_is_an_error_that_names_its_replacement() {
    let (_env, mut app) = TestEnv::with_app(&[("ChatIdentityStoreKey", "aHVzaA==")]).await;
    let error = ErrorResponse::read(post_as(&app, "ann").send().await.unwrap()).await;
    assert!(error.status == 503 && error.message.contains("ChatIdentityStoreKey"));
    let line = app.process.out.line("ChatIdentityStoreKey: is no longer used");
    assert!(line.contains("Storage Blob Data Contributor") && line.contains("SAS URL"), "{line}");
    assert!(!app.stop().contains("aHVzaA"));
}

#[tokio::test]
async fn identities_stored_by_an_earlier_version_are_found_again() {
    let env = TestEnv::start().await;
    let service = azure_communication::Client::new(&env.connection.parse().unwrap()).unwrap();
    let ann = service.create_user(jiff::Timestamp::now()).await.unwrap();
    let stored: Value = serde_json::from_str(include_str!("../data/stored-identities.json")).unwrap();
    let is_anns = |blob: &&Value| blob["name"].as_str().unwrap().contains("127.0.0.1:8889/9108e693");
    let blob = stored["blobs"].as_array().unwrap().iter().find(is_anns).unwrap();
    let (_, name) = blob["name"].as_str().unwrap().split_once('/').unwrap();
    let content: Value = serde_json::from_str(blob["content"].as_str().unwrap()).unwrap();
    let old_id = content["communicationUserId"].as_str().unwrap();
    // The resource has another port, and other identities.
    let (host, _) = env.connection.strip_prefix("endpoint=http://").unwrap().split_once(['/', ';']).unwrap();
    env.blobs.insert(&format!("{host}/{name}"), &blob["content"].as_str().unwrap().replace(old_id, ann.as_str()));
    let app = env.start_app(&[]);
    let request = app.post(PATH).header("x-ms-client-principal-idp", "github");
    let (_, id) = issue(request.header("x-ms-client-principal-id", "ann")).await;
    assert_eq!((id.as_str(), env.ids().len()), (ann.as_str(), 1));
    // It has moved to a name that cannot be computed without the key.
    let [(moved, _)] = &env.blobs.people()[..] else { panic!("one blob for one person") };
    assert!(!moved.ends_with(name), "{moved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_stored_by_an_earlier_version_keep_their_identity_when_two_processes_look_for_it_at_once() {
    let env = TestEnv::start().await;
    let service = azure_communication::Client::new(&env.connection.parse().unwrap()).unwrap();
    let ann = service.create_user(jiff::Timestamp::now()).await.unwrap();
    let (host, _) = env.connection.strip_prefix("endpoint=http://").unwrap().split_once(['/', ';']).unwrap();
    env.blobs.insert(&format!("{host}/{GITHUB_ANN}.json"), &stored_text(ann.as_str()));
    let apps = [env.start_app(&[]), env.start_app(&[])];
    let requests = (0..10).map(|number| issue(as_github(apps[number % 2].post(PATH), "ann")));
    let ids: Vec<_> = join_all(requests).await.into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| id == ann.as_str()), "{ids:?}");
    let [(moved, _)] = &env.blobs.people()[..] else { panic!("one blob for one person") };
    assert!(env.ids().len() == 1 && !moved.contains(GITHUB_ANN), "{moved}");
}

#[tokio::test]
async fn who_was_stored_by_an_earlier_version_can_revoke_and_is_forgotten_without_a_rest() {
    let (env, app) = TestEnv::with_app(&[]).await;
    let service = azure_communication::Client::new(&env.connection.parse().unwrap()).unwrap();
    let (host, _) = env.connection.strip_prefix("endpoint=http://").unwrap().split_once(['/', ';']).unwrap();
    let old_name = format!("{host}/{GITHUB_ANN}.json");
    let forget = || as_github(app.request(Method::DELETE, &format!("{PATH}?forget=true")), "ann");
    // Before the move, and after an instance of the earlier version has stored another identity.
    for stored_twice in [false, true] {
        let old = service.create_user(jiff::Timestamp::now()).await.unwrap();
        if stored_twice {
            issue(as_github(app.post(PATH), "ann")).await;
        }
        env.blobs.insert(&old_name, &stored_text(old.as_str()));
        let before = env.emulator.calls().revoke;
        assert_eq!(as_github(app.request(Method::DELETE, PATH), "ann").send().await.unwrap().status(), 204);
        assert_eq!(env.emulator.calls().revoke - before, 1 + u64::from(stored_twice));
        assert_eq!(forget().send().await.unwrap().status(), 204);
        assert!(env.ids().is_empty() && env.blobs.people().is_empty());
    }
}

#[tokio::test]
async fn the_key_of_the_names_is_never_logged() {
    let (env, mut app) = TestEnv::with_app(&[("RUST_LOG", "trace")]).await;
    issue(post_as(&app, "ann")).await;
    delete_as(&app, "ann", "?forget=true").send().await.unwrap();
    let blobs = env.blobs.blobs();
    let [(path, text)] = &blobs[..] else { panic!("the key and nothing else: {blobs:?}") };
    assert!(path.ends_with("/name-key.json"), "{path}");
    let key: Value = serde_json::from_str(text).unwrap();
    let log = app.stop();
    assert!(log.contains("/api/access-token") && !log.contains(key["key"].as_str().unwrap()), "{log}");
}

#[tokio::test]
async fn the_sas_of_the_store_is_never_logged() {
    let (env, mut app) = TestEnv::with_app(&[("RUST_LOG", "trace")]).await;
    issue(post_as(&app, "ann")).await;
    env.blobs.fail_with(Some(403));
    error_of(post_as(&app, "bob")).await;
    let log = app.stop();
    assert!(log.contains("/api/access-token") && !log.contains("SECRET-of-the-sas"), "{log}");
}

#[tokio::test]
async fn a_body_needs_the_json_content_type() {
    let (_env, app) = TestEnv::with_app(&[]).await;
    assert_eq!(error_of(post_as(&app, "ann").body("{}")).await, error(415, "unsupported_media_type"));
    issue(post_as(&app, "ann").header("content-type", "application/json; charset=utf-8").body("{}")).await;
}

#[tokio::test]
async fn the_log_has_the_upstream_time_of_requests_that_called_the_service() {
    let (env, app) = TestEnv::with_app(&[("ChatLogFormat", "json")]).await;
    let logged = |id: &str| -> Value { serde_json::from_str(&app.process.out.line(id)).unwrap() };
    let invocation = "x-azure-functions-invocationid";
    post_as(&app, "ann").header(invocation, "issued-1").send().await.unwrap();
    env.emulator.inject(Fault::new(400).unwrap().on(Operation::Issue)).unwrap();
    post_as(&app, "ann").header(invocation, "rejected-1").send().await.unwrap();
    let delete = |who| request_as(&app, Method::DELETE, "contoso", who);
    delete("ann").header(invocation, "revoked-1").send().await.unwrap();
    for id in ["issued-1", "rejected-1", "revoked-1"] {
        let line = logged(id);
        let (waited, whole) = (line["upstream_ms"].as_f64().unwrap(), line["duration_ms"].as_f64().unwrap());
        assert!(0.0 < waited && waited <= whole, "{line}");
    }
    delete("bob").header(invocation, "no-identity-1").send().await.unwrap();
    app.post(PATH).header(invocation, "anonymous-1").send().await.unwrap();
    for id in ["no-identity-1", "anonymous-1"] {
        assert_eq!(logged(id).get("upstream_ms"), None);
    }
}

#[tokio::test]
async fn a_token_is_issued_though_the_connections_to_service_and_store_have_died() {
    let mut env = TestEnv::start().await;
    let mut proxies = Vec::new();
    for address in [&mut env.connection, &mut env.container] {
        let (_, rest) = address.split_once("127.0.0.1:").unwrap();
        let port = rest.split(['/', ';']).next().unwrap().to_owned();
        let proxy = TcpProxy::start(port.parse().unwrap()).await;
        *address = address.replace(&port, &proxy.port().to_string());
        proxies.push(proxy);
    }
    let app = env.start_app(&[]);
    let (_, id) = issue(post_as(&app, "ann")).await;
    for proxy in &proxies {
        proxy.swallow_open_connections();
    }
    assert_eq!(issue(post_as(&app, "ann")).await.1, id);
}
