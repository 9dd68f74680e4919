//! What is logged, and what must never be. The host shows standard output as information and standard error as errors.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::scripted_service::Service;
use test_support::process::Output;

use crate::test_app::{House, KEY};

const ID: &str = "x-azure-functions-invocationid";
const NAME: &str = "x-ms-client-principal-name";
const JSON: (&str, &str) = ("ChatLogFormat", "json");

/// The lines of one invocation.
fn lines(printed: &Output, id: &str) -> Vec<String> {
    printed.text().lines().filter(|line| line.contains(id)).map(str::to_owned).collect()
}

/// The one line of a request, as soon as it is there.
fn object(house: &House, id: &str) -> Value {
    let line = house.handler.out.line(id);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn cases_17_18_33_and_60_a_line_a_request_with_the_invocation_id_and_no_secret() {
    for format in ["plain", "json"] {
        let variables = [("WEBSITE_AUTH_ENABLED", "true"), ("RUST_LOG", "trace"), ("ChatLogFormat", format)];
        let mut house = House::before(1, &variables);
        let spoofed = house.post("/api/negotiate?code=SECRET-1").header(ID, "spoof").header(ID, "real-7");
        let secrets = [
            ("authorization", "Bearer SECRET-2"),
            ("cookie", "AppServiceAuthSession=SECRET-3"),
            ("x-zumo-auth", "SECRET-4"),
            ("x-ms-token-aad-id-token", "SECRET-5"),
            ("x-functions-key", "SECRET-6"),
            ("tracestate", "vendor=SECRET-8"),
            (NAME, "SECRET-9"),
        ];
        let request = secrets.iter().fold(spoofed, |request, (name, value)| request.header(*name, *value));
        let token = request.send().await.unwrap().text().await.unwrap();
        // The service is not there, so this one fails, with causes.
        let draft = json!({"text": "SECRET-7", "recipient": "SECRET-10"});
        house.message(&draft).header(NAME, "SECRET-9").send().await.unwrap();
        house.handler.signal("TERM");
        house.handler.end();

        let out = house.handler.out.text();
        assert_eq!(house.handler.err.text(), "");
        assert!(out.contains("real-7") && !out.contains("spoof"), "{out}");
        assert!(out.contains("/api/negotiate"), "{out}");
        assert!(out.contains("the SignalR service cannot be reached"), "{out}");
        for secret in ["SECRET", KEY, &token, "eyJ", "code="] {
            assert!(!out.contains(secret), "{secret} in {out}");
        }
        let begins = if format == "json" { "{\"timestamp\":\"20" } else { "20" };
        assert!(out.lines().all(|line| line.starts_with(begins)), "a line without its time in {out}");
        if format == "json" {
            out.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_request_is_one_line_that_says_what_it_was_and_what_came_of_it() {
    let rejecting = Service::start(&[(400, None)]).await;
    let connection = rejecting.connection();
    let houses = ["plain", "json"].map(|format| {
        let signalr = ("AzureSignalRConnectionString", connection.as_str());
        House::with(&[signalr, ("ChatLogFormat", format), ("RUST_LOG", "info,serverless_chat=debug")])
    });
    let post = |path: &'static str| move |house: &House| house.post(path);
    let get = |path: &'static str| move |house: &House| house.get(path);
    let draft = |draft: Value| move |house: &House| house.message(&draft);
    type Ask = Box<dyn Fn(&House) -> RequestBuilder>;
    let kinds: [(Ask, &str, u16, &str); 11] = [
        (Box::new(post("/api/negotiate?negotiateVersion=1")), "negotiate", 200, "ok"),
        (Box::new(post("/API/Negotiate/")), "negotiate", 200, "ok"),
        (Box::new(get("/api/SignalRInfo")), "SignalRInfo", 200, "ok"),
        (Box::new(get("/api/messages")), "SendMessage", 405, "method_not_allowed"),
        (Box::new(post("/api/messages")), "SendMessage", 415, "unsupported_media_type"),
        (Box::new(draft(json!({}))), "SendMessage", 400, "invalid_message"),
        (Box::new(draft(json!({"text": "x".repeat(70_000)}))), "SendMessage", 413, "too_large"),
        (Box::new(draft(json!({"text": "hi"}))), "SendMessage", 502, "upstream_rejected"),
        (Box::new(post("/api/access-token")), "AccessToken", 404, "not_found"),
        (Box::new(get("/api/made-up-by-a-caller")), "unmatched", 404, "not_found"),
        (Box::new(get("/")), "probe", 200, "ok"),
    ];
    for (number, (ask, operation, status, outcome)) in kinds.iter().enumerate() {
        let id = format!("invocation-{number}-");
        for house in &houses {
            assert_eq!(ask(house).header(ID, &id).send().await.unwrap().status(), *status);
        }
        let [plain, json] = &houses;
        let line = plain.handler.out.line(&id);
        for field in [
            format!("operation=\"{operation}\""),
            format!("status={status} outcome=\"{outcome}\" duration_ms="),
        ] {
            assert!(line.contains(&field), "{field} in {line}");
        }
        let object = object(json, &id);
        let facts = (&object["operation"], &object["status"], &object["outcome"], &object["invocation_id"]);
        assert_eq!(facts, (&json!(operation), &json!(status), &json!(outcome), &json!(id)));
        assert!(object["duration_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(object.get("upstream_ms").is_some(), *outcome == "upstream_rejected");
        assert_eq!(object.get("upstream_tries"), None);
    }
    for house in &houses {
        // What comes last is there, so everything is.
        assert!(
            (0..kinds.len())
                .all(|number| lines(&house.handler.out, &format!("invocation-{number}-")).len() == 1)
        );
    }
}

#[tokio::test]
async fn an_object_is_flat_and_has_the_keys_that_queries_ask_for() {
    let house = House::before(1, &[JSON]);
    let started: Value = serde_json::from_str(&house.handler.out.line("listening on")).unwrap();
    assert_eq!(keys(&started), ["level", "message", "timestamp"]);
    house.post("/api/negotiate").header(ID, "fine-1").send().await.unwrap();
    let request = [
        "duration_ms",
        "invocation_id",
        "level",
        "message",
        "method",
        "operation",
        "outcome",
        "path",
        "status",
        "timestamp",
    ];
    assert_eq!(keys(&object(&house, "fine-1")), request);
    house.message(&json!({"text": "hi"})).header(ID, "failed-1").send().await.unwrap();
    let failed = object(&house, "failed-1");
    let more = ["cause", "upstream_ms", "upstream_tries"];
    assert!(request.iter().chain(&more).all(|key| failed.get(*key).is_some()), "{failed}");
    assert!(failed.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array()));
    assert_eq!((&failed["level"], &failed["upstream_tries"]), (&json!("ERROR"), &json!(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_the_service_took_is_told_apart_from_ours() {
    let mut service = Service::held().await;
    let house = House::before(service.port, &[JSON]);
    let message = house.message(&json!({"text": "hi"})).header(ID, "slow-1").send();
    let message = tokio::spawn(message);
    let arrived = service.next_call().await;
    house.post("/api/negotiate").header(ID, "quick-1").send().await.unwrap();
    let held = arrived.elapsed();
    service.release();
    assert_eq!(message.await.unwrap().unwrap().status(), 202);

    let slow = object(&house, "slow-1");
    let (upstream, whole) = (slow["upstream_ms"].as_f64().unwrap(), slow["duration_ms"].as_f64().unwrap());
    assert!(upstream >= held.as_secs_f64() * 1_000.0 && whole >= upstream, "{slow}, held for {held:?}");
    assert_eq!(slow.get("upstream_tries"), None);
    assert_eq!(object(&house, "quick-1").get("upstream_ms"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_are_counted_when_there_was_more_than_one() {
    let service = Service::start(&[(503, None), (503, None), (202, None)]).await;
    let house = House::before(service.port, &[JSON]);
    let response = house.message(&json!({"text": "hi"})).header(ID, "again-1").send().await.unwrap();
    assert_eq!(response.status(), 202);
    let line = object(&house, "again-1");
    assert_eq!((&line["outcome"], &line["upstream_tries"]), (&json!("ok"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_caller_goes_away_is_a_line_too() {
    let mut service = Service::held().await;
    let house = House::before(service.port, &[JSON]);
    let message = house.message(&json!({"text": "hi"})).header(ID, "gone-1").send();
    let message = tokio::spawn(message);
    service.next_call().await;
    message.abort();
    let line = object(&house, "gone-1");
    assert_eq!((&line["outcome"], &line["operation"]), (&json!("canceled"), &json!("SendMessage")));
    assert_eq!(line.get("status"), None);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_in_the_form_that_was_asked_for() {
    let house = House::with(&[JSON]);
    let told: Value = serde_json::from_str(&house.handler.out.line("AzureSignalRConnectionString")).unwrap();
    assert_eq!(told["level"], "ERROR");
    house.post("/api/negotiate").header(ID, "useless-1").send().await.unwrap();
    let line = object(&house, "useless-1");
    assert_eq!((&line["operation"], &line["outcome"]), (&json!("negotiate"), &json!("not_configured")));
}

#[tokio::test]
async fn a_form_that_is_none_is_named_and_the_log_is_for_people() {
    let house = House::before(1, &[("ChatLogFormat", "hush")]);
    let line = house.handler.out.line("ChatLogFormat");
    assert!(line.starts_with("20") && line.contains("plain or json"), "{line}");
    let response = house.request(Method::POST, "/api/negotiate").send().await.unwrap();
    assert!(response.text().await.unwrap().contains("ChatLogFormat"));
    assert!(!house.handler.out.text().contains("hush"));
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_told_and_does_not_stop_the_app() {
    let house = House::before(1, &[("RUST_LOG", "a=b=c")]);
    house.handler.out.line("RUST_LOG cannot be read");
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
}

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_build_that_exports_nothing_says_so_to_who_asked_for_it() {
    let collector =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=hush")];
    let mut house = House::before(1, &collector);
    let line = house.handler.out.line("OTEL_EXPORTER_OTLP_ENDPOINT");
    assert!(line.contains("WARN") && line.contains("FEATURES=otel"), "{line}");
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
    house.handler.signal("TERM");
    house.handler.end();
    let out = house.handler.out.text();
    assert_eq!(out.matches("OTEL_").count(), 1, "{out}");
    assert!(!out.contains("hush"));
}
