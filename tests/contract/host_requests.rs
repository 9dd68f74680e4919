//! What the Functions host sends: probes, forwarded requests in both of its shapes, and everything odd that gets through it.

use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};

use crate::test_app::{House, refusal};

#[test]
fn case_5_the_probe_needs_no_header_at_all() {
    let answer = House::start().raw(b"GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

#[tokio::test]
async fn cases_6_and_10_without_settings_it_is_up_and_says_what_is_missing() {
    let house = House::with(&[("ChatAllowAnonymous", "perhaps")]);
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
    for path in ["/api/negotiate", "/api/messages"] {
        let response = house.post(path).send().await.unwrap();
        assert_eq!(response.status(), 503);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "not_configured");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("AzureSignalRConnectionString") && message.contains("ChatAllowAnonymous"),
            "{message}"
        );
    }
}

#[test]
fn case_7_a_probe_every_moment_is_answered_every_time() {
    let house = House::start();
    for _ in 0..50 {
        assert!(house.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 "));
    }
}

#[tokio::test]
async fn cases_26_and_27_whatever_host_is_named_the_services_address_is_the_services() {
    let house = House::start();
    let forwarded =
        house.post("/api/negotiate").header("host", "public.example").header("connection", "keep-alive");
    let proxied = house
        .post("/api/negotiate")
        .header("x-forwarded-host", "public.example")
        .header("x-forwarded-proto", "https");
    for request in [forwarded, proxied] {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(body["url"], "http://127.0.0.1:1/client/?hub=chat");
    }
}

#[tokio::test]
async fn cases_28_and_29_negotiate_takes_no_body_and_does_not_mind_one() {
    let house = House::start();
    let bare = house.raw(b"POST /api/negotiate HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(bare.starts_with("HTTP/1.1 200"), "{bare}");
    for body in ["", "{", "nonsense"] {
        let request = house.post("/api/negotiate").header("content-type", "application/json").body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let empty = house.post("/api/messages").header("content-type", "application/json").body("");
    assert_eq!(refusal(empty.send().await.unwrap()).await, (400, "invalid_message".to_owned()));
}

#[tokio::test]
async fn case_30_a_chunked_body_is_a_body() {
    let house = House::start();
    let answer = house.raw(
        b"POST /api/messages HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
          7\r\n{\"text\"\r\n5\r\n: \"\"}\r\n0\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("The text must be"), "{answer}");
}

#[tokio::test]
async fn cases_31_and_32_a_query_changes_nothing_and_is_not_echoed() {
    let house = House::start();
    for query in ["hub=a%2Cb", "negotiateVersion=1&code=SECRET&x", "%zz"] {
        let response = house.post(&format!("/api/negotiate?{query}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        assert!(!response.text().await.unwrap().contains("SECRET"));
    }
}

#[tokio::test]
async fn case_34_a_body_at_the_limit_is_read_and_one_above_is_not() {
    let house = House::start();
    let body = |size: usize| format!("{{\"text\":\"\"{}}}", " ".repeat(size - 11));
    for (size, expected) in [(65_536, (400, "invalid_message")), (65_537, (413, "too_large"))] {
        let request = house.post("/api/messages").header("content-type", "application/json").body(body(size));
        let (status, code) = refusal(request.send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), expected, "{size}");
    }
}

#[tokio::test]
async fn case_35_what_is_not_a_message_is_refused_by_name() {
    let house = House::start();
    for body in [&b"{"[..], b"[]", b"{\"text\":7}", b"{\"text\":\"\xff\"}"] {
        let request = house.post("/api/messages").header("content-type", "application/json").body(body);
        assert_eq!(refusal(request.send().await.unwrap()).await, (400, "invalid_message".to_owned()));
    }
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_form_or_plain_text_from_a_foreign_page_is_no_message() {
    let house = House::start();
    for kind in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ] {
        let request = house.post("/api/messages").header("content-type", kind).body(r#"{"text":"hi"}"#);
        assert_eq!(
            refusal(request.send().await.unwrap()).await,
            (415, "unsupported_media_type".to_owned()),
            "{kind}"
        );
    }
    let bare = house.post("/api/messages").body(r#"{"text":"hi"}"#).send().await.unwrap();
    assert_eq!(bare.status(), 415);
}

#[tokio::test]
async fn case_36_large_headers_are_answered() {
    let house = House::start();
    let request = house.post("/api/negotiate").header("x-large", "a".repeat(32 * 1_024));
    assert!(matches!(request.send().await.unwrap().status().as_u16(), 200 | 431));
}

#[tokio::test]
async fn case_37_any_user_agent_will_do_and_none() {
    let house = House::start();
    let named = house.post("/api/negotiate").header("user-agent", "X Azure-Functions-Host/4.1037.0");
    assert_eq!(named.send().await.unwrap().status(), 200);
}

#[test]
fn case_38_a_caller_that_waits_for_100_continue_gets_it() {
    let answer = House::start().raw(
        b"POST /api/messages HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
    );
    assert!(answer.contains("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn case_39_a_hundred_at_once_over_connections_that_are_used_again() {
    let house = House::start();
    for _ in 0..3 {
        let requests: Vec<_> = (0..100).map(|_| tokio::spawn(house.post("/api/negotiate").send())).collect();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap().status(), 200);
        }
    }
}

#[tokio::test]
async fn case_40_a_caller_that_leaves_in_the_middle_harms_nobody() {
    use std::io::Write as _;
    let house = House::start();
    for part in [
        "POST /api/mess",
        "POST /api/messages HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"te",
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", house.port)).unwrap();
        socket.write_all(part.as_bytes()).unwrap();
    }
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn cases_41_43_44_and_51_answers_carry_what_they_must_and_nothing_that_is_the_platforms() {
    let house = House::start();
    let response =
        house.post("/api/negotiate").header("origin", "https://page.example").send().await.unwrap();
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
    for theirs in ["server", "connection", "keep-alive", "set-cookie"] {
        assert!(!headers.contains_key(theirs), "{theirs}");
    }
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn case_53_options_without_cors_does_nothing() {
    let response = House::start().request(Method::OPTIONS, "/api/messages").send().await.unwrap();
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn case_14_a_panic_is_one_requests_failure() {
    use axum::routing::get;
    use tower::ServiceExt as _;
    let app = serverless_chat::app::with_middleware(
        axum::Router::new()
            .route("/bug", get(async || -> () { panic!("hush") }))
            .route("/fine", get(async || "fine")),
        serverless_chat::telemetry::Recorder::default(),
    );
    let ask = |path: &str| {
        app.clone().oneshot(axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap())
    };
    let answer = ask("/bug").await.unwrap();
    assert_eq!(answer.status(), 500);
    let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"error": {"code": "internal", "message": "Something went wrong here; the log says what."}})
    );
    assert_eq!(ask("/fine").await.unwrap().status(), 200);
}
