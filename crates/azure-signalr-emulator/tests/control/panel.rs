//! A service whose control API is there, and short ways to use it.

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestService;

pub(crate) const SEND: &str = "/api/hubs/chat/:send?api-version=2022-06-01";

pub(crate) async fn service() -> TestService {
    TestService::with(options()).await
}

pub(crate) fn options() -> Options {
    Options { control: true, ..Options::default() }
}

/// Posts to the control API: status and answer.
pub(crate) async fn post(service: &TestService, path: &str, body: &Value) -> (u16, Value) {
    let response = service.request(Method::POST, path).json(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

pub(crate) async fn get(service: &TestService, path: &str) -> Value {
    service.request(Method::GET, path).send().await.unwrap().json().await.unwrap()
}

pub(crate) async fn delete(service: &TestService, path: &str) -> u16 {
    service.request(Method::DELETE, path).send().await.unwrap().status().as_u16()
}

/// Asks for a fault, and returns its id.
pub(crate) async fn fault(service: &TestService, fault: Value) -> u64 {
    let (status, answer) = post(service, "/emulator/faults", &fault).await;
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_u64().unwrap()
}

/// How often each fault has struck.
pub(crate) async fn struck(service: &TestService) -> Vec<u64> {
    let faults = get(service, "/emulator/faults").await;
    faults["faults"].as_array().unwrap().iter().map(|fault| fault["struck"].as_u64().unwrap()).collect()
}

/// Does something to everyone in the hub `chat`, and returns to how many.
pub(crate) async fn everyone(service: &TestService, command: &str) -> u64 {
    let path = format!("/emulator/connections/{command}");
    let (status, answer) = post(service, &path, &json!({"hub": "chat"})).await;
    assert_eq!(status, 200, "{answer}");
    answer["connections"].as_u64().unwrap()
}

/// Every text of the journal's list of this name, put together.
pub(crate) async fn journal(service: &TestService, list: &str) -> Vec<Value> {
    get(service, &format!("/emulator/{list}")).await[list].as_array().unwrap().clone()
}
