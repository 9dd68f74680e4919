//! Easy Auth over its whole router: what goes in at the port, and what the app behind it gets to see.

use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tower::ServiceExt;

use super::principal::{Identity, Name};
use super::provider::Provider;
use super::*;

const PAGE: &str = "http://localhost:5500";
const OWN: &str = "http://localhost:7071";
const LOGIN: &str = "/.auth/login/aad";

/// Easy Auth in front of an app that answers with the headers it was given.
struct Stand {
    easy_auth: EasyAuth,
    router: Router,
}

impl Stand {
    fn new() -> Self {
        let easy_auth = EasyAuth::new(Origins::of_port(5500), Origins::of_port(7071)).unwrap();
        let app = Router::new().fallback(async |headers: HeaderMap| (headers, "reached").into_response());
        let router = in_front_of(app, easy_auth.clone());
        Self { easy_auth, router }
    }

    async fn ask(&self, request: Builder, body: impl Into<Body>) -> Response {
        self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Request::get(path), "").await
    }

    async fn submit(&self, path: &str, form: &'static str) -> Response {
        let request = Request::post(path)
            .header("origin", OWN)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        self.ask(request, form).await
    }

    fn token(&self, name: &str, now: u64) -> String {
        let identity =
            Identity { provider: Provider::find("aad").unwrap(), name: Name::parse(name).unwrap() };
        self.easy_auth.0.sessions.issue(&identity, now).unwrap()
    }

    fn alice(&self) -> String {
        self.token("alice@contoso.com", now())
    }

    async fn who(&self, token: &str) -> Value {
        json(self.ask(Request::get("/.auth/me").header("x-zumo-auth", token), "").await).await[0].clone()
    }
}

async fn text(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 100_000).await.unwrap().to_vec()).unwrap()
}

async fn json(response: Response) -> Value {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    serde_json::from_str(&text(response).await).unwrap()
}

fn location(response: &Response) -> &str {
    assert_eq!(response.status(), StatusCode::FOUND);
    response.headers()[header::LOCATION].to_str().unwrap()
}

fn cookie(response: &Response) -> &str {
    let (cookie, attributes) =
        response.headers()[header::SET_COOKIE].to_str().unwrap().split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
    cookie
}

