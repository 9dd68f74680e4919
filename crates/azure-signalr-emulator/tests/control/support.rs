//! A house whose control API is there, and short ways to use it.

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::House;

pub(crate) const SEND: &str = "/api/hubs/chat/:send?api-version=2022-06-01";

pub(crate) async fn house() -> House {
    House::with(options()).await
}

pub(crate) fn options() -> Options {
    Options { control: true, ..Options::default() }
}

/// Posts to the control API: status and answer.
pub(crate) async fn post(house: &House, path: &str, body: &Value) -> (u16, Value) {
    let response = house.request(Method::POST, path).json(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

pub(crate) async fn get(house: &House, path: &str) -> Value {
    house.request(Method::GET, path).send().await.unwrap().json().await.unwrap()
}

pub(crate) async fn delete(house: &House, path: &str) -> u16 {
    house.request(Method::DELETE, path).send().await.unwrap().status().as_u16()
}

/// Asks for a fault, and returns its id.
pub(crate) async fn fault(house: &House, fault: Value) -> u64 {
    let (status, answer) = post(house, "/emulator/faults", &fault).await;
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_u64().unwrap()
}

/// How often each fault has struck.
pub(crate) async fn struck(house: &House) -> Vec<u64> {
    let faults = get(house, "/emulator/faults").await;
    faults["faults"].as_array().unwrap().iter().map(|fault| fault["struck"].as_u64().unwrap()).collect()
}

/// Does something to everyone in the hub `chat`, and returns to how many.
pub(crate) async fn everyone(house: &House, command: &str) -> u64 {
    let path = format!("/emulator/connections/{command}");
    let (status, answer) = post(house, &path, &json!({"hub": "chat"})).await;
    assert_eq!(status, 200, "{answer}");
    answer["connections"].as_u64().unwrap()
}

/// Every text of the journal's list of this name, put together.
pub(crate) async fn journal(house: &House, list: &str) -> Vec<Value> {
    get(house, &format!("/emulator/{list}")).await[list].as_array().unwrap().clone()
}
