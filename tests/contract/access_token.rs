//! Access tokens for Azure Communication Services: who gets one, what it allows, and who somebody is there.
//!
//! The service is its stand-in, in the process of the test, so that what it was asked can be counted. Where the store of identities is a blob
//! container, it is a stand-in too; the tests against Azurite have the real protocol.

use std::net::Ipv4Addr;

use azure_communication_emulator::{Emulator, Fault, KeySlot, Operation, Options, Scope, TokenState};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::blob_storage::Blobs;
use crate::test_app::{House, refusal};

const PATH: &str = "/api/access-token";
const ACCOUNT_KEY: &str = "aHVzaC1vZi10aGUtYWNjb3VudA==";
const CLAIMS: &str = "x-ms-client-principal";

/// A service, a store, and what a handler is told of them.
pub(crate) struct Town {
    pub(crate) emulator: Emulator,
    pub(crate) blobs: Blobs,
    connection: String,
    container: String,
}

impl Town {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::new(Options::default());
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let connection = emulator.connection_string(&format!("http://{}", socket.local_addr().unwrap()));
        tokio::spawn(axum::serve(socket, emulator.router()).into_future());
        let (blobs, container) = Blobs::start().await;
        Self { emulator, blobs, connection, container }
    }

    /// A handler behind Easy Auth, in front of both.
    pub(crate) fn house(&self, more: &[(&str, &str)]) -> House {
        let mut variables = vec![
            ("AzureCommunicationServicesConnectionString", self.connection.as_str()),
            ("ChatIdentityStore", &self.container),
            ("ChatIdentityStoreKey", ACCOUNT_KEY),
            ("WEBSITE_AUTH_ENABLED", "True"),
        ];
        variables.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        variables.extend(more);
        House::before(1, &variables)
    }

    /// As somebody in the portal does.
    async fn delete(&self, id: &str) {
        let somebody = azure_communication::Client::new(&self.connection.parse().unwrap()).unwrap();
        somebody.delete_user(&id.parse().unwrap(), jiff::Timestamp::now()).await.unwrap();
    }

    fn ids(&self) -> Vec<String> {
        self.emulator.identities().into_iter().map(|identity| identity.id).collect()
    }
}

/// The same by the person whom Easy Auth knows by these.
fn as_entra(request: RequestBuilder, tenant: &str, object: &str) -> RequestBuilder {
    let principal = json!({"auth_typ": "aad", "name_typ": "name", "claims": [
        {"typ": "name", "val": "ann@contoso.com"},
        {"typ": "http://schemas.microsoft.com/identity/claims/tenantid", "val": tenant},
        {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": object},
    ]});
    let request = request.header(CLAIMS, STANDARD.encode(principal.to_string()));
    request.header("x-ms-client-principal-idp", "aad").header("x-ms-client-principal-id", object)
}

pub(crate) fn by_entra(house: &House, method: Method, tenant: &str, object: &str) -> RequestBuilder {
    as_entra(house.request(method, PATH), tenant, object)
}

fn by(house: &House, who: &str) -> RequestBuilder {
    by_entra(house, Method::POST, "contoso", who)
}

async fn json_of(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// The token and the id that `request` gets.
pub(crate) async fn issued(request: RequestBuilder) -> (String, String) {
    let body = json_of(request.send().await.unwrap()).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&body["token"]), text(&body["user"]["communicationUserId"]))
}

