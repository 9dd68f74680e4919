//! Faults that strike REST calls, negotiations and clients that connect.

use std::time::{Duration, Instant};

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::panel::{SEND, delete, fault, get, post, service, struck};
use crate::support::{TestService, client_token};

async fn send(service: &TestService) -> reqwest::Response {
    service.call(Method::POST, SEND).json(&json!({"target": "t"})).send().await.unwrap()
}

#[tokio::test]
async fn a_call_is_answered_429_with_retry_after_twice_and_then_as_ever() {
    let service = service().await;
    let wish = json!({"on": "rest", "hub": "chat", "effect": "answer", "status": 429, "retryAfterSeconds": 7, "times": 2});
    fault(&service, wish).await;
    for _ in 0..2 {
        let response = send(&service).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(response.headers()["x-ms-error-code"], "Emulator.Fault");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "Emulator.Fault");
    }
    assert_eq!(send(&service).await.status(), 202);
    assert_eq!(struck(&service).await, [2]);
}

#[tokio::test]
async fn other_hubs_and_paths_are_spared() {
    let service = service().await;
    fault(&service, json!({"on": "rest", "hub": "news", "effect": "answer", "status": 500})).await;
    fault(&service, json!({"on": "rest", "path": "/api/v1/", "effect": "answer", "status": 503})).await;
    assert_eq!(send(&service).await.status(), 202);
    let v1 =
        service.call(Method::POST, "/api/v1/hubs/chat").json(&json!({"target": "t"})).send().await.unwrap();
    assert_eq!(v1.status(), 503);
    let news = "/api/hubs/NEWS/:send?api-version=2022-06-01";
    assert_eq!(service.send(news, &json!({"target": "t"})).await, 500);
}

#[tokio::test]
async fn a_refused_call_gets_no_answer_at_all() {
    let service = service().await;
    fault(&service, json!({"on": "rest", "effect": "refuse", "times": 1})).await;
    let error = service.call(Method::POST, SEND).json(&json!({"target": "t"})).send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert_eq!(send(&service).await.status(), 202);
}

#[tokio::test]
async fn a_delayed_call_is_served_later() {
    let service = service().await;
    fault(&service, json!({"on": "rest", "effect": "delay", "milliseconds": 300, "times": 1})).await;
    let start = Instant::now();
    assert_eq!(send(&service).await.status(), 202);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn negotiations_and_connects_fail_each_by_its_own_fault() {
    let service = service().await;
    fault(&service, json!({"on": "negotiate", "effect": "answer", "status": 503, "times": 1})).await;
    fault(&service, json!({"on": "connect", "hub": "chat", "effect": "answer", "status": 500, "times": 1}))
        .await;
    let token = client_token(json!({}));
    assert_eq!(service.negotiate("", &token).await.status(), 503);
    assert_eq!(service.negotiate("", &token).await.status(), 200);
    assert_eq!(service.open("/client/?hub=chat", Some(&token)).await.err().unwrap().0, 500);
    service.client().await;
}

#[tokio::test]
async fn a_browser_gets_to_see_the_fault() {
    let service = service().await;
    fault(&service, json!({"on": "negotiate", "effect": "answer", "status": 429})).await;
    let origin = "https://page.example";
    let ask = |method| service.request(method, "/client/negotiate?hub=chat").header(header::ORIGIN, origin);
    let preflight =
        ask(Method::OPTIONS).header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").send().await.unwrap();
    assert!(preflight.status().is_success());
    let answer = ask(Method::POST).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], origin);
}

#[tokio::test]
async fn faults_are_listed_and_called_off_one_by_one_or_all_at_once() {
    let service = service().await;
    let wish = json!({"on": "rest", "effect": "answer", "status": 500});
    let first = fault(&service, wish.clone()).await;
    let second = fault(&service, wish.clone()).await;
    assert_ne!(first, second);
    assert_eq!(delete(&service, &format!("/emulator/faults/{first}")).await, 204);
    assert_eq!(delete(&service, &format!("/emulator/faults/{first}")).await, 404);
    assert_eq!(delete(&service, "/emulator/faults/x").await, 404);
    assert_eq!(send(&service).await.status(), 500);
    let listed = get(&service, "/emulator/faults").await;
    assert_eq!(
        listed,
        json!({"faults": [{"id": second, "on": "rest", "effect": "answer", "status": 500, "struck": 1}]})
    );
    assert_eq!(delete(&service, "/emulator/faults").await, 204);
    assert_eq!(send(&service).await.status(), 202);
    assert_eq!(get(&service, "/emulator/faults").await, json!({"faults": []}));
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_says_why_and_a_hundred_faults_are_the_most() {
    let service = service().await;
    let refused = [
        (json!({"on": "rest", "effect": "answer", "status": 200}), "status"),
        (json!({"on": "rest", "effect": "refuse", "times": 0}), "times"),
        (json!({"on": "everything", "effect": "refuse"}), "body"),
        (json!({"on": "messages", "effect": "drop"}), "hub"),
    ];
    for (wish, target) in refused {
        let (status, answer) = post(&service, "/emulator/faults", &wish).await;
        assert_eq!((status, &answer["target"]), (400, &json!(target)), "{answer}");
    }
    let wish = json!({"on": "connect", "effect": "refuse"});
    for _ in 0..100 {
        fault(&service, wish.clone()).await;
    }
    assert_eq!(post(&service, "/emulator/faults", &wish).await.0, 409);
}
