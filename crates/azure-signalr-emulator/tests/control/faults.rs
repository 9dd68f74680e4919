//! Faults of requests and of messages.

use std::time::{Duration, Instant};

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::control_client::{SEND, TestService, applied, delete, fault, get, list, post, start};
use crate::support::client_token;

async fn send(service: &TestService) -> reqwest::Response {
    service.call(Method::POST, SEND).json(&json!({"target": "t"})).send().await.unwrap()
}

#[tokio::test]
async fn two_calls_get_429_with_retry_after_and_later_ones_succeed() {
    let service = start().await;
    let body =
        json!({"on": "rest", "hub": "chat", "effect": "answer", "status": 429, "retryAfterSeconds": 7, "times": 2});
    fault(&service, body).await;
    for _ in 0..2 {
        let response = send(&service).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(response.headers()["x-ms-error-code"], "Emulator.Fault");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "Emulator.Fault");
    }
    assert_eq!(send(&service).await.status(), 202);
    assert_eq!(applied(&service).await, [2]);
}

#[tokio::test]
async fn faults_do_not_affect_other_hubs_and_paths() {
    let service = start().await;
    fault(&service, json!({"on": "rest", "hub": "news", "effect": "answer", "status": 500})).await;
    fault(&service, json!({"on": "rest", "path": "/api/v1/", "effect": "answer", "status": 503})).await;
    assert_eq!(send(&service).await.status(), 202);
    let v1 = service.call(Method::POST, "/api/v1/hubs/chat").json(&json!({"target": "t"})).send().await.unwrap();
    assert_eq!(v1.status(), 503);
    for news in ["/api/hubs/NEWS/:send?api-version=2022-06-01", "/API/Hubs/News/:Send?api-version=2022-06-01"] {
        assert_eq!(service.send(news, &json!({"target": "t"})).await, 500, "{news}");
    }
}

#[tokio::test]
async fn a_refused_call_gets_no_response() {
    let service = start().await;
    fault(&service, json!({"on": "rest", "effect": "refuse", "times": 1})).await;
    let error = service.call(Method::POST, SEND).json(&json!({"target": "t"})).send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert_eq!(send(&service).await.status(), 202);
}

#[tokio::test]
async fn a_delayed_call_is_served_later() {
    let service = start().await;
    fault(&service, json!({"on": "rest", "effect": "delay", "milliseconds": 300, "times": 1})).await;
    let start = Instant::now();
    assert_eq!(send(&service).await.status(), 202);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn negotiate_and_connect_have_separate_faults() {
    let service = start().await;
    fault(&service, json!({"on": "negotiate", "effect": "answer", "status": 503, "times": 2})).await;
    fault(&service, json!({"on": "connect", "hub": "chat", "effect": "answer", "status": 500, "times": 1})).await;
    let token = client_token(json!({}));
    let in_capitals = service.request(Method::POST, "/CLIENT/Negotiate?hub=chat").bearer_auth(&token).send().await;
    assert_eq!(in_capitals.unwrap().status(), 503);
    assert_eq!(service.negotiate("", &token).await.status(), 503);
    assert_eq!(service.negotiate("", &token).await.status(), 200);
    assert_eq!(service.open("/client/?hub=chat", Some(&token)).await.err().unwrap().0, 500);
    service.client().await;
}

#[tokio::test]
async fn a_browser_can_read_the_response_of_a_fault() {
    let service = start().await;
    fault(&service, json!({"on": "negotiate", "effect": "answer", "status": 429})).await;
    let origin = "https://page.example";
    let ask = |method| service.request(method, "/client/negotiate?hub=chat").header(header::ORIGIN, origin);
    let preflight = ask(Method::OPTIONS).header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").send().await.unwrap();
    assert!(preflight.status().is_success());
    let answer = ask(Method::POST).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], origin);
}

