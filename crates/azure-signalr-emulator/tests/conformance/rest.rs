//! What REST callers may ask for, and who receives what they send.

use azure_signalr_emulator::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{House, client_token};

const VERSION: &str = "api-version=2022-06-01";

/// A path of the dated API.
fn api(rest: &str) -> String {
    let separator = if rest.contains('?') { '&' } else { '?' };
    format!("/api/{rest}{separator}{VERSION}")
}

fn hello(text: &str) -> Value {
    json!({"target": "t", "arguments": [text]})
}

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
async fn case_47_any_number_of_arguments_is_delivered() {
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
async fn every_later_version_of_the_api_sends() {
    let house = House::start().await;
    for version in ["2020-10-01", "2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01"] {
        let path = format!("/api/hubs/chat/:send?api-version={version}");
        assert_eq!(house.send(&path, &hello("x")).await, 202, "{version}");
    }
    for path in ["/api/hubs/chat/:send", "/api/hubs/chat/:send?api-version=2021-10-01"] {
        let response = house.call(Method::POST, path).json(&hello("x")).send().await.unwrap();
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["target"], "api-version");
        assert!(body["message"].as_str().unwrap().contains("2024-12-01"), "{body}");
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
async fn case_51_a_connection_gets_every_value_as_it_was_written() {
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

#[tokio::test]
async fn binary_bodies_are_named_as_not_emulated() {
    let house = House::start().await;
    for content_type in ["application/octet-stream", "application/x-msgpack"] {
        let response = post(&house, "x", content_type).await;
        assert_eq!(response.status(), 501, "{content_type}");
        let request = house.call(Method::POST, "/api/v1/hubs/chat").header("content-type", content_type);
        assert_eq!(request.body("x").send().await.unwrap().status(), 415, "{content_type}");
    }
}

#[tokio::test]
async fn the_first_api_words_its_complaints_in_plain_text() {
    let house = House::start().await;
    let response = house.call(Method::POST, "/api/v1/hubs/1abc").json(&hello("x")).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn case_56_a_body_has_a_megabyte_and_not_a_byte_more() {
    let house = House::start().await;
    let mut client = house.client().await;
    let frame = r#"{"target":"t","arguments":[""]}"#.len();
    let largest = "x".repeat((1 << 20) - frame);
    let message = |text: &str| format!(r#"{{"target":"t","arguments":["{text}"]}}"#);
    assert_eq!(post(&house, message(&largest), "application/json").await.status(), 202);
    assert_eq!(client.argument().await.as_str().unwrap().len(), largest.len());
    let response = post(&house, message(&(largest + "x")), "application/json").await;
    assert_eq!(response.status(), 413);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "PayloadTooLarge");
    assert_eq!(post(&house, message(&"x".repeat(8 << 20)), "application/json").await.status(), 413);
}

#[tokio::test]
async fn case_56_names_have_their_rules() {
    let house = House::start().await;
    let long = "a".repeat(129);
    let long_id = "a".repeat(1025);
    for (path, target) in [
        (api("hubs/1abc/:send"), "hub"),
        (api(&format!("hubs/{long}/:send")), "hub"),
        (api("hubs/chat/:send?application=1"), "application"),
        (api(&format!("hubs/chat/users/{long_id}/:send")), "user"),
        (api("hubs/chat/users//:send"), "user"),
        (api("hubs/chat/connections//:send"), "connectionId"),
    ] {
        let response = house.call(Method::POST, &path).json(&hello("x")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(response.json::<Value>().await.unwrap()["target"], target, "{path}");
    }
    assert_eq!(house.send(&api(&format!("hubs/{}/:send", "a".repeat(128))), &hello("x")).await, 202);
}

#[tokio::test]
async fn a_path_that_is_too_long_or_no_text_is_refused() {
    let house = House::start().await;
    let excluded = "&excluded=aaaaaaaaaaaaaaaaaaaaaa".repeat(400);
    assert_eq!(house.send(&api(&format!("hubs/chat/:send?x=1{excluded}")), &hello("x")).await, 414);
    assert_eq!(house.send(&api("hubs/chat/users/%FF/:send"), &hello("x")).await, 400);
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

async fn existence(house: &House, method: Method, path: &str) -> (u16, Option<String>) {
    let response = house.call(method, path).send().await.unwrap();
    let code = response.headers().get("x-ms-error-code").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code)
}

#[tokio::test]
async fn case_59_who_is_there_is_200_and_who_is_not_is_404_with_a_code() {
    let house = House::start().await;
    let (id, _client) = house.known_client().await;
    let _alice = house.user("alice").await;
    let absent = |code: &str| (404, Some(code.to_owned()));
    for (method, prefix, query) in [
        (Method::HEAD, "/api/hubs", "?api-version=2022-06-01"),
        (Method::HEAD, "/api/v1/hubs", ""),
        (Method::GET, "/api/v1/hubs", ""),
    ] {
        let ask =
            async |rest: &str| existence(&house, method.clone(), &format!("{prefix}/{rest}{query}")).await;
        assert_eq!(ask(&format!("chat/connections/{id}")).await, (200, None));
        assert_eq!(ask(&format!("other/connections/{id}")).await, absent("Warning.Connection.NotExisted"));
        assert_eq!(ask("chat/users/alice").await, (200, None));
        assert_eq!(ask("chat/users/bob").await, absent("Warning.User.NotExisted"));
    }
    assert_eq!(existence(&house, Method::GET, &api("hubs/chat/users/alice")).await.0, 405);
}

#[tokio::test]
async fn case_68_health_needs_no_token() {
    let house = House::start().await;
    for path in ["/api/health?api-version=2022-06-01", "/api/v1/health"] {
        for method in [Method::HEAD, Method::GET] {
            assert_eq!(house.request(method, path).send().await.unwrap().status(), 200, "{path}");
        }
    }
}

#[tokio::test]
async fn cases_71_and_72_what_is_known_but_not_there_names_itself() {
    let house = House::start().await;
    for (method, rest, words) in [
        (Method::POST, "hubs/chat/connections/c/:invoke", "Invoking a method of a client"),
        (Method::POST, "hubs/chat/:execute", "Executing commands"),
        (Method::POST, "hubs/chat/:generateToken", "Generating client tokens"),
        (Method::POST, "hubs/chat/:closeConnections", "Closing the connections of a hub"),
        (Method::DELETE, "hubs/chat/connections/c", "Closing a connection"),
        (Method::DELETE, "hubs/chat/connections/c/groups", "from all groups"),
        (Method::POST, "hubs/chat/groups/g/:send", "Sending to a group"),
        (Method::PUT, "hubs/chat/groups/g/connections/c", "Adding a connection to a group"),
        (Method::GET, "hubs/chat/users/u/groups/g", "Asking whether a user is in a group"),
        (Method::GET, "hubs/chat/groups/g/connections", "Listing the connections of a group"),
        (Method::POST, "hubs/chat/connections/c/streams/s/:complete", "Completing a stream"),
        (Method::GET, "auth/accessKey", "access keys"),
    ] {
        let response = house.call(method, &api(rest)).send().await.unwrap();
        assert_eq!(response.status(), 501, "{rest}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], "NotEmulated");
        assert!(body["message"].as_str().unwrap().contains(words), "{body}");
    }
}

#[tokio::test]
async fn case_73_an_unknown_path_is_404_and_an_unknown_method_405() {
    let house = House::start().await;
    for path in [
        "/api",
        "/api/",
        "/api/hubs",
        "/api/hubs/chat",
        "/api/hubs/chat/:sing",
        "/api/v1/hubs/chat/:send",
        "/api/v2/hubs/chat",
    ] {
        let response = house.call(Method::POST, path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.headers()["x-ms-error-code"], "NotFound");
    }
    let response = house.call(Method::PUT, "/api/v1/hubs/chat/connections/c").send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST, DELETE");
}

#[tokio::test]
async fn a_rest_caller_sees_the_shape_of_the_service_whatever_is_set() {
    let house = House::with(Options { max_queued_messages: 1, ..Options::default() }).await;
    assert_eq!(house.send(&api("hubs/chat/:send"), &hello("nobody is there")).await, 202);
}
