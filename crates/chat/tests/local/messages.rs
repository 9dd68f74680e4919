//! Tests of messages from handler to browser over real sockets.
//!
//! A marker message shows that a message before it did not arrive, without waiting.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use test_support::http::api_error;
use test_support::signalr_client::{Client, NegotiateResponse};

use crate::test_stack::{FREE_PORTS, KEY, OFFICIAL_KEY, TestStack, join, json_of, negotiate, port};

/// Signs in and connects a client for each name.
async fn users<const N: usize>(stack: &TestStack, names: [&str; N]) -> [(String, Client); N] {
    let mut users = Vec::new();
    for name in names {
        let session = stack.sign_in(name).await;
        let client = join(stack, Some(&session)).await;
        users.push((session, client));
    }
    users.try_into().ok().unwrap()
}

#[tokio::test]
async fn a_public_message_arrives_once_at_every_client_as_published() {
    let stack = TestStack::start();
    let [(alice, mut her), (_, mut bobs)] = users(&stack, ["alice@contoso.com", "bob@contoso.com"]).await;
    let mut guests = join(&stack, None).await;
    let published = stack.send(Some(&alice), &json!({"text": "hi", "id": "a-1"})).await;
    assert_eq!((&published["sender"], &published["id"]), (&json!("alice@contoso.com"), &json!("a-1")));
    let second = stack.send(None, &json!({"text": "hello", "nickname": "Zoë"})).await;
    assert_eq!((&second["sender"], &second["nickname"]), (&json!("Zoë (guest)"), &json!("Zoë")));
    stack.send(None, &json!({"text": "marker"})).await;
    for client in [&mut her, &mut bobs, &mut guests] {
        assert_eq!(client.before("marker").await, [published.clone(), second.clone()]);
    }
}

/// `answer` to a private message as it is published: without the hint for its sender.
fn as_published(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("recipientOnline");
    answer
}

#[tokio::test]
async fn a_private_message_arrives_once_at_every_connection_of_its_recipient_and_its_sender_only() {
    let stack = TestStack::start();
    let names = ["alice@contoso.com", "bob@contoso.com", "carol@contoso.com", "BOB@contoso.com"];
    let [(alice, mut her_tab), (bob, mut his_tab), (_, mut carols), (_, mut anothers)] = users(&stack, names).await;
    // A second tab shares the session; another device signs in again.
    let (mut her_second_tab, mut his_second_tab) = (join(&stack, Some(&alice)).await, join(&stack, Some(&bob)).await);
    let [(_, mut her_device), (_, mut his_device)] = users(&stack, ["alice@contoso.com", "bob@contoso.com"]).await;
    let mut guests = join(&stack, None).await;
    let answer = stack.send(Some(&alice), &json!({"text": "psst", "recipient": "bob@contoso.com"})).await;
    assert_eq!((&answer["isPrivate"], &answer["recipientOnline"]), (&json!(true), &json!(true)));
    let published = as_published(answer);
    stack.send(None, &json!({"text": "marker"})).await;
    for client in
        [&mut her_tab, &mut her_second_tab, &mut her_device, &mut his_tab, &mut his_second_tab, &mut his_device]
    {
        assert_eq!(client.before("marker").await, std::slice::from_ref(&published));
    }
    for client in [&mut carols, &mut anothers, &mut guests] {
        assert!(client.before("marker").await.is_empty());
    }
}

#[tokio::test]
async fn a_message_to_oneself_arrives_once_at_each_connection() {
    let stack = TestStack::start();
    let [(alice, mut first), (_, mut second)] = users(&stack, ["alice@contoso.com"; 2]).await;
    let published =
        as_published(stack.send(Some(&alice), &json!({"text": "note", "recipient": "alice@contoso.com"})).await);
    stack.send(None, &json!({"text": "marker"})).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.before("marker").await, std::slice::from_ref(&published));
    }
}

#[tokio::test]
async fn a_message_to_an_absent_user_is_accepted_and_arrives_at_its_sender_only() {
    let stack = TestStack::start();
    let [(alice, mut her), (_, mut bobs)] = users(&stack, ["alice@contoso.com", "bob@contoso.com"]).await;
    // None of these is Bob, and none of them is everyone.
    let absent = ["absent@contoso.com", "bob", "bob@contoso.com/", "*", "../bob@contoso.com", "Bob@contoso.com"];
    let mut published = Vec::new();
    for recipient in absent {
        let answer = stack.send(Some(&alice), &json!({"text": "psst", "recipient": recipient})).await;
        assert_eq!(answer["recipientOnline"], false, "{recipient}");
        published.push(as_published(answer));
    }
    stack.send(None, &json!({"text": "marker"})).await;
    assert_eq!(her.before("marker").await, published);
    assert!(bobs.before("marker").await.is_empty());
}

