//! Tests of requests as the Functions host sends them: probes, forwarded requests, paths, headers, bodies and limits.

use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};

use crate::test_app::{ErrorResponse, TestApp, api_error};

#[test]
fn a_probe_without_headers_is_answered() {
    let response = TestApp::start().send_raw(b"GET / HTTP/1.0\r\n\r\n");
    assert!(response.starts_with("HTTP/1.0 200"), "{response}");
}

#[tokio::test]
async fn without_settings_the_handler_runs_and_names_what_is_missing() {
    let app = TestApp::with_settings(&[("ChatAllowAnonymous", "perhaps")]);
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
    for path in ["/api/negotiate", "/api/messages"] {
        let ErrorResponse { status, code, message, .. } =
            ErrorResponse::read(app.post(path).send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (503, "not_configured"));
        assert!(["AzureSignalRConnectionString", "ChatAllowAnonymous"].iter().all(|name| message.contains(name)));
    }
}

#[test]
fn every_one_of_many_probes_is_answered() {
    let app = TestApp::start();
    for _ in 0..50 {
        assert!(app.send_raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 "));
    }
}

#[tokio::test]
async fn the_host_header_does_not_change_the_service_address() {
    let app = TestApp::start();
    let forwarded = app.post("/api/negotiate").header("host", "public.example").header("connection", "keep-alive");
    let proxied =
        app.post("/api/negotiate").header("x-forwarded-host", "public.example").header("x-forwarded-proto", "https");
    for request in [forwarded, proxied] {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(body["url"], "http://127.0.0.1:1/client/?hub=chat");
    }
}

#[tokio::test]
async fn negotiate_ignores_a_body_and_can_do_without_one() {
    let app = TestApp::start();
    let bare = app.send_raw(b"POST /api/negotiate HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(bare.starts_with("HTTP/1.1 200"), "{bare}");
    for body in ["", "{", "nonsense"] {
        let request = app.post("/api/negotiate").header("content-type", "application/json").body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let empty = app.post("/api/messages").header("content-type", "application/json").body("");
    assert_eq!(api_error(empty.send().await.unwrap()).await, (400, "invalid_message".to_owned()));
}

#[tokio::test]
async fn a_chunked_body_is_read() {
    let app = TestApp::start();
    let response = app.send_raw(
        b"POST /api/messages HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
          7\r\n{\"text\"\r\n5\r\n: \"\"}\r\n0\r\n\r\n",
    );
    assert!(response.starts_with("HTTP/1.1 400") && response.contains("The text must be"), "{response}");
}

#[tokio::test]
async fn the_query_is_ignored_and_not_echoed() {
    let app = TestApp::start();
    for query in ["hub=a%2Cb", "negotiateVersion=1&code=SECRET&x", "%zz"] {
        let response = app.post(&format!("/api/negotiate?{query}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        assert!(!response.text().await.unwrap().contains("SECRET"));
    }
}

#[tokio::test]
async fn a_request_that_the_host_changed_is_answered_as_the_original() {
    let app = TestApp::start();
    // Merged parameters and escaped escapes; an encoded slash and a backslash that became one; the host's own headers after the caller's.
    for path in ["negotiate?a=1,2", "negotiate?X=1,2&flag=", "negotiate?a=%25zz", "negotiate?a=%25C3", "negotiate?"] {
        assert_eq!(app.post(&format!("/api/{path}")).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/api/negotiate%252Fx", "/api/negotiate%2Fx", "/api/negotiate/x", "/api/nego"] {
        assert_eq!(app.post(path).send().await.unwrap().status(), 404, "{path}");
    }
    for (name, value) in [
        ("x-azure-functions-invocationid", "theirs, real-1"),
        ("x-azure-functions-hostversion", "theirs, 4.1037.0"),
        ("user-agent", "theirs Azure-Functions-Host/4.1037.0"),
        ("x-ms-invocation-id", "theirs"),
        ("expect", "100-continue"),
    ] {
        let response = app.post("/api/negotiate").header(name, value).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}: {value}");
    }
    assert!(app.process.out.line("real-1").contains("invocation_id=\"real-1\""));
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_a_larger_one_is_rejected() {
    let app = TestApp::start();
    let body = |size: usize| format!("{{\"text\":\"\"{}}}", " ".repeat(size - 11));
    for (size, expected) in [(65_536, (400, "invalid_message")), (65_537, (413, "too_large"))] {
        let request = app.post("/api/messages").header("content-type", "application/json").body(body(size));
        let (status, code) = api_error(request.send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), expected, "{size}");
    }
}

#[tokio::test]
async fn a_malformed_message_is_rejected_as_invalid_message() {
    let app = TestApp::start();
    for body in [&b"{"[..], b"[]", b"{\"text\":7}", b"{\"text\":\"\xff\"}"] {
        let request = app.post("/api/messages").header("content-type", "application/json").body(body);
        assert_eq!(api_error(request.send().await.unwrap()).await, (400, "invalid_message".to_owned()));
    }
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn forms_and_plain_text_of_other_origins_are_rejected() {
    let app = TestApp::start();
    for kind in
        ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/jsonx"]
    {
        let request = app.post("/api/messages").header("content-type", kind).body(r#"{"text":"hi"}"#);
        assert_eq!(
            api_error(request.send().await.unwrap()).await,
            (415, "unsupported_media_type".to_owned()),
            "{kind}"
        );
    }
    let bare = app.post("/api/messages").body(r#"{"text":"hi"}"#).send().await.unwrap();
    assert_eq!(bare.status(), 415);
}

#[tokio::test]
async fn large_headers_are_answered() {
    let app = TestApp::start();
    let request = app.post("/api/negotiate").header("x-large", "a".repeat(32 * 1_024));
    assert!(matches!(request.send().await.unwrap().status().as_u16(), 200 | 431));
}

#[tokio::test]
async fn any_user_agent_is_accepted() {
    let app = TestApp::start();
    let named = app.post("/api/negotiate").header("user-agent", "X Azure-Functions-Host/4.1037.0");
    assert_eq!(named.send().await.unwrap().status(), 200);
}

#[test]
fn a_caller_that_waits_for_100_continue_is_answered() {
    let response = TestApp::start().send_raw(
        b"POST /api/messages HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
    );
    assert!(response.contains("HTTP/1.1 400"), "{response}");
}

#[tokio::test]
async fn a_hundred_concurrent_requests_over_reused_connections_succeed() {
    let app = TestApp::start();
    for _ in 0..3 {
        let requests: Vec<_> = (0..100).map(|_| tokio::spawn(app.post("/api/negotiate").send())).collect();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap().status(), 200);
        }
    }
}

#[tokio::test]
async fn an_aborted_request_does_not_affect_others() {
    use std::io::Write as _;
    let app = TestApp::start();
    for part in [
        "POST /api/mess",
        "POST /api/messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"te",
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", app.port)).unwrap();
        socket.write_all(part.as_bytes()).unwrap();
    }
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn responses_have_the_required_headers_and_none_that_the_platform_sets() {
    let app = TestApp::start();
    let response = app.post("/api/negotiate").header("origin", "https://page.example").send().await.unwrap();
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
    for name in ["server", "connection", "keep-alive", "set-cookie"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn options_without_cors_is_405() {
    let response = TestApp::start().request(Method::OPTIONS, "/api/messages").send().await.unwrap();
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn a_panic_fails_only_its_own_request() {
    use axum::routing::get;
    use tower::ServiceExt as _;
    let app = serverless_chat::app::with_middleware(
        axum::Router::new().route("/bug", get(async || -> () { panic!("hush") })).route("/fine", get(async || "fine")),
        serverless_chat::telemetry::Recorder::default(),
    );
    let get_path =
        |path: &str| app.clone().oneshot(axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap());
    let response = get_path("/bug").await.unwrap();
    assert_eq!(response.status(), 500);
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"error": {"code": "internal", "message": "Something went wrong here; the log says what."}})
    );
    assert_eq!(get_path("/fine").await.unwrap().status(), 200);
}

#[tokio::test]
async fn paths_ignore_case_and_one_trailing_slash() {
    let app = TestApp::start();
    for path in ["/api/negotiate", "/API/Negotiate", "/api/negotiate/", "/api/SignalRInfo", "/api/signalrinfo/"] {
        assert_eq!(app.post(path).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/api/SignalRInfo", "/api/features", "/API/Features/", "/api/FEATURES"] {
        assert_eq!(app.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/api/rooms", "/API/Rooms/", "/api/ROOMS"] {
        assert_eq!(app.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/api/me", "/API/Me/", "/api/ME"] {
        assert_eq!(api_error(app.get(path).send().await.unwrap()).await, (401, "unauthenticated".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn an_unforwarded_invocation_names_the_setting_that_forwards_requests() {
    let app = TestApp::start();
    for path in [
        "/negotiate", "/SendMessage", "/SignalRInfo", "/AccessToken", "/Me", "/Features", "/Rooms", "/RoomMembers",
        "/roommember", "/History", "/RemoveMessage",
    ] {
        let response = app.post(path).json(&json!({"Data": {}, "Metadata": {}})).send().await.unwrap();
        let error = ErrorResponse::read(response).await;
        assert_eq!((error.status, error.code.as_str()), (500, "not_forwarded"));
        assert!(error.message.contains("enableForwardingHttpRequest"));
    }
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_are_405_with_the_allowed_ones() {
    let app = TestApp::start();
    for path in [
        "/api", "/api/rooms/games", "/api/rooms/games/members/a/b", "/api/negotiate/x", "/api/negotiate//",
        "/client/negotiate", "/api/hubs/chat/:send", "/.auth/me",
    ] {
        assert_eq!(api_error(app.post(path).send().await.unwrap()).await, (404, "not_found".to_owned()), "{path}");
    }
    for (method, path, allowed) in [
        (Method::GET, "/api/negotiate", "POST"),
        (Method::PUT, "/api/messages", "POST"),
        (Method::DELETE, "/api/SignalRInfo", "GET,HEAD,POST"),
        (Method::GET, "/api/access-token", "POST,DELETE"),
        (Method::POST, "/api/me", "GET,HEAD"),
        (Method::DELETE, "/api/features", "GET,HEAD"),
        (Method::POST, "/api/rooms", "GET,HEAD"),
        (Method::PUT, "/api/Rooms/games/Members/", "GET,HEAD"),
        (Method::GET, "/api/rooms/games/members/Ab", "PUT,DELETE"),
    ] {
        let response = app.request(method, path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allowed, "{path}");
        assert_eq!(api_error(response).await, (405, "method_not_allowed".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_configured_prefix_moves_every_route() {
    let prefix = [("AzureFunctionsJobHost__extensions__http__routePrefix", "V2/chat")];
    let app = TestApp::with_signalr(1, &prefix);
    assert_eq!(app.post("/v2/chat/negotiate").send().await.unwrap().status(), 200);
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 404);
}

/// Such a prefix would match other paths, or end the process before it listens.
#[tokio::test]
async fn a_prefix_that_is_no_plain_path_is_reported_by_name() {
    for prefix in ["{version}", "{", "api/{*rest}", "*", "a//b", "../api", "a b"] {
        let app = TestApp::with_signalr(1, &[("AzureFunctionsJobHost__extensions__http__routePrefix", prefix)]);
        let error = ErrorResponse::read(app.post("/api/negotiate").send().await.unwrap()).await;
        assert_eq!((error.status, error.code.as_str()), (503, "not_configured"), "{prefix}");
        assert!(error.message.contains("routePrefix"), "{}", error.message);
        app.process.out.line("routePrefix: must be segments of letters, digits");
    }
}

#[tokio::test]
async fn an_invalid_path_is_400() {
    let app = TestApp::start();
    let post_raw =
        |path: &str| app.send_raw(format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes());
    for path in ["/api/%zz", "/api/negotiate%", "/%2"] {
        assert!(post_raw(path).starts_with("HTTP/1.1 400"), "{path}");
    }
    assert!(post_raw("/api/n%C3%A9gotiate").starts_with("HTTP/1.1 404"));
    assert_eq!(app.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let response = TestApp::start().request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());
}
