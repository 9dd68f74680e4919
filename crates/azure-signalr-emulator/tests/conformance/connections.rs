//! One client and the service: upgrade, handshake, keeping alive, closing, and what must not bring either down.

use std::time::Duration;

use azure_signalr_emulator::Options;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, House, client_token, count_to_the_end, token};

const WS: &str = "/client/?hub=chat";

fn soon() -> Duration {
    Duration::from_millis(100)
}

/// The status of a refused upgrade.
fn refusal(outcome: Result<Client, (u16, String)>) -> u16 {
    outcome.err().expect("a refusal").0
}

async fn exists(house: &House, id: &str) -> (u16, Option<String>) {
    let path = format!("/api/hubs/chat/connections/{id}?api-version=2022-06-01");
    let response = house.call(Method::HEAD, &path).send().await.unwrap();
    let code = response.headers().get("x-ms-error-code").map(|code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code)
}

/// Waits until the service has taken note that nobody is connected, and asks for the connection.
async fn gone(house: &House, id: &str) -> Option<String> {
    house.emptied().await;
    let (status, code) = exists(house, id).await;
    assert_eq!(status, 404);
    code
}

#[tokio::test]
async fn case_21_a_negotiated_id_opens_a_socket_and_the_handshake_is_answered_first() {
    let house = House::start().await;
    let (public, mut client) = house.known_client().await;
    assert_eq!(exists(&house, &public).await.0, 200);
    house.broadcast("hi").await;
    assert_eq!(client.argument().await, "hi");
}

#[tokio::test]
async fn case_22_a_client_without_an_id_is_welcome() {
    let house = House::start().await;
    for path in [WS, "/client?hub=chat", "/client/?hub=chat&id="] {
        let mut client = house.client_of(path, &client_token(json!({}))).await;
        house.broadcast(path).await;
        assert_eq!(client.argument().await, path);
    }
}

#[tokio::test]
async fn case_23_a_browser_may_put_its_token_into_the_query() {
    let house = House::start().await;
    let path = format!("{WS}&access_token={}", client_token(json!({})));
    house.open(&path, None).await.unwrap().shake_hands().await;
    assert_eq!(refusal(house.open(WS, None).await), 401);
    assert_eq!(refusal(house.open(WS, Some("no.such.token")).await), 401);
}

#[tokio::test]
async fn case_24_an_id_opens_one_socket_only() {
    let house = House::start().await;
    let token = client_token(json!({}));
    let (public, secret) = house.ids(&token).await;
    let with = |id: &str| format!("{WS}&id={id}");
    assert_eq!(refusal(house.open(&with("unknown"), Some(&token)).await), 404);
    assert_eq!(refusal(house.open(&with(&public), Some(&token)).await), 404);
    let mut client = house.client_of(&with(&secret), &token).await;
    assert_eq!(refusal(house.open(&with(&secret), Some(&token)).await), 409);
    client.say("{\"type\":7}\u{1e}").await;
    client.last_words().await;
    gone(&house, &public).await;
    assert_eq!(refusal(house.open(&with(&secret), Some(&token)).await), 404);
}

#[tokio::test]
async fn case_24_an_id_is_no_use_to_somebody_else() {
    let house = House::start().await;
    let (_, secret) = house.ids(&client_token(json!({"asrs.s.uid": "alice"}))).await;
    let mallory = client_token(json!({"asrs.s.uid": "mallory"}));
    assert_eq!(refusal(house.open(&format!("{WS}&id={secret}"), Some(&mallory)).await), 404);
}

#[tokio::test]
async fn an_id_that_is_not_used_in_time_expires() {
    let house = House::with(Options { id_lifetime: Duration::ZERO, ..Options::default() }).await;
    let token = client_token(json!({}));
    let (_, secret) = house.ids(&token).await;
    assert_eq!(refusal(house.open(&format!("{WS}&id={secret}"), Some(&token)).await), 404);
}

#[tokio::test]
async fn connections_and_unused_ids_have_a_limit() {
    let house = House::with(Options { max_connections: 2, ..Options::default() }).await;
    let token = client_token(json!({}));
    house.ids(&token).await;
    let _client = house.client().await;
    assert_eq!(house.negotiate("", &token).await.status(), 429);
    assert_eq!(refusal(house.open(WS, Some(&token)).await), 429);
}

#[tokio::test]
async fn case_25_handshake_versions_0_to_2_are_spoken_and_99_is_not() {
    let house = House::start().await;
    for version in 0..=2 {
        let mut client = house.open(WS, Some(&client_token(json!({})))).await.unwrap();
        client.say(&format!("{{\"version\":{version},\"protocol\":\"json\"}}\u{1e}")).await;
        assert_eq!(client.hear().await, json!({}));
    }
    let mut client = house.open(WS, Some(&client_token(json!({})))).await.unwrap();
    client.say("{\"protocol\":\"json\",\"version\":99}\u{1e}").await;
    let error = json!({"error": "The server does not support version 99 of the 'json' protocol."});
    assert_eq!(client.last_words().await, (vec![error], Some(1000)));
}

