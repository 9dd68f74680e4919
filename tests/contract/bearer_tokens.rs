//! People who bring an access token of Microsoft Entra ID: whom it lets in, and as whom; and what becomes of those that are not good.
//!
//! Guests may chat in these houses, so that a token that is not good would show if it made its bearer one of them.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::access_token::{Town, by_entra, issued};
use crate::scripted_service::Service;
use crate::test_app::{House, claims, refusal};
use test_support::entra::{CLIENT, Entra, Signer, TENANT, now};

const ACCESS_TOKEN: &str = "/api/access-token";
const NEGOTIATE: &str = "/api/negotiate";
const GUESTS: (&str, &str) = ("ChatAllowAnonymous", "true");

/// A handler without Easy Auth, which takes the tenant's tokens.
fn house(town: &Town, entra: &Entra, more: &[(&str, &str)]) -> House {
    let mut variables = vec![("WEBSITE_AUTH_ENABLED", "false"), GUESTS];
    variables.extend(entra.settings());
    variables.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    variables.extend(more);
    town.house(&variables)
}

fn bearing(house: &House, path: &str, token: &str) -> RequestBuilder {
    house.post(path).bearer_auth(token)
}

/// Under which name a request gets into the chat.
async fn name(request: RequestBuilder) -> Option<String> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    claims(body["accessToken"].as_str().unwrap())["asrs.s.uid"].as_str().map(str::to_owned)
}

/// What a refusal says, and to programs.
struct Refusal {
    status: u16,
    code: String,
    message: String,
    challenge: Option<String>,
}

impl Refusal {
    async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let body: Value = response.json().await.unwrap();
        let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
        Self { status, code: text("code"), message: text("message"), challenge }
    }
}

/// `forge` makes tokens; every one of them is refused wherever it is brought, with `status` and `words`, and nothing is asked of Azure
/// Communication Services.
async fn is_refused(forge: impl Fn(&Entra) -> Vec<String>, status: u16, words: &str) {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[("RUST_LOG", "trace")]);
    assert_eq!(name(bearing(&house, NEGOTIATE, &entra.token("ann"))).await.unwrap(), "ann@contoso.com");
    let (code, error) = match status {
        401 => ("unauthenticated", "invalid_token"),
        _ => ("insufficient_scope", "insufficient_scope"),
    };
    let tokens = forge(&entra);
    for token in &tokens {
        for request in [
            bearing(&house, ACCESS_TOKEN, token),
            house.request(Method::DELETE, ACCESS_TOKEN).bearer_auth(token),
            bearing(&house, NEGOTIATE, token),
            house.message(&json!({"text": "hi"})).bearer_auth(token),
        ] {
            let refusal = Refusal::of(request.send().await.unwrap()).await;
            assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{}", refusal.message);
            assert!(refusal.message.contains(words), "{}", refusal.message);
            assert_eq!(refusal.challenge, Some(format!("Bearer error=\"{error}\"")));
            assert!(token.is_empty() || !refusal.message.contains(token));
        }
    }
    assert_eq!(town.emulator.calls().received, 0);
    assert!(town.blobs.paths().is_empty());
    house.handler.out.line("operation=\"SendMessage\"");
    let log = house.handler.out.text() + &house.handler.err.text();
    for part in tokens.iter().flat_map(|token| token.split('.')).filter(|part| part.len() > 20) {
        assert!(!log.contains(part), "{part} in {log}");
    }
}

/// Signed as it should be, but with another claim, or without one.
async fn is_refused_with(name: &str, values: Vec<Value>, status: u16, words: &str) {
    let forge = |entra: &Entra| {
        values.iter().map(|value| Signer::first().sign(&entra.claims_with(name, value.clone()))).collect()
    };
    is_refused(forge, status, words).await;
}

#[tokio::test]
async fn case_36_a_token_for_another_app_is_refused() {
    let graph = "00000003-0000-0000-c000-000000000000";
    is_refused_with(
        "aud",
        vec![json!(graph), json!("api://another"), json!([CLIENT])],
        401,
        "cannot be used",
    )
    .await;
    is_refused_with("aud", vec![json!(graph)], 401, "it is for another app").await;
}

#[tokio::test]
async fn case_36_a_token_of_another_issuer_is_refused() {
    let other = "https://login.microsoftonline.com/6babcaad-604b-40ac-a9d7-9fd97c0b779f/v2.0";
    let other_v1 = "https://sts.windows.net/11111111-604b-40ac-a9d7-9fd97c0b779f/";
    is_refused_with("iss", vec![json!(other), json!(other_v1)], 401, "it is of another tenant").await;
}

#[tokio::test]
async fn case_36_a_token_of_another_tenant_is_refused_even_if_its_issuer_is_ours() {
    let other = json!("11111111-604b-40ac-a9d7-9fd97c0b779f");
    is_refused_with("tid", vec![other, Value::Null], 401, "it is of another tenant").await;
}

