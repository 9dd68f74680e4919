//! Local emulation of Easy Auth (App Service Authentication): `/.auth/*`, and the principal headers on every forwarded request.
//!
//! There is no password: any caller can sign in under any name. Therefore it listens on loopback only.

mod credential;
mod endpoints;
mod identity;
mod pages;
mod provider_token;
mod redirect;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use self::credential::Credential;
pub(crate) use self::redirect::AllowedRedirects;
pub(crate) use self::session::{EasyAuth, SESSION_LIFETIME_SECONDS};
use crate::responses::error_response;

/// Serves `/.auth/*`, and forwards all other requests to `host` with the caller's principal.
pub(crate) fn with_easy_auth(host: Router, easy_auth: Arc<EasyAuth>) -> Router {
    let host = host.layer(from_fn_with_state(easy_auth.clone(), add_principal));
    endpoints::routes().with_state(easy_auth).fallback_service(host)
}

async fn add_principal(State(easy_auth): State<Arc<EasyAuth>>, mut request: Request, next: Next) -> Response {
    let session = match easy_auth.caller(request.headers()) {
        Err(error) => return error.into_response(),
        Ok(Some((_, Credential::Cookie(_)))) if credential::is_forgeable(&request, &easy_auth.page, &easy_auth.own) => {
            return forged_request();
        }
        Ok(caller) => caller.map(|(session, _)| session),
    };
    credential::remove(request.headers_mut());
    if let Some(session) = session {
        session.identity.inject(request.headers_mut());
    }
    next.run(request).await
}

