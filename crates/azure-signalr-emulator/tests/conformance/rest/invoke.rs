//! Calling a client and waiting for what it answers.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, House, client_token};

fn path(connection: &str) -> String {
    format!("/api/hubs/chat/connections/{connection}/:invoke?api-version=2024-12-01")
}

async fn invoke(house: &House, connection: &str) -> Response {
    let call = json!({"target": "add", "arguments": [3, 4]});
    house.call(Method::POST, &path(connection)).json(&call).send().await.unwrap()
}

/// Answers the next call with these properties.
async fn answer(client: &mut Client, answer: Value) {
    let call = client.hear_past_pings().await;
    assert_eq!((&call["target"], &call["arguments"]), (&json!("add"), &json!([3, 4])));
    let mut completion = json!({"type": 3, "invocationId": call["invocationId"]});
    completion.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
    client.say(&format!("{completion}\u{1e}")).await;
}

#[tokio::test]
async fn case_71_and_defect_1_the_caller_gets_what_the_client_answers() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    for (said, told) in [
        (json!({"result": 7}), json!({"result": 7})),
        (json!({"result": {"a": [1.0, null]}}), json!({"result": {"a": [1.0, null]}})),
        (json!({"result": null}), json!({"result": null})),
        (json!({}), json!({})),
    ] {
        let (response, ()) = tokio::join!(invoke(&house, &id), answer(&mut client, said));
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.unwrap(), told);
    }
}

#[tokio::test]
async fn case_71_a_client_that_speaks_message_pack_is_called_in_it() {
    let house = House::start().await;
    let token = client_token(json!({}));
    let (id, secret) = house.ids(&token).await;
    let mut client = house.open(&format!("/client/?hub=chat&id={secret}"), Some(&token)).await.unwrap();
    client.say("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    client.next_frame().await.unwrap();
    let answering = async {
        let Some(Message::Binary(frame)) = client.next_frame().await else { panic!("no call") };
        let call = rmpv::decode::read_value(&mut &frame[1..]).unwrap();
        let id = call[2].as_str().unwrap().to_owned();
        let completion =
            rmpv::Value::Array(vec![3.into(), rmpv::Value::Map(vec![]), id.into(), 3.into(), 42.into()]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &completion).unwrap();
        bytes.insert(0, u8::try_from(bytes.len()).unwrap());
        client.frame(Message::binary(bytes)).await;
    };
    let (response, ()) = tokio::join!(invoke(&house, &id), answering);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"result": 42}));
}

#[tokio::test]
async fn case_71_a_client_that_cannot_answer_is_an_error_with_its_words() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    let said = json!({"error": "Client didn't provide a result."});
    let (response, ()) = tokio::join!(invoke(&house, &id), answer(&mut client, said));
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-ms-error-code"], "Error.Connection.InvocationFailed");
    assert_eq!(response.json::<Value>().await.unwrap()["message"], "Client didn't provide a result.");
}

#[tokio::test]
async fn case_71_who_is_not_there_or_leaves_without_an_answer_does_not_exist() {
    let house = House::start().await;
    let absent = invoke(&house, "nobody").await;
    assert_eq!(absent.status(), 404);
    assert_eq!(absent.headers()["x-ms-error-code"], "Error.Connection.NotExisted");
    let (id, mut client) = house.known_client().await;
    let leaving = async {
        client.hear_past_pings().await;
        client.say("{\"type\":7}\u{1e}").await;
    };
    let (response, ()) = tokio::join!(invoke(&house, &id), leaving);
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn a_client_that_never_answers_is_waited_for_no_longer_than_that() {
    let options = Options { result_timeout: Duration::from_millis(50), ..Options::default() };
    let house = House::with(options).await;
    let (id, _silent) = house.known_client().await;
    let response = invoke(&house, &id).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-ms-error-code"], "Error.Connection.TimedOut");
}

#[tokio::test]
async fn a_framed_body_has_no_room_for_the_id_of_a_call() {
    let house = House::start().await;
    let (id, _client) = house.known_client().await;
    let call = house.call(Method::POST, &path(&id)).header("content-type", "application/octet-stream");
    assert_eq!(call.body(vec![0x80]).send().await.unwrap().status(), 415);
}