#[tokio::test]
async fn case_36_a_token_that_has_ended_is_refused() {
    is_refused_with("exp", vec![json!(now() - 90), json!(0)], 401, "it has ended").await;
}

#[tokio::test]
async fn case_36_a_token_that_has_not_begun_is_refused() {
    is_refused_with("nbf", vec![json!(now() + 600)], 401, "it has not begun").await;
}

#[tokio::test]
async fn case_36_a_token_that_nobody_has_signed_is_refused() {
    let forge = |entra: &Entra| {
        ["none", "None", "nOnE"].map(|alg| Signer::first().leave_unsigned(alg, &entra.claims("ann"))).to_vec()
    };
    is_refused(forge, 401, "it is not signed with RS256").await;
}

#[tokio::test]
async fn case_36_a_token_that_is_signed_with_the_public_key_is_refused() {
    is_refused(|entra| Signer::first().sign_with_public_key(&entra.claims("ann")), 401, "RS256").await;
}

#[tokio::test]
async fn case_36_a_token_that_somebody_else_has_signed_is_refused() {
    let forge = |entra: &Entra| {
        let (claims, stranger) = (entra.claims("ann"), Signer::second());
        vec![stranger.named("first").sign(&claims), stranger.sign(&claims)]
    };
    is_refused(forge, 401, "no key of the tenant has signed it").await;
}

#[tokio::test]
async fn case_36_a_token_without_the_scope_is_good_but_not_for_this() {
    let others = vec![json!("User.Read"), json!("access_as_user.read"), Value::Null];
    is_refused_with("scp", others, 403, "access_as_user").await;
}

#[tokio::test]
async fn case_36_a_token_that_an_app_has_for_itself_is_refused() {
    is_refused_with("oid", vec![Value::Null], 401, "it is about no user").await;
}

#[tokio::test]
async fn case_36_what_is_no_token_is_refused_and_makes_nobody_a_guest() {
    let forge = |entra: &Entra| {
        let token = entra.token("ann");
        ["", "x", "a.b.c", &token[1..], &format!("{token}.x"), &"a".repeat(20_000)]
            .map(str::to_owned)
            .to_vec()
    };
    is_refused(forge, 401, "no access token of Microsoft Entra ID").await;
}

#[tokio::test]
async fn of_two_tokens_neither_counts_and_other_schemes_are_not_looked_at() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[]);
    let two = bearing(&house, NEGOTIATE, &entra.token("ann")).bearer_auth(entra.token("bob"));
    assert_eq!(refusal(two.send().await.unwrap()).await, (401, "unauthenticated".to_owned()));
    assert_eq!(name(house.post(NEGOTIATE).basic_auth("ann", Some("x"))).await, None);
    assert_eq!(name(house.post(NEGOTIATE)).await, None);
    let nobody = house.post(ACCESS_TOKEN).send().await.unwrap();
    assert_eq!(refusal(nobody).await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn with_a_token_of_either_version_one_chats_under_ones_own_name() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let signalr = Service::start(&[(202, None)]).await;
    let connection = signalr.connection();
    let house = house(&town, &entra, &[("AzureSignalRConnectionString", &connection)]);
    let v1 = Signer::first().sign(&entra.claims_v1("ann"));
    for token in [&entra.token("ann"), &v1] {
        assert_eq!(name(bearing(&house, NEGOTIATE, token)).await.unwrap(), "ann@contoso.com");
        let message =
            house.message(&json!({"text": "hi", "recipient": "bob@contoso.com"})).bearer_auth(token);
        let message: Value = message.send().await.unwrap().json().await.unwrap();
        assert_eq!(message["sender"], "ann@contoso.com");
    }
    let nameless = Signer::first().sign(&entra.claims_with("preferred_username", Value::Null));
    assert_eq!(name(bearing(&house, NEGOTIATE, &nameless)).await.unwrap(), "ann");
}

#[tokio::test]
async fn a_person_has_one_identity_whether_easy_auth_names_them_or_their_token() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let (behind, alone) = (town.house(&[]), house(&town, &entra, &[]));
    let (_, named) = issued(by_entra(&behind, Method::POST, TENANT, "ann")).await;
    for token in [entra.token("ann"), Signer::first().sign(&entra.claims_v1("ann"))] {
        assert_eq!(issued(bearing(&alone, ACCESS_TOKEN, &token)).await.1, named);
    }
    assert_ne!(issued(bearing(&alone, ACCESS_TOKEN, &entra.token("bob"))).await.1, named);
    let ended =
        alone.request(Method::DELETE, ACCESS_TOKEN).bearer_auth(entra.token("ann")).send().await.unwrap();
    assert_eq!((ended.status().as_u16(), town.emulator.calls().revoke), (204, 1));
}

#[tokio::test]
async fn where_easy_auth_names_somebody_that_is_who_it_is() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[("WEBSITE_AUTH_ENABLED", "true")]);
    let ann = ("x-ms-client-principal-name", "ann");
    for token in [&entra.token("bob"), "x"] {
        assert_eq!(name(bearing(&house, NEGOTIATE, token).header(ann.0, ann.1)).await.unwrap(), "ann");
    }
    assert_eq!(name(bearing(&house, NEGOTIATE, &entra.token("bob"))).await.unwrap(), "bob@contoso.com");
    let forged = bearing(&house, NEGOTIATE, "x").send().await.unwrap();
    assert_eq!(forged.status(), 401);
}

