//! Tests of the names that the local sign-in takes, from programs and in its form: what is a name, what is read out of a token, and what
//! is rejected because it looks like a secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Response, Url};
use serde_json::{Value, json};

use crate::easy_auth::{location, submit};
use crate::test_stack::{FREE_PORTS, TestStack, json_of};
use test_support::http::{api_error, negotiated_user};

const TOO_LONG: &str = "The name is too long: use at most 256 characters.";
const SECRET: &str = "This looks like an access token or another secret";
const NO_NAME: &str = "This token has no name";

/// A part of every secret below, which must appear nowhere.
const HUSH: &str = "hUsH7";

/// A JWT with `claims`, at least `length` characters long.
fn jwt(claims: &Value, length: usize) -> String {
    let mut claims = claims.clone();
    claims["groups"] = json!("g".repeat(length * 3 / 4));
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let token = [header, URL_SAFE_NO_PAD.encode(claims.to_string()), format!("{HUSH}{}", "A".repeat(337))].join(".");
    assert!(token.len() >= length);
    token
}

/// What is typed or sent, and the name or a part of the error message.
fn cases() -> Vec<(String, Result<String, &'static str>)> {
    let long = "x".repeat(257);
    let random = "9s3fS7mYh2VfR1kTx0qLdNa4Bz8WcEv6".to_owned() + HUSH;
    let names = [
        "alice",
        "Ann Lee",
        "alice@contoso.com",
        "Łucja Nowak 🦊",
        "service-account-for-integration-tests-01",
        "8f3f2c5e-6a2b-4c1d-9e7f-0a1b2c3d4e5f",
        "110169484474386276334",
        "john.fitzgerald.kennedy",
    ];
    let tokens = [
        (json!({"name": "Ann Lee", "preferred_username": "ann@contoso.com", "sub": "1"}), 800, Ok("Ann Lee")),
        (json!({"preferred_username": "ann@contoso.com", "sub": "1"}), 1_500, Ok("ann@contoso.com")),
        (json!({"sub": "110169484474386276334"}), 3_000, Ok("110169484474386276334")),
        (json!({"name": long, "sub": "ann"}), 9_000, Ok("ann")),
        (json!({"name": ["Ann"], "preferred_username": 7, "sub": "ann"}), 0, Ok("ann")),
        (json!({"name": "", "sub": "Zoë"}), 0, Ok("Zoë")),
        (json!({"email": "ann@contoso.com"}), 0, Err(NO_NAME)),
        (json!({"name": null, "sub": 1}), 3_000, Err(NO_NAME)),
    ];
    let rejected = [
        (format!("Bearer {}", jwt(&json!({"name": "Ann"}), 800)), SECRET),
        (jwt(&json!({"name": "Ann"}), 800).replacen('.', "", 1), SECRET),
        (format!("eyJhbGciOiJkaXIifQ..{HUSH}.{random}.{random}"), SECRET),
        (format!("ya29.{HUSH}"), SECRET),
        (format!("gho_{HUSH}"), SECRET),
        (format!("ghp_{random}"), SECRET),
        (format!("EAACEdEose0cBA{random}"), SECRET),
        (format!("EwBgA8l6BAAU{random}"), SECRET),
        (random.clone(), SECRET),
        (random.repeat(80), SECRET),
        (format!("Ann {random}"), SECRET),
        (format!("{HUSH}{long}"), TOO_LONG),
        (format!("{HUSH} ").repeat(500), TOO_LONG),
        (String::new(), "Type a name first."),
        (format!("{HUSH}\nann"), "without line breaks"),
    ];
    let names = names.map(|name| (name.to_owned(), Ok(name.to_owned())));
    let tokens = tokens.map(|(claims, length, name)| (jwt(&claims, length), name.map(str::to_owned)));
    let rejected = rejected.map(|(text, message)| (text, Err(message)));
    names.into_iter().chain(tokens).chain(rejected).collect()
}

/// The session token in the fragment of a redirect.
fn session(response: &Response) -> String {
    let (_, fragment) = location(response).split_once('#').unwrap();
    let fragment = Url::parse(&format!("http://h/?{fragment}")).unwrap();
    let sign_in: Value = serde_json::from_str(&fragment.query_pairs().next().unwrap().1).unwrap();
    sign_in["authenticationToken"].as_str().unwrap().to_owned()
}