async fn refused(request: RequestBuilder) -> (u16, String) {
    refusal(request.send().await.unwrap()).await
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn case_34_without_a_credential_there_is_no_token_and_nobody_is_asked() {
    let town = Town::start().await;
    for allow_anonymous in ["true", "false"] {
        let house = town.house(&[("ChatAllowAnonymous", allow_anonymous)]);
        for method in [Method::POST, Method::DELETE] {
            let nobody = house.request(method.clone(), PATH);
            assert_eq!(refused(nobody).await, is(401, "unauthenticated"));
            let half = house.request(method, PATH).header("x-ms-client-principal-name", "ann@contoso.com");
            assert_eq!(refused(half).await, is(401, "unauthenticated"));
        }
        assert_eq!(refused(house.get(PATH)).await, is(405, "method_not_allowed"));
    }
    assert_eq!(town.emulator.calls().received, 0);
    assert!(town.blobs.paths().is_empty());
}

#[tokio::test]
async fn case_35_where_easy_auth_is_off_its_headers_are_anybodys_words() {
    let town = Town::start().await;
    for value in ["false", "perhaps"] {
        let house = town.house(&[("WEBSITE_AUTH_ENABLED", value)]);
        assert_eq!(refused(by(&house, "ann")).await, is(401, "unauthenticated"));
    }
    assert_eq!(town.emulator.calls().received, 0);
}

/// Where nothing is set up for them, tokens of Microsoft Entra ID are checked by Easy Auth, in front of us; what that does not vouch for is
/// nobody's here, whatever it says. Where something is, see `bearer`.
#[tokio::test]
async fn case_36_a_bearer_token_that_easy_auth_does_not_vouch_for_is_nobodys() {
    let town = Town::start().await;
    let house = town.house(&[]);
    for token in ["eyJhbGciOiJub25lIn0.eyJvaWQiOiJhbm4iLCJ0aWQiOiJjb250b3NvIn0.", "x", ""] {
        let request = house.post(PATH).bearer_auth(token);
        assert_eq!(refused(request).await, is(401, "unauthenticated"));
    }
    assert_eq!(town.emulator.calls().received, 0);
}

#[tokio::test]
async fn case_37_one_person_has_one_identity_and_another_has_another() {
    let town = Town::start().await;
    let house = town.house(&[]);
    let (first, ann) = issued(by(&house, "ann")).await;
    let (second, again) = issued(by(&house, "ann")).await;
    assert_eq!(ann, again);
    assert_eq!((town.emulator.calls().create, town.emulator.calls().issue), (1, 2));
    for token in [first, second] {
        assert_eq!(town.emulator.introspect(&token).unwrap().identity, ann);
    }
    let (_, bob) = issued(by(&house, "bob")).await;
    let (_, elsewhere) = issued(by_entra(&house, Method::POST, "fabrikam", "ann")).await;
    let github = house.post(PATH).header("x-ms-client-principal-idp", "github");
    let (_, github) = issued(github.header("x-ms-client-principal-id", "ann")).await;
    let mut all = vec![ann, bob, elsewhere, github];
    assert_eq!(town.ids(), all);
    all.dedup();
    assert_eq!(all.len(), 4);
    // Who they are is told neither by the names of the files nor by their contents.
    for told in town.blobs.paths().into_iter().chain(town.blobs.texts()) {
        assert!(!told.contains("ann") && !told.contains("contoso"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_38_twenty_first_requests_at_once_to_two_processes_leave_one_identity() {
    let town = Town::start().await;
    let houses = [town.house(&[]), town.house(&[])];
    let requests = (0..20).map(|number| issued(by(&houses[number % 2], "ann")));
    let ids: Vec<_> = join_all(requests).await.into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(town.ids(), ids[..1]);
    let texts = town.blobs.texts();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains(&ids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_people_have_a_thousand_identities() {
    let town = Town::start().await;
    let house = town.house(&[]);
    let mut ids = std::collections::BTreeSet::new();
    for group in 0..20 {
        let people: Vec<_> = (0..50).map(|number| format!("{}", group * 50 + number)).collect();
        let issued = join_all(people.iter().map(|person| issued(by(&house, person)))).await;
        ids.extend(issued.into_iter().map(|(_, id)| id));
    }
    assert_eq!((ids.len(), town.ids().len(), town.blobs.paths().len()), (1_000, 1_000, 1_000));
}

#[tokio::test]
async fn case_39_nobody_gets_somebody_elses_identity_or_more_than_there_is() {
    let town = Town::start().await;
    let house =
        town.house(&[("ChatAccessTokenScopes", "chat.join voip.join"), ("ChatAccessTokenMinutes", "120")]);
    let (_, bob) = issued(by(&house, "bob")).await;
    let (_, ann) = issued(by(&house, "ann")).await;
    let named = json!({"user": {"communicationUserId": bob}, "userId": bob, "id": bob, "oid": "bob"});
    let in_query = house.post(&format!("{PATH}?user={bob}&communicationUserId={bob}"));
    let in_query = as_entra(in_query, "contoso", "ann");
    let (token, id) = issued(in_query.json(&named)).await;
    assert_eq!(id, ann);
    assert_eq!(town.emulator.introspect(&token).unwrap().identity, ann);
    for (wish, code) in [
        (json!({"scopes": ["voip"]}), "not_allowed"),
        (json!({"scopes": ["chat.join", "chat"]}), "not_allowed"),
        (json!({"expiresInMinutes": 121}), "not_allowed"),
        (json!({"expiresInMinutes": 1_440}), "not_allowed"),
        (json!({"scopes": []}), "invalid_request"),
        (json!({"expiresInMinutes": 59}), "invalid_request"),
        (json!([]), "invalid_request"),
    ] {
        assert_eq!(
            refused(by_entra(&house, Method::POST, "t", &wish.to_string()).json(&wish)).await,
            is(400, code)
        );
    }
    assert_eq!(town.emulator.calls().issue, 3);
    let less = json!({"scopes": ["voip.join"], "expiresInMinutes": 60});
    let (token, _) = issued(by(&house, "ann").json(&less)).await;
    let told = town.emulator.introspect(&token).unwrap();
    assert_eq!((told.scopes, told.expires_at - told.issued_at), (vec![Scope::VoipJoin], 3_600));
}

#[tokio::test]
async fn case_40_the_answer_is_what_the_official_sdk_gives_and_no_cache_and_no_log_has_it() {
    let town = Town::start().await;
    let house = town.house(&[("RUST_LOG", "trace")]);
    let response = by(&house, "ann").send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = json_of(response).await;
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (keys(&body), keys(&body["user"])),
        (
            ["expiresOn", "scopes", "token", "user"].map(str::to_owned).to_vec(),
            vec!["communicationUserId".to_owned()],
        )
    );
    assert_eq!(body["scopes"], json!(["chat.join.limited", "voip.join"]));
    let token = body["token"].as_str().unwrap();
    let told = town.emulator.introspect(token).unwrap();
    assert_eq!(told.scopes, [Scope::ChatJoinLimited, Scope::VoipJoin]);
    assert_eq!(told.expires_at - told.issued_at, 3_600);
    let expires_on: jiff::Timestamp = body["expiresOn"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires_on.as_second(), i64::try_from(told.expires_at).unwrap());
    house.handler.out.line("operation=\"AccessToken\"");
    let log = house.handler.out.text() + &house.handler.err.text();
    let key = town.connection.split("accesskey=").nth(1).unwrap();
    for secret in [token, key, ACCOUNT_KEY, &told.identity] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn case_41_signing_out_ends_ones_own_tokens_and_keeps_the_identity() {
    let town = Town::start().await;
    let house = town.house(&[]);
    let nothing = by_entra(&house, Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!((nothing.status().as_u16(), town.emulator.calls().received), (204, 0));
    let (anns, ann) = issued(by(&house, "ann")).await;
    let (bobs, _) = issued(by(&house, "bob")).await;
    let ended = by_entra(&house, Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!((ended.status().as_u16(), ended.text().await.unwrap()), (204, String::new()));
    assert_eq!(town.emulator.introspect(&anns).unwrap().state, TokenState::Revoked);
    assert_eq!(town.emulator.introspect(&bobs).unwrap().state, TokenState::Alive);
    assert_eq!(town.emulator.calls().revoke, 1);
    let (later, same) = issued(by(&house, "ann")).await;
    assert_eq!((same, town.emulator.introspect(&later).unwrap().state), (ann, TokenState::Alive));
}

#[tokio::test]
async fn case_42_what_the_service_says_stays_between_it_and_the_log() {
    let town = Town::start().await;
    let house = town.house(&[]);
    issued(by(&house, "ann")).await;
    for (fault, expected) in [
        (Fault::new(401).unwrap(), is(502, "upstream_rejected")),
        (Fault::new(403).unwrap(), is(502, "upstream_rejected")),
        (Fault::new(400).unwrap(), is(502, "upstream_rejected")),
        (Fault::throttled(Some(30)), is(429, "throttled")),
        (Fault::new(503).unwrap().retry_after(30), is(503, "unavailable")),
    ] {
        town.emulator.inject(fault.on(Operation::Issue)).unwrap();
        let response = by(&house, "ann").send().await.unwrap();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry_after.as_deref(), matches!(expected.0, 429 | 503).then_some("30"));
        assert_eq!(refusal(response).await, expected);
    }
    // A key that was changed behind our back.
    town.emulator.regenerate_key(KeySlot::Primary);
    let response = by(&house, "bob").send().await.unwrap();
    assert_eq!(response.status(), 502);
    let text = response.text().await.unwrap();
    assert!(!text.contains("Denied") && !text.contains("signature"), "{text}");
}

#[tokio::test]
async fn case_42_a_service_that_is_away_is_unavailable() {
    let town = Town::start().await;
    let (_, key) = town.connection.split_once(';').unwrap();
    let nowhere = format!("endpoint=http://127.0.0.1:1/;{key}");
    let house = town.house(&[("AzureCommunicationServicesConnectionString", &nowhere)]);
    let response = by(&house, "ann").send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(refusal(response).await, is(503, "unavailable"));
    assert!(town.blobs.paths().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_43_an_identity_deleted_behind_our_back_is_replaced_by_one() {
    let town = Town::start().await;
    let houses = [town.house(&[]), town.house(&[])];
    let (_, gone) = issued(by(&houses[0], "ann")).await;
    town.delete(&gone).await;
    let requests = (0..8).map(|number| issued(by(&houses[number % 2], "ann")));
    let ids: Vec<_> = join_all(requests).await.into_iter().map(|(_, id)| id).collect();
    assert!(ids.iter().all(|id| *id == ids[0] && *id != gone), "{ids:?}");
    assert_eq!(town.ids(), ids[..1]);
    assert!(town.blobs.texts()[0].contains(&ids[0]));
    town.delete(&ids[0]).await;
    let ended = by_entra(&houses[1], Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!(ended.status(), 204);
}

#[tokio::test]
async fn case_43_a_service_that_knows_nobody_is_asked_no_more_than_twice() {
    let town = Town::start().await;
    let house = town.house(&[]);
    issued(by(&house, "ann")).await;
    for _ in 0..10 {
        town.emulator.inject(Fault::new(404).unwrap().on(Operation::Issue)).unwrap();
    }
    assert_eq!(refused(by(&house, "ann")).await, is(502, "upstream_rejected"));
    let calls = town.emulator.calls();
    assert_eq!((calls.create, calls.refused), (2, 2));
}

#[tokio::test]
async fn case_44_who_asks_too_often_waits_while_others_do_not() {
    let town = Town::start().await;
    let house = town.house(&[]);
    let mut refused = None;
    for _ in 0..30 {
        let response = by(&house, "ann").send().await.unwrap();
        if response.status() != 200 {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("thirty at once are too many");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refusal(refused).await, is(429, "throttled"));
    let before = town.emulator.calls().received;
    let ended = by_entra(&house, Method::DELETE, "contoso", "ann").send().await.unwrap();
    assert_eq!(ended.status(), 429);
    assert_eq!(town.emulator.calls().received, before);
    issued(by(&house, "bob")).await;
}

#[tokio::test]
async fn an_answer_of_the_store_that_gets_lost_leaves_one_identity() {
    let town = Town::start().await;
    let house = town.house(&[]);
    town.blobs.lose_an_answer();
    let (_, id) = issued(by(&house, "ann")).await;
    assert_eq!(town.ids(), [id]);
}

#[tokio::test]
async fn a_store_that_refuses_or_is_away_gives_no_token_and_leaves_nobody_behind() {
    let town = Town::start().await;
    let house = town.house(&[]);
    for status in [403, 404, 500] {
        town.blobs.refuse(Some(status));
        let response = by(&house, "ann").send().await.unwrap();
        assert_eq!(refusal(response).await, is(503, "unavailable"), "{status}");
        assert!(town.ids().is_empty(), "{status}");
    }
    town.blobs.refuse(None);
    issued(by(&house, "ann")).await;
    let log = house.handler.out.text();
    assert!(log.contains("Storage Blob Data Contributor") && log.contains("create the container"), "{log}");
    assert!(!log.contains("words of the storage account") && !log.contains("/account/"), "{log}");
}

#[tokio::test]
async fn it_is_off_unless_it_is_configured_and_says_what_turns_it_on() {
    let house = House::before(1, &[("WEBSITE_AUTH_ENABLED", "True")]);
    for request in [by(&house, "ann"), house.post(PATH), house.request(Method::DELETE, PATH)] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "not_found");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("AzureCommunicationServicesConnectionString"), "{message}");
    }
}

#[tokio::test]
async fn behind_a_host_it_has_to_be_said_where_identities_are_kept() {
    let town = Town::start().await;
    let house = town.house(&[("ChatIdentityStore", "")]);
    let response = by(&house, "ann").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "not_configured");
    assert!(body["error"]["message"].as_str().unwrap().contains("ChatIdentityStore"));
}

#[tokio::test]
async fn a_body_has_to_say_that_it_is_json() {
    let town = Town::start().await;
    let house = town.house(&[]);
    assert_eq!(refused(by(&house, "ann").body("{}")).await, is(415, "unsupported_media_type"));
    issued(by(&house, "ann").header("content-type", "application/json; charset=utf-8").body("{}")).await;
}

#[tokio::test]
async fn the_log_tells_how_long_the_service_took_and_only_where_it_was_asked() {
    let town = Town::start().await;
    let house = town.house(&[("ChatLogFormat", "json")]);
    let logged = |id: &str| -> Value { serde_json::from_str(&house.handler.out.line(id)).unwrap() };
    let invocation = "x-azure-functions-invocationid";
    by(&house, "ann").header(invocation, "issued-1").send().await.unwrap();
    town.emulator.inject(Fault::new(400).unwrap().on(Operation::Issue)).unwrap();
    by(&house, "ann").header(invocation, "refused-1").send().await.unwrap();
    let delete = |who| by_entra(&house, Method::DELETE, "contoso", who);
    delete("ann").header(invocation, "revoked-1").send().await.unwrap();
    for id in ["issued-1", "refused-1", "revoked-1"] {
        let line = logged(id);
        let (waited, whole) = (line["upstream_ms"].as_f64().unwrap(), line["duration_ms"].as_f64().unwrap());
        assert!(0.0 < waited && waited <= whole, "{line}");
    }
    delete("bob").header(invocation, "nothing-1").send().await.unwrap();
    house.post(PATH).header(invocation, "nobody-1").send().await.unwrap();
    for id in ["nothing-1", "nobody-1"] {
        assert_eq!(logged(id).get("upstream_ms"), None);
    }
}
