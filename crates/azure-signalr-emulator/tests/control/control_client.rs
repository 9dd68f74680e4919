//! An emulator with the control API, and functions to call it.

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) use crate::support::TestService;

pub(crate) const SEND: &str = "/api/hubs/chat/:send?api-version=2022-06-01";

pub(crate) async fn start() -> TestService {
    TestService::with(options()).await
}

pub(crate) fn options() -> Options {
    Options { control: true, ..Options::default() }
}

/// Posts to the control API, and returns the status and the body.
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

/// Adds a fault, and returns its id.
pub(crate) async fn fault(service: &TestService, fault: Value) -> u64 {
    let (status, answer) = post(service, "/emulator/faults", &fault).await;
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_u64().unwrap()
}

/// How often each fault was applied.
pub(crate) async fn applied(service: &TestService) -> Vec<u64> {
    let faults = get(service, "/emulator/faults").await;
    faults["faults"].as_array().unwrap().iter().map(|fault| fault["struck"].as_u64().unwrap()).collect()
}

/// Executes an action on all connections of the hub `chat`, and returns their number.
pub(crate) async fn act_on_all(service: &TestService, action: &str) -> u64 {
    let path = format!("/emulator/connections/{action}");
    let (status, answer) = post(service, &path, &json!({"hub": "chat"})).await;
    assert_eq!(status, 200, "{answer}");
    answer["connections"].as_u64().unwrap()
}

/// The entries of a list of the control API.
pub(crate) async fn list(service: &TestService, name: &str) -> Vec<Value> {
    get(service, &format!("/emulator/{name}")).await[name].as_array().unwrap().clone()
}