fn token_in(location: &str) -> String {
    let encoded = location.split_once("#token=").unwrap().1;
    let answer: Value = serde_json::from_str(&percent_decode_str(encoded).decode_utf8().unwrap()).unwrap();
    assert!(answer["user"]["userId"].as_str().unwrap().starts_with("sid:"));
    answer["authenticationToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_app_learns_who_a_token_belongs_to_and_never_sees_the_token() {
    let stand = Stand::new();
    let forged = Request::post("/api/x")
        .header("x-zumo-auth", stand.alice())
        .header("x-ms-client-principal-name", "root")
        .header("x-ms-client-principal-id", "0")
        .header("x-ms-token-aad-access-token", "t");
    let seen = stand.ask(forged, "").await;
    assert_eq!(seen.status(), StatusCode::OK);
    assert_eq!(seen.headers()["x-ms-client-principal-name"], "alice@contoso.com");
    assert_ne!(seen.headers()["x-ms-client-principal-id"], "0");
    assert!(!seen.headers().contains_key("x-zumo-auth"));
    assert!(!seen.headers().contains_key("x-ms-token-aad-access-token"));
}

#[tokio::test]
async fn a_forged_principal_is_nobody() {
    let forged = Request::get("/api/x").header("x-ms-client-principal-name", "root").header("X-MS-X", "1");
    let seen = Stand::new().ask(forged, "").await;
    assert!(seen.headers().keys().all(|name| !name.as_str().starts_with("x-ms-")));
}

#[tokio::test]
async fn a_token_that_is_foreign_or_has_ended_is_401() {
    let stand = Stand::new();
    for token in [Stand::new().alice(), stand.token("alice", 1), "alice".to_owned(), String::new()] {
        for path in ["/api/x", "/.auth/me"] {
            let response = stand.ask(Request::get(path).header("x-zumo-auth", &token), "").await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(!response.headers().contains_key(header::LOCATION));
            assert_eq!(json(response).await["error"]["code"], "invalid_token");
        }
    }
}

#[tokio::test]
async fn a_cookie_that_is_not_good_any_more_is_nobody() {
    let stand = Stand::new();
    let old = format!("{}={}; other=1", caller::COOKIE, Stand::new().alice());
    let seen = stand.ask(Request::get("/api/x").header("cookie", old), "").await;
    assert_eq!(seen.status(), StatusCode::OK);
    assert_eq!(seen.headers()["cookie"], "other=1");
    assert!(!seen.headers().contains_key("x-ms-client-principal"));
}

#[tokio::test]
async fn a_post_signed_in_by_cookie_must_come_from_a_page_we_know() {
    let stand = Stand::new();
    let cookie = format!("{}={}", caller::COOKIE, stand.alice());
    let post = |origin: &str| {
        let post = Request::post("/api/x").header("cookie", &cookie).header("user-agent", "Mozilla/5.0");
        post.header("origin", origin)
    };
    let known = stand.ask(post(PAGE), "").await;
    assert_eq!(known.headers()["x-ms-client-principal-name"], "alice@contoso.com");
    let foreign = stand.ask(post("https://evil.example"), "").await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert_eq!(json(foreign).await["error"]["code"], "origin_not_allowed");
    let by_token = post("https://evil.example").header("x-zumo-auth", stand.alice());
    assert_eq!(stand.ask(by_token, "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn programs_sign_in_with_json() {
    let stand = Stand::new();
    for body in [r#"{"access_token":" alice@contoso.com "}"#, r#"{"id_token":"alice@contoso.com","x":1}"#] {
        let request = Request::post(LOGIN).header("content-type", "application/json");
        let response = stand.ask(request, body).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let answer = json(response).await;
        assert!(answer["user"]["userId"].as_str().unwrap().starts_with("sid:"));
        let me = stand.who(answer["authenticationToken"].as_str().unwrap()).await;
        assert_eq!(me["user_id"], "alice@contoso.com");
        assert_eq!(me["provider_name"], "aad");
        assert_eq!(me["user_claims"][1]["val"], "alice@contoso.com");
        assert!(me["expires_on"].as_str().unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn what_is_no_sign_in_is_refused_in_words() {
    let stand = Stand::new();
    let too_large = "x".repeat(20_000);
    for (kind, body, status) in [
        ("application/json", "", StatusCode::BAD_REQUEST),
        ("application/json", "[]", StatusCode::BAD_REQUEST),
        ("application/json", "{}", StatusCode::BAD_REQUEST),
        ("application/json", r#"{"access_token":1}"#, StatusCode::BAD_REQUEST),
        ("application/json", r#"{"access_token":" "}"#, StatusCode::BAD_REQUEST),
        ("application/json", r#"{"access_token":"a\nb"}"#, StatusCode::BAD_REQUEST),
        ("application/json", &too_large, StatusCode::PAYLOAD_TOO_LARGE),
        ("text/plain", r#"{"access_token":"alice"}"#, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("multipart/form-data", "", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let response = stand.ask(Request::post(LOGIN).header("content-type", kind), body.to_owned()).await;
        assert_eq!(response.status(), status, "{kind} {body}");
        assert!(json(response).await["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn every_provider_is_known_and_no_other() {
    let stand = Stand::new();
    for alias in ["aad", "facebook", "google", "x", "twitter", "github", "apple", "microsoftaccount", "AAD"] {
        assert_eq!(stand.get(&format!("/.auth/login/{alias}")).await.status(), StatusCode::OK, "{alias}");
    }
    for path in ["/.auth/login/myspace", "/.auth/login", "/.auth/login/aad/callback", "/.auth/nowhere"] {
        let response = stand.get(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(json(response).await["error"]["message"].is_string());
    }
    assert_eq!(text(stand.get("/.authentic").await).await, "reached");
}

#[tokio::test]
async fn the_form_leads_back_to_the_page_with_a_token() {
    let stand = Stand::new();
    for name in ["post_login_redirect_url", "post_login_redirect_uri"] {
        let path = format!("{LOGIN}?session_mode=token&{name}=http%3A%2F%2Flocalhost%3A5500%2Fchat%3Fa%3Db");
        let response = stand.submit(&path, "name=%C5%81ucja+Nowak").await;
        let location = location(&response);
        assert!(location.starts_with("http://localhost:5500/chat?a=b#token=%7B"), "{location}");
        assert_eq!(stand.who(&token_in(location)).await["user_id"], "Łucja Nowak");
        assert!(!response.headers().contains_key(header::SET_COOKIE));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn a_token_never_goes_to_an_address_that_is_not_allowed() {
    let stand = Stand::new();
    for asked in
        ["", "&post_login_redirect_url=https://evil.example", "&post_login_redirect_url=//evil.example"]
    {
        let path = format!("{LOGIN}?session_mode=token{asked}");
        let response = stand.submit(&path, "name=alice").await;
        assert!(location(&response).starts_with("/.auth/login/done#token="));
        let response = stand.submit(&format!("{LOGIN}?x=1{asked}"), "name=alice").await;
        assert_eq!(location(&response), "/.auth/login/done");
    }
    let page = stand.get(&format!("{LOGIN}?post_login_redirect_url=https://evil.example/%22%3E")).await;
    let html = text(page).await;
    assert!(html.contains("you will stay here") && !html.contains("evil.example"));
    let done = text(stand.get("/.auth/login/done").await).await;
    assert!(done.contains("not allowed") && done.contains(PAGE));
}

#[tokio::test]
async fn the_form_signs_in_with_a_cookie_that_counts_and_can_be_forgotten() {
    let stand = Stand::new();
    let response = stand.submit(&format!("{LOGIN}?post_login_redirect_uri=/.auth/me"), "name=bob").await;
    assert_eq!(location(&response), "/.auth/me");
    let cookie = cookie(&response).to_owned();
    let me = json(stand.ask(Request::get("/.auth/me").header("cookie", &cookie), "").await).await;
    assert_eq!(me[0]["user_id"], "bob");
    let seen = stand.ask(Request::get("/api/x").header("cookie", &cookie), "").await;
    assert_eq!(seen.headers()["x-ms-client-principal-name"], "bob");
    assert!(!seen.headers().contains_key("cookie"));

    let out = stand.ask(Request::get("/.auth/logout").header("cookie", &cookie), "").await;
    assert_eq!(location(&out), "/.auth/logout/done");
    let forgotten = out.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(
        forgotten.starts_with("AppServiceAuthSession=;") && forgotten.contains("Max-Age=0"),
        "{forgotten}"
    );
}

#[tokio::test]
async fn only_the_sign_in_page_may_send_its_form() {
    let stand = Stand::new();
    for (name, value) in
        [("origin", PAGE), ("origin", "https://evil.example"), ("origin", "null"), ("accept", "*/*")]
    {
        let request = Request::post(LOGIN)
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value);
        let response = stand.ask(request, "name=alice").await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(!response.headers().contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn a_mistake_in_the_form_is_shown_where_it_was_made() {
    let stand = Stand::new();
    for form in ["", "name=", "name=+++", "other=alice", "name=a%0Ab"] {
        let response = stand.submit(LOGIN, form).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{form}");
        assert!(text(response).await.contains("role=\"alert\""), "{form}");
    }
}

#[tokio::test]
async fn sign_out_goes_only_where_sign_in_may() {
    let stand = Stand::new();
    for (asked, expected) in [
        ("http://localhost:5500/bye", "http://localhost:5500/bye"),
        ("/.auth/me", "/.auth/me"),
        ("https://evil.example", "/.auth/logout/done"),
        ("//evil.example", "/.auth/logout/done"),
    ] {
        let path = format!("/.auth/logout?post_logout_redirect_uri={asked}");
        assert_eq!(location(&stand.get(&path).await), expected);
        assert_eq!(location(&stand.ask(Request::post(&path), "").await), expected);
    }
    assert!(text(stand.get("/.auth/logout/done").await).await.contains("signed out"));
}

#[tokio::test]
async fn nobody_is_401_without_a_redirect() {
    for path in ["/.auth/me", "/.auth/refresh"] {
        let response = Stand::new().get(path).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(!response.headers().contains_key(header::LOCATION));
    }
}

#[tokio::test]
async fn a_session_is_renewed_by_the_means_it_came_with() {
    let stand = Stand::new();
    let nine_hours_ago = stand.token("alice", now() - 9 * 60 * 60);
    let request = Request::get("/.auth/refresh").header("x-zumo-auth", &nine_hours_ago);
    let renewed = json(stand.ask(request, "").await).await;
    assert_eq!(stand.who(renewed["authenticationToken"].as_str().unwrap()).await["user_id"], "alice");

    let old = format!("{}={nine_hours_ago}", caller::COOKIE);
    let response = stand.ask(Request::get("/.auth/refresh").header("cookie", old), "").await;
    assert_eq!(response.status(), StatusCode::OK);
    let request = Request::get("/.auth/me").header("cookie", cookie(&response));
    assert_eq!(json(stand.ask(request, "").await).await[0]["user_id"], "alice");

    let last_week = stand.token("alice", now() - 7 * 24 * 60 * 60);
    let request = Request::get("/.auth/refresh").header("x-zumo-auth", last_week);
    assert_eq!(stand.ask(request, "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_pages_carry_a_strict_policy_and_no_script() {
    let stand = Stand::new();
    for path in [LOGIN, "/.auth/login/done", "/.auth/logout/done"] {
        let response = stand.get(path).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()[header::X_FRAME_OPTIONS], HeaderValue::from_static("DENY"));
        assert_eq!(response.headers()[header::CACHE_CONTROL], HeaderValue::from_static("no-store"));
        let html = text(response).await;
        assert!(
            !html.contains("<script") && !html.contains(" style=") && !html.contains(" onclick="),
            "{path}"
        );
    }
    let style = stand.get(page::STYLE_PATH).await;
    assert_eq!(style.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
}
