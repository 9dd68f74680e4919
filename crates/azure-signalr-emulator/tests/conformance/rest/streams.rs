//! Items of streams to one client, and their ends.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::House;

fn path(connection: &str, operation: &str) -> String {
    let separator = if operation.contains('?') { '&' } else { '?' };
    format!("/api/hubs/chat/connections/{connection}/streams/s1/{operation}{separator}api-version=2024-12-01")
}

async fn send(house: &House, path: &str, body: &str) -> u16 {
    let call = house.call(Method::POST, path).header("content-type", "application/json");
    call.body(body.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn defect_1_items_reach_the_client_in_order_and_the_last_ends_the_stream() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    assert_eq!(send(&house, &path(&id, ":send"), r#"{"n":1.0}"#).await, 202);
    assert_eq!(send(&house, &path(&id, ":send?completed=true"), "\"last\"").await, 202);
    assert_eq!(client.hear().await, json!({"type": 2, "invocationId": "s1", "item": {"n": 1.0}}));
    assert_eq!(client.hear().await, json!({"type": 2, "invocationId": "s1", "item": "last"}));
    assert_eq!(client.hear().await, json!({"type": 3, "invocationId": "s1"}));
}

#[tokio::test]
async fn a_stream_can_end_well_or_with_a_reason() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    for (operation, completion) in [
        (":complete", json!({"type": 3, "invocationId": "s1"})),
        (":complete?reason=worn+out", json!({"type": 3, "invocationId": "s1", "error": "worn out"})),
    ] {
        let response = house.call(Method::POST, &path(&id, operation)).send().await.unwrap();
        assert_eq!(response.status(), 202);
        assert_eq!(client.hear().await, completion);
    }
}

#[tokio::test]
async fn what_is_no_item_or_for_nobody_is_refused() {
    let house = House::start().await;
    let (id, _client) = house.known_client().await;
    assert_eq!(send(&house, &path(&id, ":send"), "").await, 400);
    assert_eq!(send(&house, &path(&id, ":send"), "{").await, 400);
    assert_eq!(send(&house, &path(&id, ":send?completed=perhaps"), "1").await, 400);
    let absent = house.call(Method::POST, &path("nobody", ":complete")).send().await.unwrap();
    assert_eq!(absent.status(), 404);
    assert_eq!(absent.headers()["x-ms-error-code"], "Error.Connection.NotExisted");
    assert_eq!(absent.json::<Value>().await.unwrap()["code"], "Error.Connection.NotExisted");
}