#[tokio::test]
async fn case_57_a_private_message_arrives_for_any_characters_in_the_name() {
    let stack = TestStack::start();
    let names = ["Zoë/Łucja 😀", "a%2Fb ?x=1#y", "50 % + 1", "O'Brien; DROP", ":send"];
    for name in names {
        let [(session, mut client)] = users(&stack, [name]).await;
        let published = as_published(stack.send(Some(&session), &json!({"text": "to me", "recipient": name})).await);
        assert_eq!((&published["sender"], &published["recipient"]), (&json!(name), &json!(name)));
        assert_eq!(client.message().await, published, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_concurrent_senders_arrive_once_and_in_each_senders_order() {
    const SENDERS: usize = 10;
    const MESSAGES: usize = 20;
    let stack = std::sync::Arc::new(TestStack::start());
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(join(&stack, None).await);
    }
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let stack = stack.clone();
            tokio::spawn(async move {
                let session = stack.sign_in(&format!("sender-{sender}")).await;
                for number in 0..MESSAGES {
                    stack.send(Some(&session), &json!({"text": number.to_string()})).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    stack.send(None, &json!({"text": "marker"})).await;
    let in_order: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    for client in &mut clients {
        let mut by_sender: HashMap<String, Vec<String>> = HashMap::new();
        for message in client.before("marker").await {
            let field = |name: &str| message[name].as_str().unwrap().to_owned();
            by_sender.entry(field("sender")).or_default().push(field("text"));
        }
        assert_eq!(by_sender.len(), SENDERS);
        for (sender, texts) in by_sender {
            assert_eq!(texts, in_order, "{sender}");
        }
    }
}

#[tokio::test]
async fn messages_of_one_hub_do_not_reach_another() {
    let service = TestStack::with(&["emulator", "--port", "0"], &[]);
    let connection = service.printed("connection").unwrap();
    let of_hub = |hub| {
        TestStack::with(&FREE_PORTS, &[("AzureSignalRConnectionString", &connection), ("AzureSignalRHubName", hub)])
    };
    let stacks = [of_hub("Lobby"), of_hub("attic")];
    let mut clients = Vec::new();
    for stack in &stacks {
        clients.push(join(stack, Some(&stack.sign_in("alice@contoso.com").await)).await);
    }
    for (stack, text) in stacks.iter().zip(["down here", "up here"]) {
        let session = stack.sign_in("bob@contoso.com").await;
        for recipient in [Value::Null, json!("alice@contoso.com")] {
            stack.send(Some(&session), &json!({"text": text, "recipient": recipient})).await;
        }
    }
    for (client, (stack, text)) in clients.iter_mut().zip(stacks.iter().zip(["down here", "up here"])) {
        stack.send(None, &json!({"text": "marker"})).await;
        let received = client.before("marker").await;
        assert_eq!(received.iter().map(|message| &message["text"]).collect::<Vec<_>>(), [text, text]);
    }
}

#[tokio::test]
async fn invalid_tokens_are_rejected_with_the_reason() {
    let stack = TestStack::start();
    let (key, url) = (stack.key(), negotiate(&stack, None).await.url);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sign = |key: &str, hub: &str, nbf: u64, exp: u64| {
        let claims =
            json!({"aud": format!("http://localhost/client/?hub={hub}"), "nbf": nbf, "exp": exp, "asrs.s.uid": "root"});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    };
    let good = sign(&key, "chat", now, now + 600);
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#), good.split('.').nth(1).unwrap());
    let accepted = NegotiateResponse { url: url.clone(), token: good };
    assert_eq!(accepted.negotiate(&stack.client).await.status(), 200);
    for (token, reason) in [
        (sign(&key, "chat", now - 7_200, now - 3_600), "exp"),
        (sign(&key, "chat", now + 3_600, now + 7_200), "nbf"),
        (sign(OFFICIAL_KEY, "chat", now, now + 600), "signature"),
        (sign(&TestStack::start().key(), "chat", now, now + 600), "signature"),
        (sign(&key, "lobby", now, now + 600), "hub"),
        (unsigned, "token"),
    ] {
        let access = NegotiateResponse { url: url.clone(), token };
        let rejected = access.negotiate(&stack.client).await;
        assert_eq!(rejected.status(), 401, "{reason}");
        let reason_text = rejected.text().await.unwrap();
        assert!(reason_text.contains(reason), "{reason:?} in {reason_text}");
        assert!(!reason_text.contains(&key) && !reason_text.contains(&access.token), "{reason_text}");
        let Err(Error::Http(rejected)) = access.open(access.socket().await, None).await else {
            panic!("a WebSocket opened in spite of {reason}");
        };
        assert_eq!(rejected.status(), 401);
    }
}

#[tokio::test]
async fn a_client_token_cannot_send_or_take_over_a_connection() {
    let stack = TestStack::start();
    let access = negotiate(&stack, Some(&stack.sign_in("alice@contoso.com").await)).await;
    let url = format!("{}/api/hubs/chat/:send?api-version=2022-06-01", stack.service());
    let request = stack.client.post(url).json(&json!({"target": "newMessage", "arguments": ["forged"]}));
    assert_eq!(request.bearer_auth(&access.token).send().await.unwrap().status(), 401);

    let negotiated: Value = access.negotiate(&stack.client).await.json().await.unwrap();
    let id = negotiated["connectionToken"].as_str().unwrap();
    let attacker = negotiate(&stack, Some(&stack.sign_in("mallory@contoso.com").await)).await;
    let stolen = attacker.open(attacker.socket().await, Some(id)).await.err().unwrap();
    assert!(matches!(stolen, Error::Http(rejected) if rejected.status() == 404));

    let mut hers = access.open(access.socket().await, Some(id)).await.unwrap();
    hers.shake_hands().await;
    stack.send(None, &json!({"text": "marker"})).await;
    assert!(hers.before("marker").await.is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_read_delays_no_other_and_gets_all_messages_later() {
    /// Of 16 KiB each: more than the system buffers for a socket (4 MiB), less than the service buffers for a client (8 MiB).
    const MESSAGES: usize = 400;
    let stack = TestStack::with(&FREE_PORTS, &[("ChatMessageRate", "0")]);
    let access = negotiate(&stack, None).await;
    let mut slow = access.open(access.narrow_socket().await, None).await.unwrap();
    slow.shake_hands().await;
    let _without_handshake = access.open(access.socket().await, None).await.unwrap();
    let mut reader = join(&stack, None).await;
    let text = "😀".repeat(4_096);
    let mut sent = Vec::new();
    for _ in 0..MESSAGES {
        let published = stack.send(None, &json!({"text": text})).await;
        assert_eq!(reader.message().await["id"], published["id"]);
        sent.push(published["id"].clone());
    }
    stack.send(None, &json!({"text": "marker"})).await;
    let found = slow.before("marker").await.into_iter().map(|mut message| message["id"].take());
    assert!(found.eq(sent), "a message is missing, was doubled or came too early");
}

#[tokio::test]
async fn a_token_in_a_websocket_query_is_not_logged() {
    let mut stack = TestStack::with(&FREE_PORTS, &[("RUST_LOG", "trace")]);
    let access = negotiate(&stack, Some(&stack.sign_in("alice@contoso.com").await)).await;
    let mut client = access.open(access.socket().await, None).await.unwrap();
    client.shake_hands().await;
    let rejected = NegotiateResponse { token: format!("{}x", access.token), ..access.clone() };
    assert!(rejected.open(rejected.socket().await, None).await.is_err());
    stack.send(None, &json!({"text": "a text for the room"})).await;
    client.message().await;
    let logged = stack.stop();
    assert!(logged.contains("/client/"), "the log is too short for this test: {logged}");
    for secret in [access.token.as_str(), "access_token", "eyJ", "a text for the room"] {
        assert!(!logged.contains(secret), "{secret} in {logged}");
    }
}

#[tokio::test]
async fn messages_and_negotiation_work_after_a_restart_of_the_service() {
    let keyed = format!("Endpoint=http://localhost;Port=8888;AccessKey={KEY};Version=1.0;");
    let emulator = |port: &str| {
        TestStack::with(&["emulator", "--port", port], &[("AzureSignalRConnectionString", keyed.as_str())])
    };
    let service = emulator("0");
    let connection = service.printed("connection").unwrap();
    let port = port(&service.service()).to_string();
    let signalr = ("AzureSignalRConnectionString", connection.as_str());
    let kept = TestStack::with(&FREE_PORTS, &[signalr, ("RUST_LOG", "warn")]);
    let stack = TestStack::with(&FREE_PORTS, &[signalr, ("RUST_LOG", "warn"), ("ChatHistory", "off")]);
    let alice = stack.sign_in("alice@contoso.com").await;
    let mut before = join(&stack, Some(&alice)).await;
    let first = stack.send(Some(&alice), &json!({"text": "one"})).await;
    assert_eq!(before.message().await, first);

    drop(service);
    assert_eq!(before.record().await, None, "a connection outlived its service");
    let lost = |stack: &TestStack| stack.post_as(None, "/api/messages").json(&json!({"text": "lost"})).send();
    let response = lost(&stack).await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, (503, "unavailable".to_owned()));
    let answer: Value = lost(&kept).await.unwrap().json().await.unwrap();
    assert_eq!(answer["live"], false);

    let _service = emulator(&port);
    let mut after = join(&stack, Some(&alice)).await;
    let second = stack.send(Some(&alice), &json!({"text": "two"})).await;
    assert_eq!(after.message().await, second);
    let page = json_of(kept.get("/api/history")).await;
    assert_eq!((&page["messages"][0]["at"], &page["messages"][0]["text"]), (&answer["at"], &json!("lost")));
}