#[tokio::test]
async fn case_26_an_unknown_protocol_is_named_and_the_socket_closed() {
    let house = House::start().await;
    let mut client = house.open(WS, Some(&client_token(json!({})))).await.unwrap();
    client.say("{\"protocol\":\"blazorpack\",\"version\":1}\u{1e}").await;
    let error = json!({"error": "The protocol 'blazorpack' is not supported."});
    assert_eq!(client.last_words().await, (vec![error], Some(1000)));
}

#[tokio::test]
async fn a_handshake_that_is_none_is_told_so() {
    let house = House::start().await;
    let mut client = house.open(WS, Some(&client_token(json!({})))).await.unwrap();
    client.say("hello\u{1e}").await;
    let error = json!({"error": "An unexpected error occurred during connection handshake."});
    assert_eq!(client.last_words().await, (vec![error], Some(1000)));
}

#[tokio::test]
async fn case_27_a_handshake_has_15_seconds() {
    assert_eq!(Options::default().handshake_timeout, Duration::from_secs(15));
    let house = House::with(Options { handshake_timeout: soon(), ..Options::default() }).await;
    let mut client = house.open(WS, Some(&client_token(json!({})))).await.unwrap();
    assert_eq!(client.last_words().await, (vec![json!({"error": "Handshake was canceled."})], Some(1000)));
}

#[tokio::test]
async fn case_27_a_token_can_give_it_less() {
    let house =
        House::with(Options { handshake_timeout: Duration::from_secs(600), ..Options::default() }).await;
    let mut client = house.open(WS, Some(&client_token(json!({"asrs.s.cht": "1"})))).await.unwrap();
    assert_eq!(client.last_words().await.0, [json!({"error": "Handshake was canceled."})]);
}

#[tokio::test]
async fn case_29_frames_have_nothing_to_do_with_messages() {
    let house = House::start().await;
    let mut client = house.open(WS, Some(&client_token(json!({})))).await.unwrap();
    let call = |id: &str| {
        format!("{{\"type\":1,\"target\":\"t\",\"arguments\":[],\"invocationId\":\"{id}\"}}\u{1e}")
    };
    client.say("{\"protocol\":\"json\",").await;
    client.say(&format!("\"version\":1}}\u{1e}{}{}", call("1"), call("2"))).await;
    assert_eq!(client.hear().await, json!({}));
    let third = call("3");
    let (start, end) = third.split_at(20);
    client.say(start).await;
    client.frame(Message::binary(end.to_owned())).await;
    for id in ["1", "2", "3"] {
        let answer = client.hear().await;
        assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!(id)));
    }
}

#[tokio::test]
async fn case_30_an_idle_client_is_pinged_by_message_and_never_by_frame() {
    assert_eq!(Options::default().ping_interval, Duration::from_secs(15));
    let house = House::with(Options { ping_interval: soon(), ..Options::default() }).await;
    let mut client = house.client().await;
    for _ in 0..3 {
        assert_eq!(client.next_frame().await, Some(Message::text("{\"type\":6}\u{1e}")));
    }
}

#[tokio::test]
async fn case_30_a_ping_frame_of_the_client_is_answered() {
    let house = House::start().await;
    let mut client = house.client().await;
    client.frame(Message::Ping("are you there".into())).await;
    assert_eq!(client.next_frame().await, Some(Message::Pong("are you there".into())));
}

#[tokio::test]
async fn case_31_a_client_that_pinged_and_fell_silent_is_closed() {
    assert_eq!(Options::default().client_timeout, Duration::from_secs(30));
    let house = House::with(Options { client_timeout: soon(), ..Options::default() }).await;
    let mut client = house.client().await;
    client.say("{\"type\":6}\u{1e}").await;
    let (words, code) = client.last_words().await;
    assert_eq!((words, code), (vec![json!({"type": 7, "allowReconnect": true})], Some(1000)));
}

#[tokio::test]
async fn case_31_a_client_that_never_pings_is_kept() {
    let (client_timeout, ping_interval) = (soon(), soon());
    let house = House::with(Options { client_timeout, ping_interval, ..Options::default() }).await;
    let mut client = house.client().await;
    for _ in 0..5 {
        assert_eq!(client.hear().await, json!({"type": 6}));
    }
    house.broadcast("still there").await;
    assert_eq!(client.argument().await, "still there");
}

