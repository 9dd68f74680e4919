//! `:invoke`: results, errors and time-outs of clients.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, TestService, client_token};

fn path(connection: &str) -> String {
    format!("/api/hubs/chat/connections/{connection}/:invoke?api-version=2024-12-01")
}

async fn invoke(service: &TestService, connection: &str) -> Response {
    let call = json!({"target": "add", "arguments": [3, 4]});
    service.call(Method::POST, &path(connection)).json(&call).send().await.unwrap()
}

/// Completes the next invocation with these properties.
async fn answer(client: &mut Client, answer: Value) {
    let call = client.receive_past_pings().await;
    assert_eq!((&call["target"], &call["arguments"]), (&json!("add"), &json!([3, 4])));
    let mut completion = json!({"type": 3, "invocationId": call["invocationId"]});
    completion.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
    client.send_text(&format!("{completion}\u{1e}")).await;
}

#[tokio::test]
async fn case_71_and_defect_1_the_caller_gets_the_result_of_the_client() {
    let (service, id, mut client) = TestService::with_client_id().await;
    for (returned, expected) in [
        (json!({"result": 7}), json!({"result": 7})),
        (json!({"result": {"a": [1.0, null]}}), json!({"result": {"a": [1.0, null]}})),
        (json!({"result": null}), json!({"result": null})),
        (json!({}), json!({})),
    ] {
        let (response, ()) = tokio::join!(invoke(&service, &id), answer(&mut client, returned));
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn case_71_a_message_pack_client_is_invoked_in_message_pack() {
    let service = TestService::start().await;
    let token = client_token(json!({}));
    let (id, secret) = service.negotiated_ids(&token).await;
    let mut client = service.open(&format!("/client/?hub=chat&id={secret}"), Some(&token)).await.unwrap();
    client.send_text("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    client.next_frame().await.unwrap();
    let answering = async {
        let Some(Message::Binary(frame)) = client.next_frame().await else { panic!("no call") };
        let call = rmpv::decode::read_value(&mut &frame[1..]).unwrap();
        let id = call[2].as_str().unwrap().to_owned();
        let completion = rmpv::Value::Array(vec![3.into(), rmpv::Value::Map(vec![]), id.into(), 3.into(), 42.into()]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &completion).unwrap();
        bytes.insert(0, u8::try_from(bytes.len()).unwrap());
        client.send_frame(Message::binary(bytes)).await;
    };
    let (response, ()) = tokio::join!(invoke(&service, &id), answering);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"result": 42}));
}

#[tokio::test]
async fn case_71_an_error_of_the_client_is_400_with_its_message() {
    let (service, id, mut client) = TestService::with_client_id().await;
    let returned = json!({"error": "Client didn't provide a result."});
    let (response, ()) = tokio::join!(invoke(&service, &id), answer(&mut client, returned));
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-ms-error-code"], "Error.Connection.InvocationFailed");
    assert_eq!(response.json::<Value>().await.unwrap()["message"], "Client didn't provide a result.");
}

#[tokio::test]
async fn case_71_a_missing_or_leaving_connection_is_404() {
    let service = TestService::start().await;
    let absent = invoke(&service, "unknown").await;
    assert_eq!(absent.status(), 404);
    assert_eq!(absent.headers()["x-ms-error-code"], "Error.Connection.NotExisted");
    let (id, mut client) = service.client_with_id().await;
    let leaving = async {
        client.receive_past_pings().await;
        client.send_text("{\"type\":7}\u{1e}").await;
    };
    let (response, ()) = tokio::join!(invoke(&service, &id), leaving);
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn the_wait_for_a_result_is_limited() {
    let options = Options { result_timeout: Duration::from_millis(50), ..Options::default() };
    let service = TestService::with(options).await;
    let (id, _silent) = service.client_with_id().await;
    let response = invoke(&service, &id).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-ms-error-code"], "Error.Connection.TimedOut");
}

#[tokio::test]
async fn a_framed_body_cannot_be_invoked() {
    let (service, id, _client) = TestService::with_client_id().await;
    let call = service.call(Method::POST, &path(&id)).header("content-type", "application/octet-stream");
    assert_eq!(call.body(vec![0x80]).send().await.unwrap().status(), 415);
}