#[tokio::test]
async fn where_easy_auth_is_off_a_forged_header_beside_a_token_says_nothing() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[]);
    let forged = bearing(&house, NEGOTIATE, &entra.token("bob")).header("x-ms-client-principal-name", "root");
    assert_eq!(name(forged).await.unwrap(), "bob@contoso.com");
}

#[tokio::test]
async fn an_app_with_a_name_of_its_own_takes_tokens_for_that_and_no_other() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[("AzureAd__Audience", "api://chat")]);
    let named = Signer::first().sign(&entra.claims_with("aud", json!("api://chat")));
    assert_eq!(name(bearing(&house, NEGOTIATE, &named)).await.unwrap(), "ann@contoso.com");
    assert_eq!(bearing(&house, NEGOTIATE, &entra.token("ann")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_new_key_of_the_tenant_counts_at_once_and_an_old_one_no_more() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[]);
    let old = entra.token("ann");
    assert!(name(bearing(&house, NEGOTIATE, &old)).await.is_some());
    entra.publish(&[Signer::second()]);
    let new = Signer::second().sign(&entra.claims("ann"));
    let together = (0..20).map(|_| name(bearing(&house, NEGOTIATE, &new)));
    let names = futures_util::future::join_all(together).await;
    assert!(names.iter().all(|name| name.as_deref() == Some("ann@contoso.com")), "{names:?}");
    assert_eq!(entra.asked(), [2, 2]);
    assert_eq!(bearing(&house, NEGOTIATE, &old).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn made_up_names_of_keys_do_not_make_us_ask_for_them() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[]);
    let forged = (0..50).map(|number| {
        let token = Signer::second().named(&number.to_string()).sign(&entra.claims("ann"));
        bearing(&house, NEGOTIATE, &token).send()
    });
    for answer in futures_util::future::join_all(forged).await {
        assert_eq!(answer.unwrap().status(), 401);
    }
    assert_eq!(entra.asked(), [2, 2]);
}

#[tokio::test]
async fn while_the_tenant_cannot_be_asked_nobody_is_told_that_a_token_is_wrong() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    for (status, words) in [(Some(503), "answered 503"), (None, "are not what was agreed")] {
        entra.refuse(status);
        entra.call_itself("https://login.microsoftonline.com/11111111-604b-40ac-a9d7-9fd97c0b779f/v2.0");
        let house = house(&town, &entra, &[]);
        for path in [NEGOTIATE, ACCESS_TOKEN] {
            let answer = bearing(&house, path, &entra.token("ann")).send().await.unwrap();
            let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(refusal(answer).await, (503, "unavailable".to_owned()));
        }
        // What cannot be good needs nobody to tell, and who brings nothing is as welcome as ever.
        assert_eq!(bearing(&house, NEGOTIATE, "x").send().await.unwrap().status(), 401);
        assert_eq!(name(house.post(NEGOTIATE)).await, None);
        house.handler.out.line(words);
        assert!(!house.handler.out.text().contains("SECRET"));
    }
    assert_eq!(town.emulator.calls().received, 0);
}

#[tokio::test]
async fn keys_that_are_there_count_while_the_tenant_cannot_be_asked() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[]);
    let token = entra.token("ann");
    assert!(name(bearing(&house, NEGOTIATE, &token)).await.is_some());
    entra.refuse(Some(500));
    let new = Signer::second().sign(&entra.claims("ann"));
    let answer = bearing(&house, NEGOTIATE, &new).send().await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(refusal(answer).await, (503, "unavailable".to_owned()));
    assert!(name(bearing(&house, NEGOTIATE, &token)).await.is_some());
}

#[tokio::test]
async fn a_setting_that_would_let_in_more_than_one_tenant_is_refused_by_name() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = house(&town, &entra, &[("AzureAd__TenantId", "common")]);
    let answer = Refusal::of(bearing(&house, NEGOTIATE, "x").send().await.unwrap()).await;
    assert_eq!((answer.status, answer.code.as_str()), (503, "not_configured"));
    assert!(answer.message.contains("AzureAd__TenantId"), "{}", answer.message);
}

#[tokio::test]
async fn without_the_settings_nobodys_token_is_looked_at() {
    let (town, entra) = (Town::start().await, Entra::start().await);
    let house = town.house(&[("WEBSITE_AUTH_ENABLED", "false"), GUESTS]);
    assert_eq!(name(bearing(&house, NEGOTIATE, &entra.token("ann"))).await, None);
    let answer = bearing(&house, ACCESS_TOKEN, &entra.token("ann")).send().await.unwrap();
    assert_eq!(refusal(answer).await, (401, "unauthenticated".to_owned()));
    assert!(entra.asked().is_empty());
}