#[tokio::test]
async fn case_32_a_client_that_closes_is_gone() {
    let house = House::start().await;
    let (public, mut client) = house.known_client().await;
    client.say("{\"type\":7}\u{1e}").await;
    assert_eq!(client.last_words().await, (vec![], Some(1000)));
    assert_eq!(gone(&house, &public).await.unwrap(), "Warning.Connection.NotExisted");
}

#[tokio::test]
async fn a_client_that_is_cut_off_is_gone() {
    let house = House::start().await;
    let (public, client) = house.known_client().await;
    drop(client);
    assert_eq!(gone(&house, &public).await.unwrap(), "Warning.Connection.NotExisted");
}

#[tokio::test]
async fn case_33_a_host_header_without_a_port_will_do() {
    let house = House::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", house.port)).await.unwrap();
    let request = format!(
        "GET {WS} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {}\r\n\r\n",
        client_token(json!({}))
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
}

#[tokio::test]
async fn case_34_what_nobody_knows_is_ignored() {
    let house = House::start().await;
    let mut client = house.client().await;
    for message in [
        r#"{"type":99}"#,
        r#"{"type":2,"invocationId":"0","item":1}"#,
        r#"{"type":3,"invocationId":"0","result":1}"#,
        r#"{"type":5,"invocationId":"0"}"#,
        r#"{"type":8,"sequenceId":1}"#,
        r#"{"type":1,"target":"send","arguments":["x"],"headers":{"Authorization":"Bearer x"},"more":1}"#,
    ] {
        client.say(&format!("{message}\u{1e}")).await;
    }
    house.broadcast("still there").await;
    assert_eq!(client.hear().await["arguments"], json!(["still there"]));
}

#[tokio::test]
async fn what_waits_for_an_answer_is_told_that_nobody_is_there() {
    let house = House::start().await;
    let mut client = house.client().await;
    client.say("{\"type\":1,\"target\":\"Foo\",\"arguments\":[],\"invocationId\":\"i\"}\u{1e}").await;
    client.say("{\"type\":4,\"target\":\"Bar\",\"arguments\":[],\"invocationId\":\"s\"}\u{1e}").await;
    for (id, target) in [("i", "'Foo'"), ("s", "'Bar'")] {
        let answer = client.hear().await;
        assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!(id)));
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(target) && error.contains("upstream"), "{error}");
    }
}

