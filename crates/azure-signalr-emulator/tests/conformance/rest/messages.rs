//! Sending messages, framed ones included, and stream items.

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{api, message, received, send_to_group, status};
use crate::support::{Client, TestService, client_token};

async fn post(service: &TestService, body: impl Into<reqwest::Body>, content_type: &str) -> Response {
    let request = service.call(Method::POST, &api("hubs/chat/:send")).header("content-type", content_type);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn case_45_a_hub_message_reaches_each_client_of_the_hub_once() {
    let service = TestService::start().await;
    let spelled_otherwise = client_token(json!({"aud": "http://localhost/client/?hub=CHAT"}));
    let elsewhere = client_token(json!({"aud": "http://localhost/client/?hub=other"}));
    let mut here = [service.client().await, service.connect("/client/?hub=CHAT", &spelled_otherwise).await];
    let mut other = service.connect("/client/?hub=other", &elsewhere).await;
    assert_eq!(service.send(&api("hubs/Chat/:send"), &message("x")).await, 202);
    service.broadcast("end").await;
    assert_eq!(service.send(&api("hubs/other/:send"), &message("other")).await, 202);
    for client in &mut here {
        assert_eq!(client.receive().await, json!({"type": 1, "target": "t", "arguments": ["x"]}));
        assert_eq!(client.receive_argument().await, "end");
    }
    assert_eq!(other.receive_argument().await, "other");
}

#[tokio::test]
async fn case_46_capital_property_names_and_chunked_bodies_are_accepted() {
    let (service, mut client) = TestService::with_client().await;
    let chunks = ["{\"Target\":\"t\",", "\"Arguments\":[\"x\"]}"].map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_eq!(post(&service, body, "application/json; charset=utf-8").await.status(), 202);
    assert_eq!(client.receive_argument().await, "x");
}

#[tokio::test]
async fn case_47_and_defect_9_any_number_of_arguments_is_delivered() {
    let (service, mut client) = TestService::with_client().await;
    let twelve: Vec<_> = (0..12).collect();
    for (message, expected) in [
        (json!({"target": "t"}), json!([])),
        (json!({"target": "t", "arguments": null}), json!([])),
        (json!({"target": "t", "arguments": []}), json!([])),
        (json!({"target": "t", "arguments": twelve}), json!(twelve)),
    ] {
        assert_eq!(service.send(&api("hubs/chat/:send"), &message).await, 202);
        assert_eq!(client.receive().await["arguments"], expected);
    }
}

#[tokio::test]
async fn case_48_excluded_connections_get_nothing() {
    let (service, first, mut one) = TestService::with_client_id().await;
    let (second, mut two) = service.client_with_id().await;
    let mut three = service.client().await;
    let path = api(&format!("hubs/chat/:send?excluded={first}&excluded={second}"));
    assert_eq!(service.send(&path, &message("not for all")).await, 202);
    service.broadcast("for all").await;
    assert_eq!(three.receive_argument().await, "not for all");
    for client in [&mut one, &mut two, &mut three] {
        assert_eq!(client.receive_argument().await, "for all");
    }
}

#[tokio::test]
async fn case_49_v1_sends_with_a_bare_path() {
    let (service, id, mut client) = TestService::with_client_id().await;
    let mut alice = service.user("alice").await;
    assert_eq!(service.send("/api/v1/hubs/chat", &message("all")).await, 202);
    assert_eq!(service.send("/api/v1/hubs/chat/users/alice", &message("user")).await, 202);
    assert_eq!(service.send(&format!("/api/v1/hubs/chat/connections/{id}"), &message("connection")).await, 202);
    for (client, second) in [(&mut client, "connection"), (&mut alice, "user")] {
        assert_eq!(client.receive_argument().await, "all");
        assert_eq!(client.receive_argument().await, second);
    }
}

#[tokio::test]
async fn case_50_a_user_message_reaches_all_connections_of_the_user_only() {
    let service = TestService::start().await;
    let mut alice = [service.user("alice").await, service.user("alice").await];
    let mut others = [service.user("Alice").await, service.client().await];
    assert_eq!(service.send(&api("hubs/chat/users/alice/:send"), &message("private")).await, 202);
    assert_eq!(service.send(&api("hubs/chat/users/unknown/:send"), &message("x")).await, 202);
    service.broadcast("public").await;
    for client in &mut alice {
        assert_eq!(client.receive_argument().await, "private");
        assert_eq!(client.receive_argument().await, "public");
    }
    for client in &mut others {
        assert_eq!(client.receive_argument().await, "public");
    }
}

#[tokio::test]
async fn case_51_and_defect_11_values_are_delivered_as_they_were_written() {
    let (service, id, mut client) = TestService::with_client_id().await;
    let arguments = r#"[1,-0.0,1.0,1e3,12345678901234567890,3.141592653589793238462643,"é😀\u00e9","2020-01-01T00:00:00+02:00",{"b":1,"a":[[null,true]]}]"#;
    let body = format!(r#"{{"target":"t","arguments":{arguments}}}"#);
    let request = service.call(Method::POST, &api(&format!("hubs/chat/connections/{id}/:send")));
    let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let frame = client.next_frame().await.unwrap().into_text().unwrap();
    assert_eq!(frame.as_str(), format!("{{\"type\":1,\"target\":\"t\",\"arguments\":{arguments}}}\u{1e}"));
}

#[tokio::test]
async fn sending_to_an_unknown_connection_is_no_error() {
    let service = TestService::start().await;
    assert_eq!(service.send(&api("hubs/chat/connections/unknown/:send"), &message("x")).await, 202);
}

#[tokio::test]
async fn case_52_a_group_message_reaches_members_except_excluded_ones() {
    let (service, one, mut first) = TestService::with_client_id().await;
    let (two, mut second) = service.client_with_id().await;
    let mut outside = service.client().await;
    for id in [&one, &two] {
        let path = api(&format!("hubs/chat/groups/g/connections/{id}"));
        assert_eq!(status(&service, Method::PUT, &path).await, 200);
    }
    send_to_group(&service, "g", "members").await;
    assert!(received(&mut first, "members").await && received(&mut second, "members").await);
    assert!(!received(&mut outside, "members").await);
    assert_eq!(service.send("/api/v1/hubs/chat/groups/g", &message("v1")).await, 202);
    let path = api(&format!("hubs/chat/groups/g/:send?excluded={one}"));
    assert_eq!(service.send(&path, &message("two only")).await, 202);
    service.broadcast("end").await;
    for (client, expected) in [(&mut first, ["v1", "end"].as_slice()), (&mut second, &["v1", "two only", "end"])] {
        for text in expected {
            assert_eq!(client.receive_argument().await, *text);
        }
    }
}

#[tokio::test]
async fn sending_to_an_empty_group_is_no_error() {
    let service = TestService::start().await;
    assert_eq!(service.send(&api("hubs/chat/groups/unknown/:send"), &message("x")).await, 202);
}

#[tokio::test]
async fn case_53_application_selects_the_hub_of_the_application() {
    let service = TestService::start().await;
    let token = client_token(json!({"aud": "http://localhost/client/?hub=app_chat"}));
    let mut inside = service.connect("/client/?hub=app_chat", &token).await;
    let mut outside = service.client().await;
    assert_eq!(service.send(&api("hubs/chat/:send?application=App"), &message("app")).await, 202);
    service.broadcast("no app").await;
    assert_eq!(inside.receive_argument().await, "app");
    assert_eq!(outside.receive_argument().await, "no app");
}

#[tokio::test]
async fn case_54_invalid_bodies_are_rejected() {
    let service = TestService::start().await;
    for body in ["", "x", "{}", "[]", r#"{"target":""}"#, r#"{"arguments":[]}"#, r#"{"target":"t","arguments":1}"#] {
        let response = post(&service, body, "application/json").await;
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(response.headers()["x-ms-error-code"], "Error.Request.Invalid");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["code"], "Error.Request.Invalid");
        assert!(answer["message"].is_string() && answer["target"].is_string(), "{answer}");
    }
    assert_eq!(post(&service, r#"{"target":"t"}"#, "text/plain").await.status(), 415);
}

#[tokio::test]
async fn an_invalid_body_is_not_repeated_in_the_error() {
    let service = TestService::start().await;
    let response = post(&service, r#"{"target":{"hush":"hush"},"arguments":"hush"}"#, "application/json").await;
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
async fn case_55_and_defect_8_a_framed_message_is_passed_on_unchanged() {
    let (service, mut client) = TestService::with_client().await;
    let record = "{\"type\":1,\"target\":\"t\",\"arguments\":[\"framed\"], \"spaced\": 1}\u{1e}";
    for (protocol, frame) in [("messagepack", HI), ("other", b"x"), ("json", record.as_bytes())] {
        let response = post(&service, map_of(protocol, frame), "application/octet-stream").await;
        assert_eq!(response.status(), 202, "{protocol}");
    }
    service.broadcast("end").await;
    assert_eq!(client.next_frame().await.unwrap().into_text().unwrap().as_str(), record);
    assert_eq!(client.receive_argument().await, "end");
}

/// An invocation of `hi` with the argument `x` in MessagePack.
const HI: &[u8] = b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90";

/// A MessagePack client of the hub `chat`, after its handshake.
async fn messagepack_client(service: &TestService) -> Client {
    let mut client = service.open("/client/?hub=chat", Some(&client_token(json!({})))).await.unwrap();
    client.send_text("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}").await;
    assert_eq!(client.next_frame().await.unwrap().into_data(), "{}\u{1e}");
    client
}

#[tokio::test]
async fn case_51_one_message_reaches_clients_of_either_protocol() {
    let service = TestService::start().await;
    let (mut json_client, mut messagepack_client) = (service.client().await, messagepack_client(&service).await);
    let message = json!({"target": "hi", "arguments": ["x"]});
    assert_eq!(service.send(&api("hubs/chat/:send"), &message).await, 202);
    assert_eq!(json_client.receive_argument().await, "x");
    assert_eq!(messagepack_client.next_frame().await.unwrap().into_data(), HI);
}

#[tokio::test]
async fn case_55_each_client_gets_the_frame_of_its_own_protocol() {
    let service = TestService::start().await;
    let (mut json_client, mut messagepack_client) = (service.client().await, messagepack_client(&service).await);
    let record = b"{\"type\":1,\"target\":\"t\",\"arguments\":[\"json\"]}\x1e";
    let both = [&[0x82], &map_of("json", record)[1..], &map_of("messagepack", HI)[1..]].concat();
    let json_only = map_of("json", record);
    for body in [json_only, both] {
        assert_eq!(post(&service, body, "application/octet-stream").await.status(), 202);
        assert_eq!(json_client.receive_argument().await, "json");
    }
    assert_eq!(messagepack_client.next_frame().await.unwrap().into_data(), HI);
}

#[tokio::test]
async fn a_map_with_anything_but_one_message_each_is_rejected() {
    let service = TestService::start().await;
    for body in [
        Vec::new(),
        b"{}".to_vec(),
        map_of("json", b"{}"),
        map_of("json", b"{\"type\":1,\"target\":\"t\",\"arguments\":[]}"),
        map_of("messagepack", b"\x02\x91"),
    ] {
        let response = post(&service, body.clone(), "application/octet-stream").await;
        assert_eq!(response.status(), 400, "{body:?}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], "payload");
    }
}

#[tokio::test]
async fn an_unsupported_content_type_is_415_and_names_the_supported_ones() {
    let service = TestService::start().await;
    let response = post(&service, "x", "application/x-msgpack").await;
    assert_eq!(response.status(), 415);
    let body: Value = response.json().await.unwrap();
    assert!(body["message"].as_str().unwrap().contains("application/octet-stream"), "{body}");
    for path in ["/api/v1/hubs/chat", "/api/hubs/chat/:send?api-version=2020-10-01"] {
        let request = service.call(Method::POST, path).header("content-type", "application/octet-stream");
        let response = request.body(map_of("other", b"x")).send().await.unwrap();
        assert_eq!(response.status(), 415, "{path}");
        assert!(response.text().await.unwrap().contains("application/json"));
    }
}

#[tokio::test]
async fn case_57_a_segment_is_decoded_once_and_after_routing() {
    let service = TestService::start().await;
    for user in ["a/b", "a b+c", "50%", "a%2Fb", "é/:send", "a?b#c"] {
        let mut client = service.user(user).await;
        let mut path = url(&service);
        path.path_segments_mut().unwrap().extend(["api", "hubs", "chat", "users", user, ":send"]);
        let path = api(path.path().strip_prefix("/api/").unwrap());
        assert_eq!(service.send(&path, &message(user)).await, 202, "{path}");
        assert_eq!(client.receive_argument().await, user);
    }
    let mut client = service.user("x/y").await;
    assert_eq!(service.send(&api("hubs/chat/users/x%2Fy/%3Asend"), &message("escaped")).await, 202);
    assert_eq!(client.receive_argument().await, "escaped");
}

fn url(service: &TestService) -> reqwest::Url {
    service.url("").parse().unwrap()
}

#[tokio::test]
async fn rest_responses_have_the_headers_and_bodies_of_azure() {
    let service = TestService::with(Options { max_queued_messages: 1, ..Options::default() }).await;
    assert_eq!(service.send(&api("hubs/chat/:send"), &message("x")).await, 202);
}

fn stream_path(connection: &str, operation: &str) -> String {
    let separator = if operation.contains('?') { '&' } else { '?' };
    format!("/api/hubs/chat/connections/{connection}/streams/s1/{operation}{separator}api-version=2024-12-01")
}

async fn send_item(service: &TestService, path: &str, body: &str) -> u16 {
    let call = service.call(Method::POST, path).header("content-type", "application/json");
    call.body(body.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn defect_1_stream_items_arrive_in_order_and_the_last_ends_the_stream() {
    let (service, id, mut client) = TestService::with_client_id().await;
    assert_eq!(send_item(&service, &stream_path(&id, ":send"), r#"{"n":1.0}"#).await, 202);
    assert_eq!(send_item(&service, &stream_path(&id, ":send?completed=true"), "\"last\"").await, 202);
    assert_eq!(client.receive().await, json!({"type": 2, "invocationId": "s1", "item": {"n": 1.0}}));
    assert_eq!(client.receive().await, json!({"type": 2, "invocationId": "s1", "item": "last"}));
    assert_eq!(client.receive().await, json!({"type": 3, "invocationId": "s1"}));
}

#[tokio::test]
async fn a_stream_ends_with_or_without_an_error() {
    let (service, id, mut client) = TestService::with_client_id().await;
    for (operation, completion) in [
        (":complete", json!({"type": 3, "invocationId": "s1"})),
        (":complete?reason=worn+out", json!({"type": 3, "invocationId": "s1", "error": "worn out"})),
    ] {
        let response = service.call(Method::POST, &stream_path(&id, operation)).send().await.unwrap();
        assert_eq!(response.status(), 202);
        assert_eq!(client.receive().await, completion);
    }
}

#[tokio::test]
async fn invalid_items_and_unknown_connections_are_rejected() {
    let (service, id, _client) = TestService::with_client_id().await;
    assert_eq!(send_item(&service, &stream_path(&id, ":send"), "").await, 400);
    assert_eq!(send_item(&service, &stream_path(&id, ":send"), "{").await, 400);
    assert_eq!(send_item(&service, &stream_path(&id, ":send?completed=perhaps"), "1").await, 400);
    let absent = service.call(Method::POST, &stream_path("unknown", ":complete")).send().await.unwrap();
    assert_eq!(absent.status(), 404);
    assert_eq!(absent.headers()["x-ms-error-code"], "Error.Connection.NotExisted");
    assert_eq!(absent.json::<Value>().await.unwrap()["code"], "Error.Connection.NotExisted");
}