#[tokio::test]
async fn faults_are_listed_and_removed_one_by_one_or_all_at_once() {
    let service = start().await;
    let body = json!({"on": "rest", "effect": "answer", "status": 500});
    let first = fault(&service, body.clone()).await;
    let second = fault(&service, body.clone()).await;
    assert_ne!(first, second);
    assert_eq!(delete(&service, &format!("/emulator/faults/{first}")).await, 204);
    assert_eq!(delete(&service, &format!("/emulator/faults/{first}")).await, 404);
    assert_eq!(delete(&service, "/emulator/faults/x").await, 404);
    assert_eq!(send(&service).await.status(), 500);
    let listed = get(&service, "/emulator/faults").await;
    let expected = json!({"id": second, "on": "rest", "effect": "answer", "status": 500, "struck": 1});
    assert_eq!(listed, json!({"faults": [expected]}));
    assert_eq!(delete(&service, "/emulator/faults").await, 204);
    assert_eq!(send(&service).await.status(), 202);
    assert_eq!(get(&service, "/emulator/faults").await, json!({"faults": []}));
}

#[tokio::test]
async fn an_invalid_fault_is_rejected_and_a_hundred_are_the_maximum() {
    let service = start().await;
    let refused = [
        (json!({"on": "rest", "effect": "answer", "status": 200}), "status"),
        (json!({"on": "rest", "effect": "refuse", "times": 0}), "times"),
        (json!({"on": "everything", "effect": "refuse"}), "body"),
        (json!({"on": "messages", "effect": "drop"}), "hub"),
    ];
    for (body, target) in refused {
        let (status, answer) = post(&service, "/emulator/faults", &body).await;
        assert_eq!((status, &answer["target"]), (400, &json!(target)), "{answer}");
    }
    let body = json!({"on": "connect", "effect": "refuse"});
    for _ in 0..100 {
        fault(&service, body.clone()).await;
    }
    assert_eq!(post(&service, "/emulator/faults", &body).await.0, 409);
}

#[tokio::test]
async fn a_message_to_a_hub_is_duplicated_for_all_clients() {
    let service = start().await;
    let (mut one, mut other) = (service.client().await, service.client().await);
    fault(&service, json!({"on": "messages", "hub": "Chat", "effect": "duplicate", "times": 1})).await;
    for text in ["a", "b"] {
        service.broadcast(text).await;
    }
    for client in [&mut one, &mut other] {
        for text in ["a", "a", "b"] {
            assert_eq!(client.receive_argument().await, text);
        }
    }
    assert_eq!(applied(&service).await, [1]);
}

#[tokio::test]
async fn two_messages_are_reordered() {
    let service = start().await;
    let mut client = service.client().await;
    fault(&service, json!({"on": "messages", "hub": "chat", "effect": "reorder", "times": 1})).await;
    for text in ["a", "b", "c"] {
        service.broadcast(text).await;
    }
    for text in ["b", "a", "c"] {
        assert_eq!(client.receive_argument().await, text);
    }
}

#[tokio::test]
async fn messages_are_dropped_until_the_fault_is_removed() {
    let service = start().await;
    let mut client = service.client().await;
    let id = fault(&service, json!({"on": "messages", "hub": "chat", "effect": "drop"})).await;
    service.broadcast("a").await;
    service.broadcast("b").await;
    assert_eq!(applied(&service).await, [2]);
    delete(&service, &format!("/emulator/faults/{id}")).await;
    service.broadcast("c").await;
    assert_eq!(client.receive_argument().await, "c");
}

#[tokio::test]
async fn a_fault_for_one_connection_does_not_affect_others() {
    let service = start().await;
    let (id, mut affected) = service.client_with_id().await;
    let mut other = service.client().await;
    let body = json!({"on": "messages", "hub": "chat", "connection": id, "effect": "drop", "times": 1});
    fault(&service, body).await;
    service.broadcast("a").await;
    service.broadcast("b").await;
    assert_eq!(affected.receive_argument().await, "b");
    for text in ["a", "b"] {
        assert_eq!(other.receive_argument().await, text);
    }
    assert_eq!(list(&service, "connections").await.len(), 2);
}