fn forged_request() -> Response {
    tracing::warn!("rejected a request with a session cookie from a page of another origin");
    let message = "This request has the session cookie but is not from the page: call it from the page's own address, \
                   or send the session token as X-ZUMO-AUTH.";
    error_response(StatusCode::FORBIDDEN, "origin_not_allowed", message)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::request::Builder;
    use axum::http::{HeaderMap, HeaderValue, header};
    use axum::response::IntoResponse;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use percent_encoding::percent_decode_str;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::identity::{Identity, Name, Provider};
    use super::session::now;
    use super::*;
    use crate::origins::Origins;

    const PAGE: &str = "http://localhost:5500";
    const OWN: &str = "http://localhost:7071";
    /// Another allowed redirect address.
    const FOLDER: &str = "http://localhost:5500/chat/";
    const LOGIN: &str = "/.auth/login/aad";
    const FORM: &str = "application/x-www-form-urlencoded";

    struct TestApp {
        easy_auth: Arc<EasyAuth>,
        router: Router,
    }

    impl TestApp {
        fn new() -> Self {
            let page = Origins::of_port(5500);
            let redirects = AllowedRedirects::new(&page, vec![FOLDER.to_owned()]);
            let easy_auth = EasyAuth::new(page, Origins::of_port(7071), redirects, SESSION_LIFETIME_SECONDS).unwrap();
            let echo = Router::new().fallback(async |headers: HeaderMap| (headers, "reached").into_response());
            let router = with_easy_auth(echo, easy_auth.clone());
            Self { easy_auth, router }
        }

        async fn send(&self, request: Builder, body: impl Into<Body>) -> Response {
            self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
        }

        async fn get(&self, path: &str) -> Response {
            self.send(Request::get(path), "").await
        }

        async fn submit(&self, path: &str, form: &'static str) -> Response {
            let request = Request::post(path).header("origin", OWN);
            self.send(request.header("content-type", format!("{FORM}; charset=utf-8")), form).await
        }

        fn token(&self, name: &str, now: u64) -> String {
            let identity = Identity { provider: Provider::find("aad").unwrap(), name: Name::parse(name).unwrap() };
            self.easy_auth.sessions.issue(&identity, now).unwrap()
        }

        fn alice(&self) -> String {
            self.token("alice@contoso.com", now())
        }

        async fn me(&self, token: &str) -> Value {
            json(self.send(Request::get("/.auth/me").header("x-zumo-auth", token), "").await).await[0].clone()
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
        let (cookie, attributes) = response.headers()[header::SET_COOKIE].to_str().unwrap().split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
        cookie
    }

    fn token_in(location: &str) -> String {
        let encoded = location.split_once("#token=").unwrap().1;
        let json: Value = serde_json::from_str(&percent_decode_str(encoded).decode_utf8().unwrap()).unwrap();
        assert!(json["user"]["userId"].as_str().unwrap().starts_with("sid:"));
        json["authenticationToken"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn the_app_gets_the_principal_of_a_token_and_not_the_token() {
        let app = TestApp::new();
        let forged = Request::post("/api/x")
            .header("x-zumo-auth", app.alice())
            .header("x-ms-client-principal-name", "root")
            .header("x-ms-client-principal-id", "0")
            .header("x-ms-token-aad-access-token", "t");
        let response = app.send(forged, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-ms-client-principal-name"], "alice@contoso.com");
        assert_ne!(response.headers()["x-ms-client-principal-id"], "0");
        assert!(!response.headers().contains_key("x-zumo-auth"));
        assert!(!response.headers().contains_key("x-ms-token-aad-access-token"));
    }

    #[tokio::test]
    async fn a_forged_principal_is_removed() {
        let forged = Request::get("/api/x").header("x-ms-client-principal-name", "root").header("X-MS-X", "1");
        let response = TestApp::new().send(forged, "").await;
        assert!(response.headers().keys().all(|name| !name.as_str().starts_with("x-ms-")));
    }

    #[tokio::test]
    async fn an_invalid_or_expired_token_is_401() {
        let app = TestApp::new();
        for token in [TestApp::new().alice(), app.token("alice", 1), "alice".to_owned(), String::new()] {
            for path in ["/api/x", "/.auth/me"] {
                let response = app.send(Request::get(path).header("x-zumo-auth", &token), "").await;
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert!(!response.headers().contains_key(header::LOCATION));
                assert_eq!(json(response).await["error"]["code"], "invalid_token");
            }
        }
    }

    #[tokio::test]
    async fn an_invalid_cookie_is_ignored() {
        let app = TestApp::new();
        let old = format!("{}={}; other=1", credential::COOKIE, TestApp::new().alice());
        let response = app.send(Request::get("/api/x").header("cookie", old), "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["cookie"], "other=1");
        assert!(!response.headers().contains_key("x-ms-client-principal"));
    }

    #[tokio::test]
    async fn a_post_with_a_cookie_must_come_from_an_allowed_origin() {
        let app = TestApp::new();
        let cookie = format!("{}={}", credential::COOKIE, app.alice());
        let post = |origin: &str| {
            let post = Request::post("/api/x").header("cookie", &cookie).header("user-agent", "Mozilla/5.0");
            post.header("origin", origin)
        };
        let known = app.send(post(PAGE), "").await;
        assert_eq!(known.headers()["x-ms-client-principal-name"], "alice@contoso.com");
        let foreign = app.send(post("https://evil.example"), "").await;
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
        assert_eq!(json(foreign).await["error"]["code"], "origin_not_allowed");
        let by_token = post("https://evil.example").header("x-zumo-auth", app.alice());
        assert_eq!(app.send(by_token, "").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn programs_sign_in_with_json() {
        let app = TestApp::new();
        for body in [r#"{"access_token":" alice@contoso.com "}"#, r#"{"id_token":"alice@contoso.com","x":1}"#] {
            let request = Request::post(LOGIN).header("content-type", "application/json");
            let response = app.send(request, body).await;
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            let body = json(response).await;
            assert!(body["user"]["userId"].as_str().unwrap().starts_with("sid:"));
            let me = app.me(body["authenticationToken"].as_str().unwrap()).await;
            assert_eq!(me["user_id"], "alice@contoso.com");
            assert_eq!(me["provider_name"], "aad");
            assert_eq!(me["user_claims"][1]["val"], "alice@contoso.com");
            assert!(me["expires_on"].as_str().unwrap().ends_with('Z'));
        }
    }

    #[tokio::test]
    async fn the_first_token_with_a_name_counts() {
        let app = TestApp::new();
        let jwt = format!("e30.{}.e30", STANDARD_NO_PAD.encode(r#"{"name":"Ann"}"#));
        for body in [
            format!(r#"{{"access_token":"{jwt}","id_token":"bob"}}"#),
            format!(r#"{{"access_token":"ya29.opaque","id_token":"{jwt}"}}"#),
            format!(r#"{{"authentication_token":"{jwt}","authorization_code":"4/0AX4XfWh","expires_in":3600}}"#),
        ] {
            let request = Request::post(LOGIN).header("content-type", "application/json");
            let signed_in = json(app.send(request, body.clone()).await).await;
            assert_eq!(app.me(signed_in["authenticationToken"].as_str().unwrap()).await["user_id"], "Ann", "{body}");
        }
    }

    #[tokio::test]
    async fn an_invalid_sign_in_is_rejected_with_a_message() {
        let app = TestApp::new();
        let too_large = "x".repeat(20_000);
        for (kind, body, status) in [
            ("application/json", "", StatusCode::BAD_REQUEST),
            ("application/json", "[]", StatusCode::BAD_REQUEST),
            ("application/json", "{}", StatusCode::BAD_REQUEST),
            ("application/json", r#"{"access_token":1}"#, StatusCode::BAD_REQUEST),
            ("application/json", r#"{"access_token":" "}"#, StatusCode::BAD_REQUEST),
            ("application/json", r#"{"access_token":"a\nb"}"#, StatusCode::BAD_REQUEST),
            ("application/json", r#"{"authorization_code":"4/0AX4XfWh"}"#, StatusCode::BAD_REQUEST),
            ("application/json", &too_large, StatusCode::PAYLOAD_TOO_LARGE),
            ("text/plain", r#"{"access_token":"alice"}"#, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ("multipart/form-data", "", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ] {
            let response = app.send(Request::post(LOGIN).header("content-type", kind), body.to_owned()).await;
            assert_eq!(response.status(), status, "{kind} {body}");
            assert!(json(response).await["error"]["message"].is_string());
        }
    }

    #[tokio::test]
    async fn every_provider_is_supported_and_no_other_path() {
        let app = TestApp::new();
        for alias in ["aad", "facebook", "google", "x", "twitter", "github", "apple", "microsoftaccount", "AAD"] {
            assert_eq!(app.get(&format!("/.auth/login/{alias}")).await.status(), StatusCode::OK, "{alias}");
        }
        for path in ["/.auth/login/myspace", "/.auth/login", "/.auth/login/aad/callback", "/.auth/nowhere"] {
            let response = app.get(path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert!(json(response).await["error"]["message"].is_string());
        }
        assert_eq!(text(app.get("/.authentic").await).await, "reached");
    }

    #[tokio::test]
    async fn the_form_redirects_to_the_page_with_a_token() {
        let app = TestApp::new();
        for name in ["post_login_redirect_url", "post_login_redirect_uri"] {
            let path = format!("{LOGIN}?session_mode=token&{name}=http%3A%2F%2Flocalhost%3A5500%2Fchat%2F");
            let response = app.submit(&path, "name=%C5%81ucja+Nowak").await;
            let location = location(&response);
            assert!(location.starts_with("http://localhost:5500/chat/#token=%7B"), "{location}");
            assert_eq!(app.me(&token_in(location)).await["user_id"], "Łucja Nowak");
            assert!(!response.headers().contains_key(header::SET_COOKIE));
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
    }

    #[tokio::test]
    async fn a_token_never_goes_to_an_address_that_is_not_allowed() {
        let app = TestApp::new();
        for address in ["", "https://evil.example", "//evil.example", "http://localhost:5500/index.html"] {
            let parameter = format!("&post_login_redirect_url={address}");
            let path = format!("{LOGIN}?session_mode=token{parameter}");
            let response = app.submit(&path, "name=alice").await;
            assert!(location(&response).starts_with("/.auth/login/done#token="));
            let response = app.submit(&format!("{LOGIN}?x=1{parameter}"), "name=alice").await;
            assert_eq!(location(&response), "/.auth/login/done");
        }
        let page = app.get(&format!("{LOGIN}?post_login_redirect_url=https://evil.example/%22%3E")).await;
        let html = text(page).await;
        assert!(html.contains("you will stay here") && !html.contains("evil.example"));
        let done = text(app.get("/.auth/login/done").await).await;
        for page in [html, done] {
            assert!(page.contains("allowedExternalRedirectUrls") && page.contains("--allow-redirect"), "{page}");
            assert!(page.contains(PAGE));
        }
    }

    #[tokio::test]
    async fn the_form_sets_a_cookie_that_signs_in_and_sign_out_deletes_it() {
        let app = TestApp::new();
        let response = app.submit(&format!("{LOGIN}?post_login_redirect_uri=/.auth/me"), "name=bob").await;
        assert_eq!(location(&response), "/.auth/me");
        let cookie = cookie(&response).to_owned();
        let me = json(app.send(Request::get("/.auth/me").header("cookie", &cookie), "").await).await;
        assert_eq!(me[0]["user_id"], "bob");
        let response = app.send(Request::get("/api/x").header("cookie", &cookie), "").await;
        assert_eq!(response.headers()["x-ms-client-principal-name"], "bob");
        assert!(!response.headers().contains_key("cookie"));

        let out = app.send(Request::get("/.auth/logout").header("cookie", &cookie), "").await;
        assert_eq!(location(&out), "/.auth/logout/done");
        let deleted = out.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(deleted.starts_with("AppServiceAuthSession=;") && deleted.contains("Max-Age=0"), "{deleted}");
    }

    #[tokio::test]
    async fn only_the_sign_in_page_may_send_its_form() {
        let app = TestApp::new();
        let other = ("origin", "https://evil.example");
        for (name, value) in [("origin", PAGE), other, ("origin", "null"), ("accept", "*/*")] {
            let request = Request::post(LOGIN).header("content-type", FORM).header(name, value);
            let response = app.send(request, "name=alice").await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}: {value}");
            assert!(!response.headers().contains_key(header::SET_COOKIE));
        }
    }

    #[tokio::test]
    async fn an_invalid_name_is_explained_in_the_form() {
        let app = TestApp::new();
        for form in ["", "name=", "name=+++", "other=alice", "name=a%0Ab"] {
            let response = app.submit(LOGIN, form).await;
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{form}");
            assert!(text(response).await.contains("role=\"alert\""), "{form}");
        }
    }

    #[tokio::test]
    async fn sign_out_redirects_to_the_same_addresses_as_sign_in() {
        let app = TestApp::new();
        for (to, expected) in [
            (FOLDER, FOLDER),
            ("http://localhost:5500/bye", "/.auth/logout/done"),
            ("/.auth/me", "/.auth/me"),
            ("https://evil.example", "/.auth/logout/done"),
            ("//evil.example", "/.auth/logout/done"),
        ] {
            let path = format!("/.auth/logout?post_logout_redirect_uri={to}");
            assert_eq!(location(&app.get(&path).await), expected);
            assert_eq!(location(&app.send(Request::post(&path), "").await), expected);
        }
        assert!(text(app.get("/.auth/logout/done").await).await.contains("signed out"));
    }

    #[tokio::test]
    async fn an_anonymous_caller_gets_401_without_a_redirect() {
        for path in ["/.auth/me", "/.auth/refresh"] {
            let response = TestApp::new().get(path).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(!response.headers().contains_key(header::LOCATION));
        }
    }

    #[tokio::test]
    async fn a_session_is_renewed_in_its_own_form() {
        let app = TestApp::new();
        let nine_hours_ago = app.token("alice", now() - 9 * 60 * 60);
        let request = Request::get("/.auth/refresh").header("x-zumo-auth", &nine_hours_ago);
        let renewed = json(app.send(request, "").await).await;
        assert_eq!(app.me(renewed["authenticationToken"].as_str().unwrap()).await["user_id"], "alice");

        let old = format!("{}={nine_hours_ago}", credential::COOKIE);
        let response = app.send(Request::get("/.auth/refresh").header("cookie", old), "").await;
        assert_eq!(response.status(), StatusCode::OK);
        let request = Request::get("/.auth/me").header("cookie", cookie(&response));
        assert_eq!(json(app.send(request, "").await).await[0]["user_id"], "alice");

        let last_week = app.token("alice", now() - 7 * 24 * 60 * 60);
        let request = Request::get("/.auth/refresh").header("x-zumo-auth", last_week);
        assert_eq!(app.send(request, "").await.status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn the_pages_carry_a_strict_policy_and_no_script() {
        let app = TestApp::new();
        for path in [LOGIN, "/.auth/login/done", "/.auth/logout/done"] {
            let response = app.get(path).await;
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(response.headers()[header::X_FRAME_OPTIONS], HeaderValue::from_static("DENY"));
            assert_eq!(response.headers()[header::CACHE_CONTROL], HeaderValue::from_static("no-store"));
            let html = text(response).await;
            assert!(!html.contains("<script") && !html.contains(" style=") && !html.contains(" onclick="), "{path}");
        }
        let style = app.get(pages::STYLE_PATH).await;
        assert_eq!(style.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
    }
}