fn percent_encoded(text: &str) -> String {
    let mut url = Url::parse("http://h/").unwrap();
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap().to_owned()
}

#[tokio::test]
async fn a_program_gets_the_name_in_its_token_or_the_reason_why_there_is_none() {
    let mut stack = TestStack::with(&FREE_PORTS, &[("RUST_LOG", "trace")]);
    for (text, expected) in cases() {
        for field in ["access_token", "id_token", "authentication_token"] {
            let answer = stack.post("/.auth/login/aad").json(&json!({field: text})).send().await.unwrap();
            let status = answer.status();
            let body = answer.text().await.unwrap();
            assert!(!body.contains(HUSH), "{body}");
            let body: Value = serde_json::from_str(&body).unwrap();
            match &expected {
                Ok(name) => {
                    let negotiate = stack.post_as(body["authenticationToken"].as_str(), "/api/negotiate");
                    assert_eq!(negotiated_user(negotiate).await, json!(name), "{text}");
                }
                Err(message) => {
                    assert_eq!((status.as_u16(), &body["error"]["code"]), (400, &json!("invalid_name")), "{text}");
                    assert!(body["error"]["message"].as_str().unwrap().contains(message), "{text}: {body}");
                }
            }
        }
    }
    assert_nothing_is_logged(&mut stack);
}

#[tokio::test]
async fn the_form_takes_and_rejects_the_same_names() {
    let mut stack = TestStack::with(&FREE_PORTS, &[("RUST_LOG", "trace")]);
    for (text, expected) in cases() {
        let answer = submit(&stack, "/.auth/login/github?session_mode=token", &percent_encoded(&text)).await;
        match expected {
            Ok(name) => {
                let negotiate = stack.post_as(Some(&session(&answer)), "/api/negotiate");
                assert_eq!(negotiated_user(negotiate).await, json!(name), "{text}");
            }
            Err(message) => {
                assert_eq!(answer.status(), 400, "{text}");
                let html = answer.text().await.unwrap();
                assert!(html.contains(message), "{text}: {html}");
                // A text that is too long or has control characters can be corrected there.
                assert!(![SECRET, NO_NAME].contains(&message) || !html.contains(HUSH), "{html}");
            }
        }
    }
    assert_nothing_is_logged(&mut stack);
}

fn assert_nothing_is_logged(stack: &mut TestStack) {
    let printed = stack.stop();
    assert!(printed.contains("signed in"), "the log is too short: {printed}");
    assert!(!printed.contains(HUSH) && !printed.contains("eyJ"), "{printed}");
}

#[tokio::test]
async fn an_authorization_code_alone_is_no_sign_in() {
    let stack = TestStack::start();
    for body in [
        json!({"authorization_code": "4/0AX4XfWh"}),
        json!({"code": "alice"}),
        json!({}),
        json!([]),
        json!("alice"),
        json!({"access_token": {"name": "alice"}}),
    ] {
        let answer = stack.post("/.auth/login/google").json(&body).send().await.unwrap();
        assert_eq!(api_error(answer).await, (400, "invalid_token_request".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_sign_in_whose_name_was_lost_is_401() {
    let stack = TestStack::start();
    for name in ["sid:lost", "sid:8f3f2c5e6a2b4c1d9e7f0a1b2c3d4e5f"] {
        let signed_in = json_of(stack.post("/.auth/login/aad").json(&json!({"access_token": name}))).await;
        let token = signed_in["authenticationToken"].as_str();
        let me = json_of(stack.get("/.auth/me").header("x-zumo-auth", token.unwrap())).await;
        assert_eq!(me[0]["user_id"], signed_in["user"]["userId"]);
        for path in ["/api/negotiate", "/api/messages"] {
            let answer = stack.post_as(token, path).json(&json!({"text": "hi"})).send().await.unwrap();
            assert_eq!(api_error(answer).await, (401, "session_without_name".to_owned()), "{path} {name}");
        }
        let me = stack.get("/api/me").header("x-zumo-auth", token.unwrap()).send().await.unwrap();
        assert_eq!(api_error(me).await, (401, "session_without_name".to_owned()), "{name}");
    }
}