#[tokio::test]
async fn garbage_ends_the_connection_it_came_over_and_no_other() {
    let house = House::start().await;
    let mut bystander = house.client().await;
    for garbage in [
        Message::text("garbage\u{1e}"),
        Message::text("[]\u{1e}"),
        Message::text("{\"type\":\"x\"}\u{1e}"),
        Message::binary(vec![0xFF, 0x00, 0x1E]),
        Message::text("\u{1e}"),
    ] {
        let mut client = house.client().await;
        client.frame(garbage).await;
        let (words, code) = client.last_words().await;
        assert_eq!((&words[0]["type"], code), (&json!(7), Some(1011)), "{words:?}");
        assert!(words[0]["error"].as_str().unwrap().contains("not a message"), "{words:?}");
    }
    house.broadcast("still there").await;
    assert_eq!(bystander.argument().await, "still there");
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection_in_one_frame_or_in_many() {
    let house = House::with(Options { max_client_message_bytes: 1000, ..Options::default() }).await;
    let fits = format!("{{\"type\":6,\"x\":\"{}\"}}", "x".repeat(980));
    let mut client = house.client().await;
    client.say(&format!("{fits}\u{1e}")).await;
    for _ in 0..2 {
        client.say(&"x".repeat(600)).await;
    }
    let (words, code) = client.last_words().await;
    assert_eq!((&words[0]["type"], code), (&json!(7), Some(1011)));
    assert!(words[0]["error"].as_str().unwrap().contains("1000 bytes"), "{words:?}");

    let mut client = house.client().await;
    client.say(&"x".repeat(100_000)).await;
    client.last_words().await;
}

#[tokio::test]
async fn a_socket_that_never_speaks_nor_closes_is_given_up() {
    let house =
        House::with(Options { handshake_timeout: soon(), close_timeout: soon(), ..Options::default() }).await;
    let stream = house.narrow_socket().await;
    house.emptied().await;
    drop(stream);
}

#[tokio::test]
async fn everyone_is_told_when_the_service_closes_and_nobody_is_let_in_after() {
    let house = House::start().await;
    let token = client_token(json!({}));
    let (_, unused) = house.ids(&token).await;
    let mut clients = [house.client().await, house.user("alice").await];
    let mut silent = house.open(WS, Some(&token)).await.unwrap();
    house.broadcast("last").await;
    house.emulator.close_all();
    for client in &mut clients {
        let (words, code) = client.last_words().await;
        let close = json!({"type": 7, "allowReconnect": true});
        assert_eq!(words, [json!({"type": 1, "target": "t", "arguments": ["last"]}), close]);
        assert_eq!(code, Some(1000));
    }
    assert_eq!(silent.last_words().await, (vec![], Some(1000)));
    house.emptied().await;
    assert_eq!(house.negotiate("", &token).await.status(), 503);
    assert_eq!(refusal(house.open(WS, Some(&token)).await), 503);
    assert_eq!(refusal(house.open(&format!("{WS}&id={unused}"), Some(&token)).await), 503);
}

#[tokio::test]
async fn requests_that_are_no_upgrade_are_answered_as_the_service_does() {
    let house = House::start().await;
    let bearer = client_token(json!({}));
    let (_, waiting) = house.ids(&bearer).await;
    let (_, open) = house.ids(&bearer).await;
    let _client = house.client_of(&format!("{WS}&id={open}"), &bearer).await;
    for (method, id, accept, status, words) in [
        (Method::GET, "", "*/*", 400, "Connection ID required"),
        (Method::POST, "", "*/*", 400, "Connection ID required"),
        (Method::GET, "unknown", "*/*", 404, "No Connection with that ID"),
        (Method::POST, &*waiting, "*/*", 400, "connect before sending"),
        (Method::DELETE, &*waiting, "*/*", 400, "Cannot terminate"),
        (Method::POST, &*open, "*/*", 405, "POST requests are not allowed for WebSocket connections."),
        (Method::DELETE, &*open, "*/*", 400, "Cannot terminate"),
        (Method::GET, &*open, "*/*", 400, "Cannot change transports"),
        (Method::PUT, &*open, "*/*", 405, ""),
    ] {
        let path = if id.is_empty() { WS.to_owned() } else { format!("{WS}&id={id}") };
        let request = house.request(method.clone(), &path).header("accept", accept).bearer_auth(&bearer);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {id} {accept}");
        let body = response.text().await.unwrap();
        assert!(body.contains(words), "{body}");
    }
    let unsigned = house.request(Method::GET, WS).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
}

#[tokio::test]
async fn an_upgrade_that_is_none_takes_no_place() {
    let house = House::start().await;
    let (public, secret) = house.ids(&client_token(json!({}))).await;
    let request = house.request(Method::GET, &format!("{WS}&id={secret}")).header("upgrade", "websocket");
    let response = request.bearer_auth(client_token(json!({}))).send().await.unwrap();
    assert!(response.status().is_client_error());
    assert_eq!(exists(&house, &public).await.0, 404);
    house.emptied().await;
}

#[tokio::test]
async fn the_user_of_a_connection_is_who_its_token_names() {
    let house = House::start().await;
    for (claims, user) in [
        (json!({"asrs.s.uid": "a", "sub": "x"}), "a"),
        (json!({"nameid": "b"}), "b"),
        (json!({"sub": "c"}), "c"),
    ] {
        let mut client = house.client_of(WS, &client_token(claims)).await;
        let path = format!("/api/hubs/chat/users/{user}/:send?api-version=2022-06-01");
        assert_eq!(house.send(&path, &json!({"target": "t", "arguments": [user]})).await, 202);
        assert_eq!(client.argument().await, user);
    }
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let house = House::start().await;
    let server = house.request(Method::GET, "/server/?hub=chat").send().await.unwrap();
    assert_eq!(server.status(), 501);
    assert!(server.text().await.unwrap().contains("Persistent mode"));
    let nothing = house.request(Method::GET, "/").bearer_auth(token(json!({}))).send().await.unwrap();
    assert_eq!(nothing.status(), 404);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped_and_the_others_miss_nothing() {
    let options = Options { max_queued_messages: 64, max_queued_bytes: 4 << 20, ..Options::default() };
    let house = House::with(options).await;
    let slow = house.narrow_client().await;
    let mut reader = house.client().await;
    let text = "x".repeat(500_000);
    let count = 60;
    for number in 0..count {
        let message = json!({"target": "t", "arguments": [number, text]});
        assert_eq!(house.send("/api/hubs/chat/:send?api-version=2022-06-01", &message).await, 202);
        assert_eq!(reader.argument().await, json!(number));
    }
    let received = count_to_the_end(slow).await;
    assert!(received < count, "a reader that slow cannot have received everything");
    house.broadcast("after").await;
    assert_eq!(reader.argument().await, Value::from("after"));
}

#[tokio::test]
async fn a_write_that_nobody_takes_is_given_up_even_when_nothing_else_is_queued() {
    let house = House::with(Options { client_timeout: soon(), ..Options::default() }).await;
    let slow = house.narrow_client().await;
    let text = "x".repeat(1_000_000);
    for _ in 0..6 {
        house.broadcast(&text).await;
    }
    house.emptied().await;
    let received = count_to_the_end(slow).await;
    assert!(received < 6);
}
