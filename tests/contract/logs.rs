//! What is logged, and what must never be. The host shows standard output as information and standard error as errors.

use serde_json::json;

use crate::support::{House, KEY};

#[tokio::test]
async fn cases_17_18_33_and_60_a_line_a_request_with_the_invocation_id_and_no_secret() {
    let mut house = House::before(1, &[("WEBSITE_AUTH_ENABLED", "true"), ("RUST_LOG", "trace")]);
    let spoofed = house.post("/api/negotiate?code=SECRET-1");
    let spoofed = spoofed
        .header("x-azure-functions-invocationid", "spoof")
        .header("x-azure-functions-invocationid", "real-7");
    let secrets = [
        ("authorization", "Bearer SECRET-2"),
        ("cookie", "AppServiceAuthSession=SECRET-3"),
        ("x-zumo-auth", "SECRET-4"),
        ("x-ms-token-aad-id-token", "SECRET-5"),
        ("x-functions-key", "SECRET-6"),
        ("x-ms-client-principal-name", "ann"),
    ];
    let request = secrets.iter().fold(spoofed, |request, (name, value)| request.header(*name, *value));
    let token = request.send().await.unwrap().text().await.unwrap();
    // The service is not there, so this one fails, with causes.
    house.message(&json!({"text": "SECRET-7"})).send().await.unwrap();
    house.handler.signal("TERM");
    house.handler.end();

    let out = house.handler.out.text();
    assert_eq!(house.handler.err.text(), "");
    assert!(out.contains("real-7") && !out.contains("spoof"), "{out}");
    assert!(out.contains("/api/negotiate") && out.contains("the SignalR service cannot be reached"), "{out}");
    for secret in ["SECRET", KEY, &token, "eyJ", "code="] {
        assert!(!out.contains(secret), "{secret} in {out}");
    }
    assert!(out.lines().all(|line| line.starts_with("20")), "a line without its time in {out}");
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_told_and_does_not_stop_the_app() {
    let house = House::before(1, &[("RUST_LOG", "a=b=c")]);
    house.handler.out.line("RUST_LOG cannot be read");
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 200);
}
