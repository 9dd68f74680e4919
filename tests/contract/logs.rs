//! Tests of the log: one line per request, formats and fields, and no secrets.
//!
//! The host shows standard output as information and standard error as errors.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::scripted_service::ScriptedService;
use test_support::process::is_forging;

use crate::test_app::{KEY, TestApp};

const INVOCATION_ID: &str = "x-azure-functions-invocationid";
const NAME: &str = "x-ms-client-principal-name";
const JSON: (&str, &str) = ("ChatLogFormat", "json");

/// Waits for the line of a request and parses it.
fn json_line(app: &TestApp, id: &str) -> Value {
    let line = app.process.out.line(id);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn log_lines_have_the_invocation_id_and_no_secrets() {
    for format in ["plain", "json"] {
        let variables = [("WEBSITE_AUTH_ENABLED", "true"), ("RUST_LOG", "trace"), ("ChatLogFormat", format)];
        let mut app = TestApp::with_signalr(1, &variables);
        let request =
            app.post("/api/negotiate?code=SECRET-1").header(INVOCATION_ID, "spoof").header(INVOCATION_ID, "real-7");
        let secrets = [
            ("authorization", "Bearer SECRET-2"),
            ("cookie", "AppServiceAuthSession=SECRET-3"),
            ("x-zumo-auth", "SECRET-4"),
            ("x-ms-token-aad-id-token", "SECRET-5"),
            ("x-functions-key", "SECRET-6"),
            ("tracestate", "vendor=SECRET-8"),
            (NAME, "SECRET-9"),
        ];
        let request = secrets.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let token = request.send().await.unwrap().text().await.unwrap();
        // The service cannot be reached, so this request fails and logs the causes.
        let draft = json!({"text": "SECRET-7", "recipient": "SECRET-10"});
        app.message(&draft).header(NAME, "SECRET-9").send().await.unwrap();
        let out = app.stop();
        assert_eq!(app.process.err.text(), "");
        assert!(out.contains("real-7") && !out.contains("spoof"), "{out}");
        assert!(out.contains("/api/negotiate"), "{out}");
        assert!(out.contains("the SignalR service cannot be reached"), "{out}");
        for secret in ["SECRET", KEY, &token, "eyJ", "code="] {
            assert!(!out.contains(secret), "{secret} in {out}");
        }
        let start = if format == "json" { "{\"timestamp\":\"20" } else { "20" };
        assert!(out.lines().all(|line| line.starts_with(start)), "a line without a time stamp in {out}");
        if format == "json" {
            out.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
        }
    }
}

#[test]
fn no_request_and_no_setting_forges_a_line() {
    let names = [
        "%0A2026-01-01T00:00:00Z  INFO forged",
        "%0D%0Aforged",
        "%1B[2J",
        "%E2%80%A8forged",
        "\u{7f}forged",
        "\u{85}forged",
        "\u{9b}2Jforged",
        "\u{2028}forged",
        "\u{2029}forged",
        "\u{202e}degrof",
        "\u{2066}forged\u{2069}",
        "\u{200f}\u{61c}forged",
        "\"forged",
        "\\nforged",
    ];
    for (format, start) in [("plain", "20"), ("json", "{\"timestamp\":\"20")] {
        // Reported, because it is not a filter.
        let filter = "a=b\n2026-01-01T00:00:00Z  INFO forged\u{1b}[2J\u{2028}=c";
        let mut app = TestApp::with_signalr(1, &[("ChatLogFormat", format), ("RUST_LOG", filter)]);
        for name in names {
            let name = name.replace(' ', "%20");
            for request in [
                format!("GET /api/{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
                format!(
                    "GET / HTTP/1.1\r\nHost: {name}\r\n{INVOCATION_ID}: {name}\r\nUser-Agent: {name}\r\nConnection: close\r\n\r\n"
                ),
            ] {
                let response = app.send_raw(request.as_bytes());
                assert!(["200", "400", "404"].contains(&response.split(' ').nth(1).unwrap()), "{response}");
            }
        }
        let out = app.stop();
        assert!(out.contains("RUST_LOG cannot be read") && out.contains("/api/"), "{out}");
        for line in out.lines() {
            assert!(line.starts_with(start) && !line.contains(is_forging), "{line:?}");
            if format == "json" {
                serde_json::from_str::<Value>(line).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_request_is_one_line_with_operation_and_outcome() {
    let rejecting = ScriptedService::start(&[(400, None)]).await;
    let connection = rejecting.connection();
    let apps = ["plain", "json"].map(|format| {
        let signalr = ("AzureSignalRConnectionString", connection.as_str());
        TestApp::with_settings(&[
            signalr,
            ("ChatAllowAnonymous", "true"),
            ("ChatLogFormat", format),
            ("RUST_LOG", "info,serverless_chat=debug"),
        ])
    });
    let post = |path: &'static str| move |app: &TestApp| app.post(path);
    let get = |path: &'static str| move |app: &TestApp| app.get(path);
    let draft = |draft: Value| move |app: &TestApp| app.message(&draft);
    type MakeRequest = Box<dyn Fn(&TestApp) -> RequestBuilder>;
    let kinds: [(MakeRequest, &str, u16, &str); 11] = [
        (Box::new(post("/api/negotiate?negotiateVersion=1")), "negotiate", 200, "ok"),
        (Box::new(post("/API/Negotiate/")), "negotiate", 200, "ok"),
        (Box::new(get("/api/SignalRInfo")), "SignalRInfo", 200, "ok"),
        (Box::new(get("/api/messages")), "SendMessage", 405, "method_not_allowed"),
        (Box::new(post("/api/messages")), "SendMessage", 415, "unsupported_media_type"),
        (Box::new(draft(json!({}))), "SendMessage", 400, "invalid_message"),
        (Box::new(draft(json!({"text": "x".repeat(70_000)}))), "SendMessage", 413, "too_large"),
        (Box::new(draft(json!({"text": "hi"}))), "SendMessage", 502, "upstream_rejected"),
        (Box::new(post("/api/access-token")), "AccessToken", 404, "not_found"),
        (Box::new(get("/api/unknown")), "unmatched", 404, "not_found"),
        (Box::new(get("/")), "probe", 200, "ok"),
    ];
    for (number, (request, operation, status, outcome)) in kinds.iter().enumerate() {
        let id = format!("invocation-{number}-");
        for app in &apps {
            assert_eq!(request(app).header(INVOCATION_ID, &id).send().await.unwrap().status(), *status);
        }
        let [plain, json] = &apps;
        let line = plain.process.out.line(&id);
        for field in
            [format!("operation=\"{operation}\""), format!("status={status} outcome=\"{outcome}\" duration_ms=")]
        {
            assert!(line.contains(&field), "{field} in {line}");
        }
        let object = json_line(json, &id);
        let fields = (&object["operation"], &object["status"], &object["outcome"], &object["invocation_id"]);
        assert_eq!(fields, (&json!(operation), &json!(status), &json!(outcome), &json!(id)));
        assert!(object["duration_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(object.get("upstream_ms").is_some(), *outcome == "upstream_rejected");
        assert_eq!(object.get("upstream_tries"), None);
    }
    for mut app in apps {
        let out = app.stop();
        let count = |number| out.lines().filter(|line| line.contains(&format!("invocation-{number}-"))).count();
        assert!((0..kinds.len()).all(|number| count(number) == 1), "{out}");
    }
}

#[tokio::test]
async fn a_json_line_is_flat_and_has_the_documented_keys() {
    let app = TestApp::with_signalr(1, &[JSON]);
    let started: Value = serde_json::from_str(&app.process.out.line("listening on")).unwrap();
    assert_eq!(keys(&started), ["level", "message", "timestamp"]);
    app.post("/api/negotiate").header(INVOCATION_ID, "ok-1").send().await.unwrap();
    let request = [
        "duration_ms", "invocation_id", "level", "message", "method", "operation", "outcome", "path", "status",
        "timestamp",
    ];
    assert_eq!(keys(&json_line(&app, "ok-1")), request);
    app.message(&json!({"text": "hi"})).header(INVOCATION_ID, "failed-1").send().await.unwrap();
    let failed = json_line(&app, "failed-1");
    let more = ["cause", "upstream_ms", "upstream_tries"];
    assert!(request.iter().chain(&more).all(|key| failed.get(*key).is_some()), "{failed}");
    assert!(failed.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()));
    assert_eq!((&failed["level"], &failed["upstream_tries"]), (&json!("ERROR"), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_time_is_logged_separately() {
    let mut service = ScriptedService::held().await;
    let app = TestApp::with_signalr(service.port, &[JSON]);
    let message = app.message(&json!({"text": "hi"})).header(INVOCATION_ID, "slow-1").send();
    let message = tokio::spawn(message);
    let arrived = service.next_call().await;
    app.post("/api/negotiate").header(INVOCATION_ID, "quick-1").send().await.unwrap();
    let held = arrived.elapsed();
    service.release();
    assert_eq!(message.await.unwrap().unwrap().status(), 202);

    let slow = json_line(&app, "slow-1");
    let (upstream, whole) = (slow["upstream_ms"].as_f64().unwrap(), slow["duration_ms"].as_f64().unwrap());
    assert!(upstream >= held.as_secs_f64() * 1_000.0 && whole >= upstream, "{slow}, held for {held:?}");
    assert_eq!(slow.get("upstream_tries"), None);
    assert_eq!(json_line(&app, "quick-1").get("upstream_ms"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_logged_if_there_was_more_than_one() {
    let service = ScriptedService::start(&[(503, None), (503, None), (202, None)]).await;
    let app = TestApp::with_signalr(service.port, &[JSON]);
    let response = app.message(&json!({"text": "hi"})).header(INVOCATION_ID, "retried-1").send().await.unwrap();
    assert_eq!(response.status(), 202);
    let line = json_line(&app, "retried-1");
    assert_eq!((&line["outcome"], &line["upstream_tries"]), (&json!("ok"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_sends_of_a_private_message_are_not_logged_as_repeated_attempts() {
    for (replies, tries) in [(&[(202, None)][..], None), (&[(202, None), (503, None), (202, None)], Some(3))] {
        let service = ScriptedService::start(replies).await;
        let app = TestApp::with_signalr(service.port, &[JSON, ("WEBSITE_AUTH_ENABLED", "true")]);
        let request = app.message(&json!({"text": "hi", "recipient": "bob"})).header(INVOCATION_ID, "private-1");
        let response = request.header("x-ms-client-principal-name", "ann").send().await.unwrap();
        assert_eq!(response.status(), 202);
        let line = json_line(&app, "private-1");
        assert_eq!((line["outcome"].as_str(), line["upstream_tries"].as_u64()), (Some("ok"), tries));
        assert_eq!(service.calls.lock().unwrap().len() as u64, tries.unwrap_or(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_request_is_logged() {
    let mut service = ScriptedService::held().await;
    let app = TestApp::with_signalr(service.port, &[JSON]);
    let message = app.message(&json!({"text": "hi"})).header(INVOCATION_ID, "canceled-1").send();
    let message = tokio::spawn(message);
    service.next_call().await;
    message.abort();
    let line = json_line(&app, "canceled-1");
    assert_eq!((&line["outcome"], &line["operation"]), (&json!("canceled"), &json!("SendMessage")));
    assert_eq!(line.get("status"), None);
}

#[tokio::test]
async fn invalid_settings_are_logged_in_the_configured_format() {
    let app = TestApp::with_settings(&[JSON]);
    let line: Value = serde_json::from_str(&app.process.out.line("AzureSignalRConnectionString")).unwrap();
    assert_eq!(line["level"], "ERROR");
    app.post("/api/negotiate").header(INVOCATION_ID, "not-configured-1").send().await.unwrap();
    let line = json_line(&app, "not-configured-1");
    assert_eq!((&line["operation"], &line["outcome"]), (&json!("negotiate"), &json!("not_configured")));
}

#[tokio::test]
async fn an_invalid_log_format_is_reported_and_falls_back_to_plain() {
    let mut app = TestApp::with_signalr(1, &[("ChatLogFormat", "hush")]);
    let line = app.process.out.line("ChatLogFormat");
    assert!(line.starts_with("20") && line.contains("plain or json"), "{line}");
    let response = app.request(Method::POST, "/api/negotiate").send().await.unwrap();
    assert!(response.text().await.unwrap().contains("ChatLogFormat"));
    assert!(!app.stop().contains("hush"));
}

#[tokio::test]
async fn an_invalid_log_filter_is_reported_and_the_handler_runs() {
    for filter in [
        "a=b=c",
        "a=hush",
        "hush",
        "infoo",
        "warn,hush",
        "\"info\"",
        "'info'",
        "RUST_LOG",
        "%RUST_LOG%",
        "\u{feff}info",
        "@Microsoft.KeyVault(SecretUri=https://hush)",
    ] {
        let mut app = TestApp::with_signalr(1, &[("RUST_LOG", filter)]);
        app.process.out.line("RUST_LOG cannot be read");
        assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
        let out = app.stop();
        assert!(out.contains("/api/negotiate") && !out.contains("hush"), "{filter}: {out}");
    }
}

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_build_without_export_warns_if_a_collector_is_configured() {
    let collector = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush")];
    let mut app = TestApp::with_signalr(1, &collector);
    let line = app.process.out.line("OTEL_EXPORTER_OTLP_ENDPOINT");
    assert!(line.contains("WARN") && line.contains("FEATURES=otel"), "{line}");
    assert_eq!(app.post("/api/negotiate").send().await.unwrap().status(), 200);
    let out = app.stop();
    assert_eq!(out.matches("OTEL_").count(), 1, "{out}");
    assert!(!out.contains("hush"));
}
