//! Tests of Easy Auth and CORS on the local stack: sign-in, principal headers, and which origins may call and read.
//!
//! The local sign-in has no password, so the tests show that there is no identity without it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};
use serde_json::{Value, json};

use crate::test_stack::{FREE_PORTS, TestStack, json_of};
use test_support::entra::Entra;
use test_support::http::{api_error, negotiated_user};

const ALICE: &str = "alice@contoso.com";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Submits the sign-in form at `path` with `name`, which is percent-encoded.
pub(crate) async fn submit(stack: &TestStack, path: &str, name: &str) -> Response {
    let form = stack.post(path).header("origin", stack.api()).header("user-agent", BROWSER);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    form.body(["name=", name].concat()).send().await.unwrap()
}

/// `name=value` of the cookie in `response`.
fn cookie(response: &Response) -> String {
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

pub(crate) fn location(response: &Response) -> &str {
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap()
}

/// `/.auth/{what}` with a query parameter.
fn auth_path(what: &str, parameter: &str, value: &str) -> String {
    let mut url = Url::parse("http://h/.auth").unwrap();
    url.path_segments_mut().unwrap().extend(what.split('/'));
    url.query_pairs_mut().append_pair(parameter, value);
    format!("{}?{}", url.path(), url.query().unwrap())
}

/// Addresses that are not the page's canonical one, or only resemble it.
fn similar_addresses(page: &str) -> impl Iterator<Item = String> {
    let port = page.rsplit(':').next().unwrap();
    let addresses = [
        "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example/", "///evil.example/",
        "\t//evil.example/", "http:evil.example", "javascript:alert(1)", "data:text/html,x", "PAGE@evil.example/",
        "PAGE.evil.example/", "http://evil.example/#PAGE", "http://evil.example:PORT/",
        "http://localhost.example:PORT/", "http://a:b@localhost:PORT/", "https://localhost:PORT/", "http://localhost/",
        "http://localhost:1/", "blob:PAGE/x", "PAGE/index.html?x=1#top", "PAGE/index.html", "PAGE/?x=1", "PAGE/#top",
        "PAGE//", "PAGE/chat/", "http://LOCALHOST:PORT/",
    ];
    addresses.into_iter().map(move |address| address.replace("PAGE", page).replace("PORT", port))
}

#[tokio::test]
async fn a_program_signs_in_and_its_token_identifies_it() {
    let stack = TestStack::start();
    for provider in ["aad", "facebook", "google", "x", "twitter", "github", "apple", "microsoftaccount"] {
        let sign_in = stack.post(&format!("/.auth/login/{provider}")).json(&json!({"access_token": ALICE}));
        let body = json_of(sign_in).await;
        assert!(body["user"]["userId"].as_str().unwrap().starts_with("sid:"), "{provider}");
        let token = body["authenticationToken"].as_str();
        assert_eq!(negotiated_user(stack.post_as(token, "/api/negotiate")).await, ALICE, "{provider}");
        let published = stack.send(token, &json!({"text": "hi", "sender": "root", "nickname": "root"})).await;
        assert_eq!((&published["sender"], &published["nickname"]), (&json!(ALICE), &Value::Null));
        let me = json_of(stack.get("/.auth/me").header("x-zumo-auth", token.unwrap())).await;
        assert_eq!((&me[0]["provider_name"], &me[0]["user_id"]), (&json!(provider), &json!(ALICE)));
    }
    let unknown = stack.post("/.auth/login/myspace").json(&json!({"access_token": ALICE}));
    assert_eq!(unknown.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn case_54_principal_headers_of_a_caller_are_removed() {
    let stack = TestStack::start();
    let alice = stack.sign_in(ALICE).await;
    let root = STANDARD.encode(r#"{"auth_typ":"aad","name_typ":"n","claims":[{"typ":"n","val":"root"}]}"#);
    for (session, expected) in [(None, Value::Null), (Some(alice.as_str()), json!(ALICE))] {
        let forged = |path: &str| {
            let request = stack.post_as(session, path).header("x-ms-client-principal", &root);
            let request = request.header("x-ms-client-principal-id", "root").header("x-ms-client-principal-idp", "aad");
            request.header("X-MS-CLIENT-PRINCIPAL-NAME", "root").header("x-ms-client-principal-name", "root")
        };
        assert_eq!(negotiated_user(forged("/api/negotiate")).await, expected);
        let published = json_of(forged("/api/messages").json(&json!({"text": "hi"}))).await;
        assert_eq!(published["sender"], expected.as_str().unwrap_or("Guest"));
        let private = forged("/api/messages").json(&json!({"text": "hi", "recipient": "bob"}));
        assert_eq!(private.send().await.unwrap().status(), if session.is_some() { 202 } else { 401 });
    }
}

#[tokio::test]
async fn case_59_an_invalid_session_token_is_401_without_a_redirect() {
    let stack = TestStack::start();
    let alice = stack.sign_in(ALICE).await;
    let parts: Vec<_> = alice.split('.').collect();
    let payload = |exp: u64| {
        URL_SAFE_NO_PAD.encode(json!({"sub": "sid:1", "name": "root", "idp": "aad", "iat": 0, "exp": exp}).to_string())
    };
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let forged = [
        String::new(),
        "root".to_owned(),
        [parts[0], &payload(4_000_000_000), parts[2]].join("."),
        [parts[0], &payload(1), parts[2]].join("."),
        [unsigned.as_str(), parts[1], ""].join("."),
        [parts[0], parts[1]].join("."),
        TestStack::start().sign_in(ALICE).await,
    ];
    for token in forged {
        for path in ["/api/negotiate", "/api/messages", "/.auth/me"] {
            let method = if path == "/.auth/me" { Method::GET } else { Method::POST };
            let request = stack.request(method, path).header("x-zumo-auth", &token).header("origin", stack.page());
            let response = request.json(&json!({"text": "hi"})).send().await.unwrap();
            assert!(!response.headers().contains_key("location"));
            assert_eq!(response.headers()["access-control-allow-origin"], stack.page().as_str());
            assert_eq!(api_error(response).await, (401, "invalid_token".to_owned()), "{path} {token}");
        }
    }
    assert_eq!(negotiated_user(stack.post_as(Some(&alice), "/api/negotiate")).await, ALICE);
}

#[tokio::test]
async fn without_guests_only_signed_in_users_can_chat() {
    let stack = TestStack::with(&FREE_PORTS, &[("ChatAllowAnonymous", "false")]);
    for path in ["/api/negotiate", "/api/messages"] {
        let forged = stack.post(path).header("x-ms-client-principal-name", "root").json(&json!({"text": "hi"}));
        let rejected = forged.send().await.unwrap();
        assert!(!rejected.headers().contains_key("location"));
        assert_eq!(api_error(rejected).await, (401, "unauthenticated".to_owned()), "{path}");
    }
    let alice = stack.sign_in(ALICE).await;
    assert_eq!(negotiated_user(stack.post_as(Some(&alice), "/api/negotiate")).await, ALICE);
    assert_eq!(stack.send(Some(&alice), &json!({"text": "hi"})).await["sender"], ALICE);
}

#[tokio::test]
async fn the_form_signs_in_with_an_http_only_cookie() {
    let stack = TestStack::start();
    let login = auth_path("login/aad", "post_login_redirect_url", &stack.page());
    let form = stack.get(&login).send().await.unwrap();
    assert_eq!((form.status().as_u16(), form.headers()["x-frame-options"].to_str().unwrap()), (200, "DENY"));
    let html = form.text().await.unwrap();
    assert!(html.contains("method=\"post\"") && html.contains("name=\"name\""), "{html}");

    let signed_in = submit(&stack, &login, "bob%40contoso.com").await;
    assert_eq!(location(&signed_in), stack.page() + "/");
    let attributes = signed_in.headers()["set-cookie"].to_str().unwrap();
    for attribute in ["AppServiceAuthSession=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(attribute), "{attribute}");
    }
    let cookie = cookie(&signed_in);
    let negotiate = stack.post("/api/negotiate").header("cookie", format!("a=b; {cookie}"));
    assert_eq!(negotiated_user(negotiate).await, "bob@contoso.com");
    let published = stack.post("/api/messages").header("cookie", &cookie).json(&json!({"text": "hi"}));
    assert_eq!(json_of(published).await["sender"], "bob@contoso.com");
}

#[tokio::test]
async fn a_page_of_another_origin_can_neither_sign_in_nor_post_with_the_cookie() {
    let stack = TestStack::start();
    let cookie = cookie(&submit(&stack, "/.auth/login/aad", "bob").await);
    let post = |path: &str, origin: &str| {
        let request = stack.post(path).header("user-agent", BROWSER).header("origin", origin);
        request.header("cookie", &cookie).json(&json!({"text": "hi"}))
    };
    let own_page = stack.page();
    for path in ["/api/negotiate", "/api/messages"] {
        assert!(post(path, &own_page).send().await.unwrap().status().is_success(), "{path}");
        for origin in ["https://evil.example", "null", "http://localhost", &format!("{own_page}0"), &stack.service()] {
            let rejected = post(path, origin).send().await.unwrap();
            assert_eq!(api_error(rejected).await, (403, "origin_not_allowed".to_owned()), "{origin}");
        }
        let nowhere = stack.post(path).header("user-agent", BROWSER).header("cookie", &cookie);
        assert_eq!(nowhere.json(&json!({"text": "hi"})).send().await.unwrap().status(), 403);
    }
    for origin in ["https://evil.example", "null", &own_page] {
        let form = stack.post("/.auth/login/aad").header("origin", origin);
        let form = form.header("content-type", "application/x-www-form-urlencoded").body("name=bob");
        let rejected = form.send().await.unwrap();
        assert!(!rejected.headers().contains_key("set-cookie"), "{origin}");
        assert_eq!(api_error(rejected).await.0, 403, "{origin}");
    }
}

#[tokio::test]
async fn a_token_is_sent_to_the_page_and_to_no_other_address() {
    let stack = TestStack::start();
    let port = stack.page().rsplit(':').next().unwrap().to_owned();
    for parameter in ["post_login_redirect_url", "post_login_redirect_uri"] {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let back = format!("http://{host}:{port}/");
            let login = auth_path("login/github", parameter, &back) + "&session_mode=token";
            let answered = submit(&stack, &login, "bob").await;
            let (address, fragment) = location(&answered).split_once('#').unwrap();
            assert_eq!(address, back);
            assert!(!answered.headers().contains_key("set-cookie"));
            let decoded = Url::parse(&format!("http://h/?{fragment}")).unwrap();
            let (name, token) = decoded.query_pairs().next().unwrap();
            assert_eq!(name, "token");
            let token: Value = serde_json::from_str(&token).unwrap();
            let session = token["authenticationToken"].as_str();
            assert_eq!(negotiated_user(stack.post_as(session, "/api/negotiate")).await, "bob");
        }
    }
    for address in similar_addresses(&stack.page()) {
        let login = auth_path("login/aad", "post_login_redirect_url", &address);
        let with_token = submit(&stack, &(login.clone() + "&session_mode=token"), "bob").await;
        assert!(location(&with_token).starts_with("/.auth/login/done#token="), "{address:?}: {with_token:?}");
        let form = stack.get(&login).send().await.unwrap().text().await.unwrap();
        assert!(form.contains("not in <code>allowedExternalRedirectUrls</code>"), "{address:?}: {form}");
        assert_eq!(location(&submit(&stack, &login, "bob").await), "/.auth/login/done", "{address:?}");
        let logout = stack.get(&auth_path("logout", "post_logout_redirect_uri", &address)).send().await.unwrap();
        assert_eq!(location(&logout), "/.auth/logout/done", "{address:?}");
    }
}

#[tokio::test]
async fn me_refresh_and_logout_behave_as_in_app_service() {
    let stack = TestStack::start();
    for path in ["/.auth/me", "/.auth/refresh"] {
        let anonymous = stack.get(path).send().await.unwrap();
        assert!(!anonymous.headers().contains_key("location"));
        assert_eq!(api_error(anonymous).await.0, 401, "{path}");
    }
    let alice = stack.sign_in(ALICE).await;
    let me = stack.get("/.auth/me").header("x-zumo-auth", &alice).send().await.unwrap();
    assert_eq!(me.headers()["cache-control"], "no-store");
    let me: Value = me.json().await.unwrap();
    assert_eq!(me.as_array().unwrap().len(), 1);
    assert_eq!(me[0]["user_id"], ALICE);
    assert!(me[0]["user_claims"].as_array().unwrap().iter().any(|claim| claim["val"] == ALICE));

    let renewed = json_of(stack.get("/.auth/refresh").header("x-zumo-auth", &alice)).await;
    assert_eq!(negotiated_user(stack.post_as(renewed["authenticationToken"].as_str(), "/api/negotiate")).await, ALICE);

    let by_cookie = cookie(&submit(&stack, "/.auth/login/aad", "bob").await);
    let renewed = stack.get("/.auth/refresh").header("cookie", &by_cookie).send().await.unwrap();
    assert_eq!(negotiated_user(stack.post("/api/negotiate").header("cookie", cookie(&renewed))).await, "bob");

    let back = stack.page() + "/";
    for (path, expected) in [
        ("/.auth/logout".to_owned(), "/.auth/logout/done"),
        (auth_path("logout", "post_logout_redirect_uri", &back), &back),
    ] {
        let out = stack.get(&path).header("cookie", &by_cookie).send().await.unwrap();
        assert_eq!(location(&out), expected);
        assert_eq!(cookie(&out), "AppServiceAuthSession=");
        assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(negotiated_user(stack.post("/api/negotiate").header("cookie", cookie(&out))).await, Value::Null);
    }
}

#[tokio::test]
async fn an_expired_session_is_refused_and_the_page_can_renew_it() {
    let stack = TestStack::with(&[&FREE_PORTS[..], &["--session-seconds", "1"]].concat(), &[]);
    let alice = stack.sign_in(ALICE).await;
    let me = || stack.get("/api/me").header("x-zumo-auth", &alice).header("origin", stack.page());
    let expiry = async { while me().send().await.unwrap().status() != 401 {} };
    tokio::time::timeout(Duration::from_secs(20), expiry).await.expect("the session has expired");
    let refresh = stack.get("/.auth/refresh").header("x-zumo-auth", &alice).header("origin", stack.page());
    let renewed = refresh.send().await.unwrap();
    assert_eq!(cors(renewed.headers(), "origin"), Some(stack.page()));
    assert_eq!(renewed.headers()["cache-control"], "no-store");
    let renewed = renewed.json::<Value>().await.unwrap();
    assert_ne!(renewed["authenticationToken"], alice.as_str());
    assert!(renewed["user"]["userId"].as_str().unwrap().starts_with("sid:"));
}

fn cors(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(["access-control-allow-", name].concat()).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn case_52_only_the_page_may_call_with_a_token_and_read() {
    let stack = TestStack::start();
    let preflight = |path: &str, origin: &str| {
        let request = stack.request(Method::OPTIONS, path).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "content-type,x-requested-with,x-zumo-auth").send()
    };
    let port = stack.page().rsplit(':').next().unwrap().to_owned();
    for path in ["/api/negotiate", "/api/messages", "/.auth/me"] {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let origin = format!("http://{host}:{port}");
            let allowed = preflight(path, &origin).await.unwrap();
            assert_eq!(allowed.status(), 204);
            let headers = allowed.headers();
            assert_eq!(cors(headers, "origin").unwrap(), origin);
            assert_eq!(cors(headers, "credentials").unwrap(), "true");
            assert!(cors(headers, "methods").unwrap().contains("POST"));
            for name in ["content-type", "x-requested-with", "x-zumo-auth"] {
                assert!(cors(headers, "headers").unwrap().contains(name), "{name}");
            }
            assert_eq!(headers["vary"], "Origin");
        }
        let similar = stack.page() + "0";
        for origin in ["https://evil.example", "null", "http://localhost", &similar, &stack.service()] {
            for response in [
                preflight(path, origin).await.unwrap(),
                stack.post(path).header("origin", origin).send().await.unwrap(),
            ] {
                let headers = response.headers();
                assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{origin}");
                assert!(headers.get_all("vary").iter().any(|value| value == "Origin"));
            }
        }
    }
}

#[tokio::test]
async fn the_page_may_read_errors_too_with_one_allow_header() {
    let stack = TestStack::start();
    for (method, path, status) in [
        (Method::POST, "/api/negotiate", 200),
        (Method::POST, "/api/messages", 415),
        (Method::GET, "/.auth/me", 401),
        (Method::GET, "/api/nowhere", 404),
        (Method::GET, "/.auth/nowhere", 404),
    ] {
        let response = stack.request(method, path).header("origin", stack.page()).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let allowed: Vec<_> = response.headers().get_all("access-control-allow-origin").iter().collect();
        assert_eq!(allowed, [stack.page().as_str()], "{path}");
    }
}

#[tokio::test]
async fn case_53_options_without_cors_headers_is_not_a_preflight() {
    let stack = TestStack::start();
    for path in ["/api/messages", "/.auth/me"] {
        let status = stack.request(Method::OPTIONS, path).send().await.unwrap().status().as_u16();
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }
}

#[tokio::test]
async fn case_57_a_name_in_any_script_is_unchanged() {
    let stack = TestStack::start();
    for (name, encoded) in [
        ("Łucja Nowak", "%C5%81ucja+Nowak"),
        ("Zoë", "Zo%C3%AB"),
        ("山田😀", "%E5%B1%B1%E7%94%B0%F0%9F%98%80"),
        ("a/b+c%20d", "a%2Fb%2Bc%2520d"),
    ] {
        let session = stack.sign_in(name).await;
        assert_eq!(negotiated_user(stack.post_as(Some(&session), "/api/negotiate")).await, name);
        assert_eq!(stack.send(Some(&session), &json!({"text": "hi"})).await["sender"], name);
        let cookie = cookie(&submit(&stack, "/.auth/login/aad", encoded).await);
        assert_eq!(negotiated_user(stack.post("/api/negotiate").header("cookie", cookie)).await, name);
    }
}

#[tokio::test]
async fn case_60_no_session_token_is_logged() {
    let mut stack = TestStack::with(&FREE_PORTS, &[("RUST_LOG", "trace")]);
    let alice = stack.sign_in(ALICE).await;
    let cookie = cookie(&submit(&stack, "/.auth/login/aad", "bob").await);
    let as_token = auth_path("login/aad", "post_login_redirect_url", &stack.page()) + "&session_mode=token&code=SECRET";
    let in_fragment = location(&submit(&stack, &as_token, "carol").await).to_owned();
    stack.send(Some(&alice), &json!({"text": "SECRET"})).await;
    let negotiated = json_of(stack.post("/api/negotiate").header("cookie", &cookie)).await;
    for forged in ["SECRET", &format!("{alice}SECRET")] {
        assert_eq!(stack.post_as(Some(forged), "/api/messages").send().await.unwrap().status(), 401);
        let stale = format!("AppServiceAuthSession={forged}");
        assert_eq!(negotiated_user(stack.post("/api/negotiate").header("cookie", stale)).await, Value::Null);
    }
    let other_origin = stack.post("/api/negotiate").header("cookie", &cookie).header("user-agent", BROWSER);
    assert_eq!(other_origin.header("origin", "https://evil.example").send().await.unwrap().status(), 403);
    let printed = stack.stop();
    assert!(printed.contains("/api/negotiate") && printed.contains("signed in"), "the log is too short: {printed}");
    let (_, in_cookie) = cookie.split_once('=').unwrap();
    let (_, in_fragment) = in_fragment.split_once('#').unwrap();
    let access_token = negotiated["accessToken"].as_str().unwrap();
    for secret in [&alice, in_cookie, in_fragment, access_token, "eyJ", "SECRET", "AppServiceAuthSession="] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[tokio::test]
async fn a_bearer_token_of_entra_is_accepted_if_configured() {
    let entra = Entra::start().await;
    let stack = TestStack::with(&FREE_PORTS, &entra.settings());
    let negotiate = |token: &str| stack.post("/api/negotiate").bearer_auth(token);
    assert_eq!(negotiated_user(negotiate(&entra.token("ann"))).await, "ann@contoso.com");
    assert_eq!(negotiate("x").send().await.unwrap().status(), 401);
    let bob = stack.sign_in("bob").await;
    assert_eq!(negotiated_user(stack.post_as(Some(&bob), "/api/negotiate")).await, "bob");
}
