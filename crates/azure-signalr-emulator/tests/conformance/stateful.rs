//! Clients that lose their socket and come back: nothing is missing, nothing comes twice.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, House, client_token};

const MESSAGE: &str = r#"{"type":1,"target":"t","arguments":[],"invocationId":"#;

/// Negotiates as a client that wants to be able to come back: the answer, and the path to connect to.
async fn negotiated(house: &House) -> (Value, String) {
    let query = "&negotiateVersion=1&useStatefulReconnect=true";
    let answer: Value = house.negotiate(query, &client_token(json!({}))).await.json().await.unwrap();
    let path = format!("/client/?hub=chat&id={}", answer["connectionToken"].as_str().unwrap());
    (answer, path)
}

async fn open(house: &House, path: &str) -> Client {
    house.open(path, Some(&client_token(json!({})))).await.unwrap()
}

/// A client that may come back, hands shaken.
async fn client(house: &House) -> (String, Client) {
    let (_, path) = negotiated(house).await;
    let mut client = open(house, &path).await;
    client.say("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(client.hear().await, json!({}));
    (path, client)
}

async fn say(client: &mut Client, message: &Value) {
    client.say(&format!("{message}\u{1e}")).await;
}

#[tokio::test]
async fn case_17_it_is_offered_to_who_asks_if_it_is_enabled() {
    let house = House::start().await;
    assert_eq!(negotiated(&house).await.0["useStatefulReconnect"], true);
    let unasked: Value =
        house.negotiate("&negotiateVersion=1", &client_token(json!({}))).await.json().await.unwrap();
    assert_eq!(unasked.get("useStatefulReconnect"), None);
    let house = House::with(Options { stateful_reconnect: false, ..Options::default() }).await;
    assert_eq!(negotiated(&house).await.0.get("useStatefulReconnect"), None);
}

#[tokio::test]
async fn case_84_what_was_not_acknowledged_comes_again_on_the_next_socket() {
    let house = House::start().await;
    let (path, mut first) = client(&house).await;
    for text in ["one", "two", "three"] {
        house.broadcast(text).await;
        assert_eq!(first.argument().await, text);
    }
    say(&mut first, &json!({"type": 8, "sequenceId": 1})).await;
    // An answer shows that the acknowledgement was read.
    first.say(&format!("{MESSAGE}\"i\"}}\u{1e}")).await;
    assert_eq!(first.hear().await["invocationId"], "i");
    drop(first);
    house.broadcast("four").await;

    let mut second = open(&house, &path).await;
    assert_eq!(second.hear().await, json!({"type": 9, "sequenceId": 2}));
    for text in ["two", "three"] {
        assert_eq!(second.argument().await, text);
    }
    assert_eq!(second.hear().await["invocationId"], "i");
    assert_eq!(second.argument().await, "four");
}

#[tokio::test]
async fn what_the_client_sends_again_is_not_heeded_again_and_what_is_new_is() {
    let house = House::start().await;
    let (path, mut first) = client(&house).await;
    first.say(&format!("{MESSAGE}\"1\"}}\u{1e}")).await;
    assert_eq!(first.hear().await["invocationId"], "1");
    drop(first);

    let mut second = open(&house, &path).await;
    assert_eq!(second.hear().await, json!({"type": 9, "sequenceId": 1}));
    assert_eq!(second.hear().await["invocationId"], "1");
    second.say(&format!("{MESSAGE}\"too early\"}}\u{1e}")).await;
    say(&mut second, &json!({"type": 9, "sequenceId": 1})).await;
    second.say(&format!("{MESSAGE}\"1\"}}\u{1e}{MESSAGE}\"2\"}}\u{1e}")).await;
    assert_eq!(second.hear().await["invocationId"], "2");
}

#[tokio::test]
async fn what_the_service_has_is_acknowledged_after_a_second() {
    let house = House::start().await;
    let (_, mut client) = client(&house).await;
    client.say(&format!("{MESSAGE}\"1\"}}\u{1e}{MESSAGE}\"2\"}}\u{1e}")).await;
    for id in ["1", "2"] {
        assert_eq!(client.hear().await["invocationId"], id);
    }
    assert_eq!(client.hear().await, json!({"type": 8, "sequenceId": 2}));
}

#[tokio::test]
async fn a_client_that_has_lost_count_is_closed() {
    let house = House::start().await;
    let (path, first) = client(&house).await;
    drop(first);
    let mut second = open(&house, &path).await;
    assert_eq!(second.hear().await["type"], 9);
    say(&mut second, &json!({"type": 9, "sequenceId": 7})).await;
    let (words, _) = second.last_words().await;
    let error = "Sequence ID greater than amount of messages we've received.";
    assert_eq!(words, [json!({"type": 7, "error": error})]);
}

#[tokio::test]
async fn a_new_socket_takes_the_place_of_one_that_is_still_open() {
    let house = House::start().await;
    let (path, mut first) = client(&house).await;
    let mut second = open(&house, &path).await;
    assert_eq!(first.last_words().await.0, [] as [Value; 0]);
    assert_eq!(second.hear().await, json!({"type": 9, "sequenceId": 1}));
    say(&mut second, &json!({"type": 9, "sequenceId": 1})).await;
    house.broadcast("here").await;
    assert_eq!(second.argument().await, "here");
}

#[tokio::test]
async fn a_client_that_stays_away_too_long_is_gone() {
    assert_eq!(Options::default().resume_timeout, Duration::from_secs(15));
    let house = House::with(Options { resume_timeout: Duration::ZERO, ..Options::default() }).await;
    let (path, first) = client(&house).await;
    drop(first);
    house.emptied().await;
    assert_eq!(house.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 404);
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_not_waited_for() {
    let house = House::start().await;
    let (path, mut client) = client(&house).await;
    say(&mut client, &json!({"type": 7})).await;
    client.last_words().await;
    house.emptied().await;
    assert_eq!(house.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 404);
}

#[tokio::test]
async fn case_85_who_shakes_hands_as_version_1_is_never_sent_what_only_version_2_knows() {
    let house = House::start().await;
    let (answer, path) = negotiated(&house).await;
    let mut client = open(&house, &path).await;
    client.shake_hands().await;
    client.say(&format!("{MESSAGE}\"1\"}}\u{1e}")).await;
    assert_eq!(client.hear().await["invocationId"], "1");
    assert_eq!(house.open(&path, Some(&client_token(json!({})))).await.err().unwrap().0, 409);
    drop(client);
    house.emptied().await;
    let public = answer["connectionId"].as_str().unwrap();
    let exists = format!("/api/hubs/chat/connections/{public}?api-version=2022-06-01");
    assert_eq!(house.call(Method::HEAD, &exists).send().await.unwrap().status(), 404);
}
