//! Connections that are dropped, frozen, expired, or lost in a restart.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::panel::{everyone, journal, post, service};
use crate::support::{DEADLINE, client_token};

#[tokio::test]
async fn a_dropped_socket_ends_without_a_word() {
    let service = service().await;
    let (_, mut client) = service.client_with_id().await;
    assert_eq!(everyone(&service, "drop").await, 1);
    assert_eq!(client.receive_until_end().await, (vec![], None));
    service.wait_until_empty().await;
    service.client().await;
}

#[tokio::test]
async fn a_client_that_can_resume_gets_what_it_missed_on_its_next_socket() {
    let service = service().await;
    let token = client_token(json!({}));
    let query = "&negotiateVersion=1&useStatefulReconnect=true";
    let answer: Value = service.negotiate(query, &token).await.json().await.unwrap();
    let path = format!("/client/?hub=chat&id={}", answer["connectionToken"].as_str().unwrap());
    let mut first = service.open(&path, Some(&token)).await.unwrap();
    first.send_text("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(first.receive().await, json!({}));
    assert_eq!(everyone(&service, "drop").await, 1);
    assert_eq!(first.receive_until_end().await, (vec![], None));
    service.broadcast("missed").await;
    let mut second = service.open(&path, Some(&token)).await.unwrap();
    assert_eq!(second.receive().await, json!({"type": 9, "sequenceId": 1}));
    assert_eq!(second.receive_argument().await, "missed");
}

#[tokio::test]
async fn a_frozen_connection_reads_and_writes_nothing_until_it_thaws() {
    let service = service().await;
    let (mut ann, mut bob) = (service.user("ann").await, service.user("bob").await);
    let whom = json!({"hub": "chat", "user": "ann"});
    assert_eq!(post(&service, "/emulator/connections/freeze", &whom).await, (200, json!({"connections": 1})));
    ann.send_text("{\"type\":1,\"target\":\"x\",\"invocationId\":\"1\",\"arguments\":[]}\u{1e}").await;
    service.broadcast("cold").await;
    assert_eq!(bob.receive_argument().await, "cold");
    let sights = journal(&service, "connections").await;
    let sight = sights.iter().find(|sight| sight["user"] == "ann").unwrap();
    assert_eq!((&sight["frozen"], &sight["queued"]), (&json!(true), &json!(1)));
    let heard = journal(&service, "frames").await;
    assert!(!heard.iter().any(|frame| frame["direction"] == "fromClient" && frame["type"] == 1), "{heard:?}");

    assert_eq!(post(&service, "/emulator/connections/thaw", &whom).await.0, 200);
    let words = [ann.receive().await, ann.receive().await];
    assert!(words.contains(&json!({"type": 1, "target": "t", "arguments": ["cold"]})), "{words:?}");
    assert!(words.iter().any(|message| message["invocationId"] == "1"), "{words:?}");
}

#[tokio::test]
async fn a_frozen_connection_can_still_be_dropped() {
    let service = service().await;
    let mut client = service.client().await;
    everyone(&service, "freeze").await;
    everyone(&service, "drop").await;
    assert_eq!(client.receive_until_end().await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn an_expired_connection_is_closed_and_may_come_back() {
    let service = service().await;
    let mut client = service.client().await;
    assert_eq!(everyone(&service, "expire").await, 1);
    let (words, code) = client.receive_until_end().await;
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!((&words[0]["type"], &words[0]["allowReconnect"], code), (&json!(7), &json!(true), Some(1000)));
}

#[tokio::test]
async fn whom_a_command_is_for_is_chosen_by_hub_user_or_connection() {
    let service = service().await;
    let (id, mut known) = service.client_with_id().await;
    let (mut ann, mut bob) = (service.user("ann").await, service.user("bob").await);
    for nobody in [json!({"hub": "news"}), json!({"hub": "chat", "user": "eve"}), json!({"connection": "x"})]
    {
        assert_eq!(post(&service, "/emulator/connections/drop", &nobody).await.0, 404, "{nobody}");
    }
    for unclear in [json!({}), json!({"user": "ann"}), json!({"hup": "chat"})] {
        assert_eq!(post(&service, "/emulator/connections/drop", &unclear).await.0, 400, "{unclear}");
    }
    assert_eq!(post(&service, "/emulator/connections/melt", &json!({"hub": "chat"})).await.0, 404);
    for whom in [json!({"hub": "chat", "user": "ann"}), json!({"connection": id})] {
        assert_eq!(
            post(&service, "/emulator/connections/drop", &whom).await,
            (200, json!({"connections": 1}))
        );
    }
    assert_eq!(ann.receive_until_end().await, (vec![], None));
    assert_eq!(known.receive_until_end().await, (vec![], None));
    service.broadcast("still here").await;
    assert_eq!(bob.receive_argument().await, "still here");
}

#[tokio::test]
async fn after_a_restart_everything_is_forgotten_and_everyone_may_come_again() {
    let service = service().await;
    let token = client_token(json!({}));
    let (_, waiting) = service.negotiated_ids(&token).await;
    let (id, mut client) = service.client_with_id().await;
    assert_eq!(post(&service, "/emulator/restart", &json!({})).await.0, 204);
    assert_eq!(client.receive_until_end().await, (vec![], None));
    let path = format!("/api/hubs/chat/connections/{id}?api-version=2022-06-01");
    assert_eq!(service.call(Method::HEAD, &path).send().await.unwrap().status(), 404);
    let unused = format!("/client/?hub=chat&id={waiting}");
    assert_eq!(service.open(&unused, Some(&token)).await.err().unwrap().0, 404);
    let mut next = service.client().await;
    service.broadcast("new").await;
    assert_eq!(timeout(DEADLINE, next.receive_argument()).await.unwrap(), "new");
}
