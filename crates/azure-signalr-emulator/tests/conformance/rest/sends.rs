//! Who receives what callers send.

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{api, heard, hello, status, tell_group};
use crate::support::{Client, House, client_token};

async fn post(house: &House, body: impl Into<reqwest::Body>, content_type: &str) -> Response {
    let request = house.call(Method::POST, &api("hubs/chat/:send")).header("content-type", content_type);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn case_45_everyone_in_the_hub_gets_it_once_and_no_other_hub_does() {
    let house = House::start().await;
    let spelled_otherwise = client_token(json!({"aud": "http://localhost/client/?hub=CHAT"}));
    let elsewhere = client_token(json!({"aud": "http://localhost/client/?hub=other"}));
    let mut here = [house.client().await, house.client_of("/client/?hub=CHAT", &spelled_otherwise).await];
    let mut other = house.client_of("/client/?hub=other", &elsewhere).await;
    assert_eq!(house.send(&api("hubs/Chat/:send"), &hello("x")).await, 202);
    house.broadcast("end").await;
    assert_eq!(house.send(&api("hubs/other/:send"), &hello("other")).await, 202);
    for client in &mut here {
        assert_eq!(client.hear().await, json!({"type": 1, "target": "t", "arguments": ["x"]}));
        assert_eq!(client.argument().await, "end");
    }
    assert_eq!(other.argument().await, "other");
}

#[tokio::test]
async fn case_46_capitals_and_chunks_make_no_difference() {
    let house = House::start().await;
    let mut client = house.client().await;
    let chunks = ["{\"Target\":\"t\",", "\"Arguments\":[\"x\"]}"].map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_eq!(post(&house, body, "application/json; charset=utf-8").await.status(), 202);
    assert_eq!(client.argument().await, "x");
}

#[tokio::test]
async fn case_47_and_defect_9_any_number_of_arguments_is_delivered() {
    let house = House::start().await;
    let mut client = house.client().await;
    let twelve: Vec<_> = (0..12).collect();
    for (message, expected) in [
        (json!({"target": "t"}), json!([])),
        (json!({"target": "t", "arguments": null}), json!([])),
        (json!({"target": "t", "arguments": []}), json!([])),
        (json!({"target": "t", "arguments": twelve}), json!(twelve)),
    ] {
        assert_eq!(house.send(&api("hubs/chat/:send"), &message).await, 202);
        assert_eq!(client.hear().await["arguments"], expected);
    }
}

#[tokio::test]
async fn case_48_who_is_excluded_gets_nothing() {
    let house = House::start().await;
    let (first, mut one) = house.known_client().await;
    let (second, mut two) = house.known_client().await;
    let mut three = house.client().await;
    let path = api(&format!("hubs/chat/:send?excluded={first}&excluded={second}"));
    assert_eq!(house.send(&path, &hello("not for all")).await, 202);
    house.broadcast("for all").await;
    assert_eq!(three.argument().await, "not for all");
    for client in [&mut one, &mut two, &mut three] {
        assert_eq!(client.argument().await, "for all");
    }
}

#[tokio::test]
async fn case_49_the_first_api_sends_without_a_verb() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    let mut alice = house.user("alice").await;
    assert_eq!(house.send("/api/v1/hubs/chat", &hello("all")).await, 202);
    assert_eq!(house.send("/api/v1/hubs/chat/users/alice", &hello("user")).await, 202);
    assert_eq!(house.send(&format!("/api/v1/hubs/chat/connections/{id}"), &hello("connection")).await, 202);
    for (client, second) in [(&mut client, "connection"), (&mut alice, "user")] {
        assert_eq!(client.argument().await, "all");
        assert_eq!(client.argument().await, second);
    }
}

#[tokio::test]
async fn case_50_a_user_gets_it_on_every_connection_and_nobody_else_does() {
    let house = House::start().await;
    let mut alice = [house.user("alice").await, house.user("alice").await];
    let mut others = [house.user("Alice").await, house.client().await];
    assert_eq!(house.send(&api("hubs/chat/users/alice/:send"), &hello("private")).await, 202);
    assert_eq!(house.send(&api("hubs/chat/users/unknown/:send"), &hello("nobody")).await, 202);
    house.broadcast("public").await;
    for client in &mut alice {
        assert_eq!(client.argument().await, "private");
        assert_eq!(client.argument().await, "public");
    }
    for client in &mut others {
        assert_eq!(client.argument().await, "public");
    }
}

