//! What webhooks hear, and by which template.

use axum::http::StatusCode;
use tokio::time::{Duration, advance, pause, resume};

use super::super::Outcome;
use super::*;

#[tokio::test]
async fn case_74_a_connection_is_posted_with_who_and_a_signature() {
    let webhook = Webhook::saying(StatusCode::NO_CONTENT).await;
    let upstream = upstream(everything_to(&webhook.url("/runtime/webhooks/signalr?code=k")));
    let post = upstream.connected(&alice(&upstream)).await.unwrap();
    let heard = webhook.heard().await;
    assert_eq!((heard.method.as_str(), heard.target.as_str()), ("POST", "/runtime/webhooks/signalr?code=k"));
    let expected = [
        ("content-type", "application/json"),
        ("content-length", "11"),
        ("x-asrs-connection-id", "conn-1"),
        ("x-asrs-hub", "chat"),
        ("x-asrs-category", "connections"),
        ("x-asrs-event", "connected"),
        ("x-asrs-user-id", "alice"),
        ("x-asrs-user-claims", "asrs.s.uid: alice, color: blue"),
        ("x-asrs-client-query", "?hub=chat&room=7"),
        ("x-asrs-signature", "sha256=261f7f58ff9fb9bb8be7e4951a807fe6091e5c074885bf63b865eccd28728881"),
    ];
    for (name, value) in expected {
        assert_eq!(heard.header(name), value, "{name}");
    }
    assert_eq!(heard.body, r#"{"type":10}"#);
    assert_eq!(
        (post.category, post.event.as_str(), post.outcome),
        ("connections", "connected", Outcome::Answered(204))
    );
    assert_eq!(post.url.unwrap(), webhook.url("/runtime/webhooks/signalr"));
}

#[tokio::test]
async fn case_75_a_message_is_posted_as_its_client_sent_it() {
    let webhook = Webhook::saying(StatusCode::OK).await;
    let upstream = upstream(everything_to(&webhook.url("/{hub}/{category}/{event}")));
    let client = alice(&upstream);
    let reply = upstream.message(&client, &foo(None)).await;
    assert_eq!(reply.answer, Answer::Nothing);
    let heard = webhook.heard().await;
    assert_eq!(heard.target, "/chat/messages/Foo");
    assert_eq!((heard.header("x-asrs-category"), heard.header("x-asrs-event")), ("messages", "Foo"));
    assert_eq!(heard.header("content-type"), "application/json");
    assert_eq!(heard.body, r#"{"type":1,"target":"Foo","arguments":[1]}"#);

    let forwarded = Bytes::from_static(b"\x95\x01\x80\xc0\xa2hi\x91\xa1x");
    let message = Message {
        target: "hi",
        invocation_id: None,
        protocol: Protocol::MessagePack,
        forwarded: forwarded.clone(),
    };
    upstream.message(&client, &message).await;
    let heard = webhook.heard().await;
    assert_eq!(heard.header("content-type"), "application/x-msgpack");
    assert_eq!(heard.body, forwarded);
}

#[tokio::test]
async fn case_77_the_end_of_a_connection_is_posted_with_its_reason() {
    let webhook = Webhook::saying(StatusCode::OK).await;
    let upstream = upstream(everything_to(&webhook.url("/")));
    let client = alice(&upstream);
    upstream.disconnected(&client, None).await.unwrap();
    let heard = webhook.heard().await;
    assert_eq!((heard.header("x-asrs-event"), &heard.body[..]), ("disconnected", &br#"{"type":11}"#[..]));
    upstream.disconnected(&client, Some("it fell silent")).await.unwrap();
    assert_eq!(webhook.heard().await.body, r#"{"type":11,"error":"it fell silent"}"#);
    assert!(webhook.is_quiet().await);
}

#[tokio::test]
async fn case_78_new_settings_hold_without_a_restart() {
    let webhook = Webhook::saying(StatusCode::OK).await;
    let folder = Folder::new();
    let file = folder.path().join("settings.json");
    let source = TemplateSource::File(file.clone());
    let upstream = upstream(UpstreamOptions::new(source));
    let client = alice(&upstream);
    assert!(!upstream.is_configured());
    assert!(upstream.connected(&client).await.is_none());

    let template = json!({"UrlTemplate": webhook.url("/{event}"), "EventPattern": "connected, disconnected"});
    std::fs::write(&file, json!({"UpstreamSettings": {"Templates": [template]}}).to_string()).unwrap();
    pause();
    advance(Duration::from_secs(1)).await;
    resume();
    assert!(upstream.is_configured());
    upstream.connected(&client).await.unwrap();
    assert_eq!(webhook.heard().await.target, "/connected");
}

#[tokio::test]
async fn names_of_any_script_arrive_and_none_ends_a_header() {
    let webhook = Webhook::saying(StatusCode::OK).await;
    let upstream = upstream(everything_to(&webhook.url("/{event}")));
    let claims = serde_json::Map::new();
    let facts = ClientFacts {
        connection_id: "c",
        hub: "chat",
        user: Some("Zoë\r\nX-Evil: 1"),
        claims: &claims,
        query: "q=é",
    };
    let target = "größer?\n";
    let message = Message {
        target,
        invocation_id: None,
        protocol: Protocol::Json,
        forwarded: Bytes::from_static(b"{}"),
    };
    upstream.message(&upstream.client(&facts), &message).await;
    let heard = webhook.heard().await;
    assert_eq!(heard.target, "/gr%C3%B6%C3%9Fer%3F%0A");
    assert_eq!(heard.header("x-asrs-event"), "größer?%0A");
    assert_eq!(heard.header("x-asrs-user-id"), "Zoë%0D%0AX-Evil: 1");
    assert_eq!(heard.header("x-asrs-client-query"), "?q=%C3%A9");
    assert!(!heard.headers.contains_key("x-evil"));
}

#[tokio::test]
async fn odd_addresses_are_addresses() {
    let webhook = Webhook::saying(StatusCode::OK).await;
    for (template, target) in
        [("", "/"), ("/a b?", "/a%20b?"), ("/a|b'?c=\"|'#d", "/a|b'?c=%22|%27"), ("/é//", "/%C3%A9//")]
    {
        let upstream = upstream(everything_to(&webhook.url(template)));
        let post = upstream.connected(&alice(&upstream)).await.unwrap();
        assert_eq!((post.outcome, webhook.heard().await.target.as_str()), (Outcome::Answered(200), target));
    }
}

#[tokio::test]
async fn a_name_that_makes_no_address_fails_and_harms_nobody() {
    let webhook = Webhook::saying(StatusCode::OK).await;
    let upstream = upstream(everything_to(&webhook.url("/api/{event}")));
    for target in ["..".to_owned(), "x".repeat(70_000)] {
        let message = Message {
            target: &target,
            invocation_id: Some("1"),
            protocol: Protocol::Json,
            forwarded: Bytes::from_static(b"{}"),
        };
        let reply = upstream.message(&alice(&upstream), &message).await;
        assert_eq!(reply.answer, failed("Invocation failed, status code 500"));
        assert!(reply.post.unwrap().outcome.to_string().contains("make no address"));
    }
    assert!(webhook.is_quiet().await);
}

#[tokio::test]
async fn what_is_logged_of_a_post_holds_no_secret() {
    let log = Log::new();
    let webhook = Webhook::saying(StatusCode::FORBIDDEN).await;
    let first = upstream(everything_to(&webhook.url("/api?code=hush#hush")));
    first.connected(&alice(&first)).await.unwrap();
    let second = upstream(everything_to("http://127.0.0.1:1/api?code=hush"));
    let post = second.connected(&alice(&second)).await.unwrap();
    let ours: Vec<_> = log.lines().into_iter().filter(|line| line.contains("in vain")).collect();
    assert!(ours[0].contains("answered 403") && ours[0].contains(&webhook.url("/api")), "{ours:?}");
    assert!(ours[1].contains("cannot be reached"), "{ours:?}");
    assert_eq!(ours.len(), 2);
    for text in [format!("{ours:?}"), format!("{post:?}")] {
        assert!(!text.contains("hush") && !text.contains("sha256") && !text.contains("blue"), "{text}");
    }
}
