//! Paths: everything the host lets through leads where it should, and nothing else leads anywhere.

use reqwest::Method;
use serde_json::Value;

use crate::test_app::{House, refusal};

#[tokio::test]
async fn cases_19_and_20_the_host_forgives_case_and_a_slash_and_so_do_we() {
    let house = House::start();
    for path in
        ["/api/negotiate", "/API/Negotiate", "/api/negotiate/", "/api/SignalRInfo", "/api/signalrinfo/"]
    {
        assert_eq!(house.post(path).send().await.unwrap().status(), 200, "{path}");
    }
    assert_eq!(house.get("/api/SignalRInfo").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn case_21_envelopes_are_answered_with_the_setting_that_ends_them() {
    let house = House::start();
    for path in ["/negotiate", "/SendMessage", "/SignalRInfo", "/AccessToken"] {
        let response =
            house.post(path).json(&serde_json::json!({"Data": {}, "Metadata": {}})).send().await.unwrap();
        assert_eq!(response.status(), 500);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "not_forwarded");
        assert!(body["error"]["message"].as_str().unwrap().contains("enableForwardingHttpRequest"));
    }
}

#[tokio::test]
async fn case_22_what_is_not_there_is_404_and_the_wrong_method_is_405_with_the_right_ones() {
    let house = House::start();
    for path in [
        "/api",
        "/api/negotiate/x",
        "/api/negotiate//",
        "/client/negotiate",
        "/api/hubs/chat/:send",
        "/.auth/me",
    ] {
        assert_eq!(
            refusal(house.post(path).send().await.unwrap()).await,
            (404, "not_found".to_owned()),
            "{path}"
        );
    }
    for (method, path, allowed) in [
        (Method::GET, "/api/negotiate", "POST"),
        (Method::PUT, "/api/messages", "POST"),
        (Method::DELETE, "/api/SignalRInfo", "GET,HEAD,POST"),
        (Method::GET, "/api/access-token", "POST,DELETE"),
    ] {
        let response = house.request(method, path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allowed, "{path}");
        assert_eq!(refusal(response).await, (405, "method_not_allowed".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn case_23_another_prefix_moves_every_route() {
    let prefix = [("AzureFunctionsJobHost__extensions__http__routePrefix", "V2/chat")];
    let house = House::before(1, &prefix);
    assert_eq!(house.post("/v2/chat/negotiate").send().await.unwrap().status(), 200);
    assert_eq!(house.post("/api/negotiate").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn case_24_a_path_that_is_none_is_the_callers_mistake() {
    let house = House::start();
    let raw = |path: &str| {
        house.raw(format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes())
    };
    for path in ["/api/%zz", "/api/negotiate%", "/%2"] {
        assert!(raw(path).starts_with("HTTP/1.1 400"), "{path}");
    }
    assert!(raw("/api/n%C3%A9gotiate").starts_with("HTTP/1.1 404"));
    assert_eq!(house.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn case_25_head_is_get_without_a_body() {
    let response = House::start().request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());
}