#[tokio::test]
async fn case_51_and_defect_11_a_connection_gets_every_value_as_it_was_written() {
    let house = House::start().await;
    let (id, mut client) = house.known_client().await;
    let arguments = r#"[1,-0.0,1.0,1e3,12345678901234567890,3.141592653589793238462643,"é😀\u00e9","2020-01-01T00:00:00+02:00",{"b":1,"a":[[null,true]]}]"#;
    let body = format!(r#"{{"target":"t","arguments":{arguments}}}"#);
    let request = house.call(Method::POST, &api(&format!("hubs/chat/connections/{id}/:send")));
    let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let frame = client.next_frame().await.unwrap().into_text().unwrap();
    assert_eq!(frame.as_str(), format!("{{\"type\":1,\"target\":\"t\",\"arguments\":{arguments}}}\u{1e}"));
}

#[tokio::test]
async fn a_connection_that_is_not_there_is_no_error() {
    let house = House::start().await;
    assert_eq!(house.send(&api("hubs/chat/connections/unknown/:send"), &hello("x")).await, 202);
}

#[tokio::test]
async fn case_52_a_group_gets_it_but_for_who_is_excluded() {
    let house = House::start().await;
    let (one, mut first) = house.known_client().await;
    let (two, mut second) = house.known_client().await;
    let mut outside = house.client().await;
    for id in [&one, &two] {
        let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
        assert_eq!(status(&house, Method::PUT, &path).await, 200);
    }
    tell_group(&house, "g", "members").await;
    assert!(heard(&mut first, "members").await && heard(&mut second, "members").await);
    assert!(!heard(&mut outside, "members").await);
    assert_eq!(house.send("/api/v1/hubs/chat/groups/g", &hello("v1")).await, 202);
    let path = api(&format!("hubs/chat/groups/g/:send?excluded={one}"));
    assert_eq!(house.send(&path, &hello("two only")).await, 202);
    house.broadcast("end").await;
    for (client, expected) in
        [(&mut first, ["v1", "end"].as_slice()), (&mut second, &["v1", "two only", "end"])]
    {
        for text in expected {
            assert_eq!(client.argument().await, *text);
        }
    }
}

#[tokio::test]
async fn a_group_of_nobody_is_no_error() {
    let house = House::start().await;
    assert_eq!(house.send(&api("hubs/chat/groups/unknown/:send"), &hello("x")).await, 202);
}

#[tokio::test]
async fn case_53_an_application_reaches_its_own_clients_only() {
    let house = House::start().await;
    let token = client_token(json!({"aud": "http://localhost/client/?hub=app_chat"}));
    let mut inside = house.client_of("/client/?hub=app_chat", &token).await;
    let mut outside = house.client().await;
    assert_eq!(house.send(&api("hubs/chat/:send?application=App"), &hello("app")).await, 202);
    house.broadcast("no app").await;
    assert_eq!(inside.argument().await, "app");
    assert_eq!(outside.argument().await, "no app");
}

#[tokio::test]
async fn case_54_a_body_must_be_a_message() {
    let house = House::start().await;
    for body in
        ["", "x", "{}", "[]", r#"{"target":""}"#, r#"{"arguments":[]}"#, r#"{"target":"t","arguments":1}"#]
    {
        let response = post(&house, body, "application/json").await;
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(response.headers()["x-ms-error-code"], "Error.Request.Invalid");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["code"], "Error.Request.Invalid");
        assert!(answer["message"].is_string() && answer["target"].is_string(), "{answer}");
    }
    assert_eq!(post(&house, r#"{"target":"t"}"#, "text/plain").await.status(), 415);
}

#[tokio::test]
async fn a_refused_body_is_not_repeated() {
    let house = House::start().await;
    let response = post(&house, r#"{"target":{"hush":"hush"},"arguments":"hush"}"#, "application/json").await;
    assert_eq!(response.status(), 400);
    assert!(!response.text().await.unwrap().contains("hush"));
}

/// A MessagePack map with one entry.
fn map_of(protocol: &str, frame: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let name = [&[0xa0 | length(protocol.as_bytes())], protocol.as_bytes()].concat();
    [&[0x81], name.as_slice(), &[0xc4, length(frame)], frame].concat()
}

#[tokio::test]
async fn case_55_and_defect_8_a_message_that_is_framed_already_is_passed_on_as_it_is() {
    let house = House::start().await;
    let mut client = house.client().await;
    let record = "{\"type\":1,\"target\":\"t\",\"arguments\":[\"framed\"], \"spaced\": 1}\u{1e}";
    for (protocol, frame) in [("messagepack", HI), ("other", b"x"), ("json", record.as_bytes())] {
        let response = post(&house, map_of(protocol, frame), "application/octet-stream").await;
        assert_eq!(response.status(), 202, "{protocol}");
    }
    house.broadcast("end").await;
    assert_eq!(client.next_frame().await.unwrap().into_text().unwrap().as_str(), record);
    assert_eq!(client.argument().await, "end");
}

/// A call of `hi` with the argument `x`, as MessagePack clients read it.
const HI: &[u8] = b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90";

/// A client of the hub `chat` that speaks MessagePack, hands shaken.
async fn messagepack_client(house: &House) -> Client {
    let mut client = house.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
    client.say("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    assert_eq!(client.next_frame().await.unwrap().into_data(), "{}\u{1e}");
    client
}

#[tokio::test]
async fn case_51_one_message_reaches_clients_of_either_protocol() {
    let house = House::start().await;
    let (mut json_client, mut messagepack_client) = (house.client().await, messagepack_client(&house).await);
    let message = json!({"target": "hi", "arguments": ["x"]});
    assert_eq!(house.send(&api("hubs/chat/:send"), &message).await, 202);
    assert_eq!(json_client.argument().await, "x");
    assert_eq!(messagepack_client.next_frame().await.unwrap().into_data(), HI);
}

#[tokio::test]
async fn case_55_each_client_gets_what_is_framed_for_its_own_protocol() {
    let house = House::start().await;
    let (mut json_client, mut messagepack_client) = (house.client().await, messagepack_client(&house).await);
    let record = b"{\"type\":1,\"target\":\"t\",\"arguments\":[\"json\"]}\x1e";
    let both = [&[0x82], &map_of("json", record)[1..], &map_of("messagepack", HI)[1..]].concat();
    let json_only = map_of("json", record);
    for body in [json_only, both] {
        assert_eq!(post(&house, body, "application/octet-stream").await.status(), 202);
        assert_eq!(json_client.argument().await, "json");
    }
    assert_eq!(messagepack_client.next_frame().await.unwrap().into_data(), HI);
}

#[tokio::test]
async fn a_map_of_anything_but_one_message_each_is_refused() {
    let house = House::start().await;
    for body in [
        Vec::new(),
        b"{}".to_vec(),
        map_of("json", b"{}"),
        map_of("json", b"{\"type\":1,\"target\":\"t\",\"arguments\":[]}"),
        map_of("messagepack", b"\x02\x91"),
    ] {
        let response = post(&house, body.clone(), "application/octet-stream").await;
        assert_eq!(response.status(), 400, "{body:?}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], "payload");
    }
}

#[tokio::test]
async fn a_kind_of_body_that_is_not_taken_is_told_which_are() {
    let house = House::start().await;
    let response = post(&house, "x", "application/x-msgpack").await;
    assert_eq!(response.status(), 415);
    let words: Value = response.json().await.unwrap();
    assert!(words["message"].as_str().unwrap().contains("application/octet-stream"), "{words}");
    for path in ["/api/v1/hubs/chat", "/api/hubs/chat/:send?api-version=2020-10-01"] {
        let request = house.call(Method::POST, path).header("content-type", "application/octet-stream");
        let response = request.body(map_of("other", b"x")).send().await.unwrap();
        assert_eq!(response.status(), 415, "{path}");
        assert!(response.text().await.unwrap().contains("application/json"));
    }
}

#[tokio::test]
async fn case_57_a_segment_is_decoded_once_and_after_routing() {
    let house = House::start().await;
    for user in ["a/b", "a b+c", "50%", "a%2Fb", "é/:send", "a?b#c"] {
        let mut client = house.user(user).await;
        let mut path = url(&house);
        path.path_segments_mut().unwrap().extend(["api", "hubs", "chat", "users", user, ":send"]);
        let path = api(path.path().strip_prefix("/api/").unwrap());
        assert_eq!(house.send(&path, &hello(user)).await, 202, "{path}");
        assert_eq!(client.argument().await, user);
    }
    let mut client = house.user("x/y").await;
    assert_eq!(house.send(&api("hubs/chat/users/x%2Fy/%3Asend"), &hello("escaped")).await, 202);
    assert_eq!(client.argument().await, "escaped");
}

fn url(house: &House) -> reqwest::Url {
    house.url("").parse().unwrap()
}

#[tokio::test]
async fn a_rest_caller_sees_the_shape_of_the_service_whatever_is_set() {
    let house = House::with(Options { max_queued_messages: 1, ..Options::default() }).await;
    assert_eq!(house.send(&api("hubs/chat/:send"), &hello("nobody is there")).await, 202);
}
