//! Connections that are dropped, frozen, expired, or lost in a restart.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::panel::{everyone, house, journal, post};
use crate::support::{DEADLINE, client_token};

#[tokio::test]
async fn a_dropped_socket_ends_without_a_word() {
    let house = house().await;
    let (_, mut client) = house.known_client().await;
    assert_eq!(everyone(&house, "drop").await, 1);
    assert_eq!(client.last_words().await, (vec![], None));
    house.emptied().await;
    house.client().await;
}

#[tokio::test]
async fn a_client_that_can_resume_gets_what_it_missed_on_its_next_socket() {
    let house = house().await;
    let token = client_token(json!({}));
    let query = "&negotiateVersion=1&useStatefulReconnect=true";
    let answer: Value = house.negotiate(query, &token).await.json().await.unwrap();
    let path = format!("/client/?hub=chat&id={}", answer["connectionToken"].as_str().unwrap());
    let mut first = house.open(&path, Some(&token)).await.unwrap();
    first.say("{\"protocol\":\"json\",\"version\":2}\u{1e}").await;
    assert_eq!(first.hear().await, json!({}));
    assert_eq!(everyone(&house, "drop").await, 1);
    assert_eq!(first.last_words().await, (vec![], None));
    house.broadcast("missed").await;
    let mut second = house.open(&path, Some(&token)).await.unwrap();
    assert_eq!(second.hear().await, json!({"type": 9, "sequenceId": 1}));
    assert_eq!(second.argument().await, "missed");
}

#[tokio::test]
async fn a_frozen_connection_reads_and_writes_nothing_until_it_thaws() {
    let house = house().await;
    let (mut ann, mut bob) = (house.user("ann").await, house.user("bob").await);
    let whom = json!({"hub": "chat", "user": "ann"});
    assert_eq!(post(&house, "/emulator/connections/freeze", &whom).await, (200, json!({"connections": 1})));
    ann.say("{\"type\":1,\"target\":\"x\",\"invocationId\":\"1\",\"arguments\":[]}\u{1e}").await;
    house.broadcast("cold").await;
    assert_eq!(bob.argument().await, "cold");
    let sights = journal(&house, "connections").await;
    let sight = sights.iter().find(|sight| sight["user"] == "ann").unwrap();
    assert_eq!((&sight["frozen"], &sight["queued"]), (&json!(true), &json!(1)));
    let heard = journal(&house, "frames").await;
    assert!(!heard.iter().any(|frame| frame["direction"] == "fromClient" && frame["type"] == 1), "{heard:?}");

    assert_eq!(post(&house, "/emulator/connections/thaw", &whom).await.0, 200);
    let words = [ann.hear().await, ann.hear().await];
    assert!(words.contains(&json!({"type": 1, "target": "t", "arguments": ["cold"]})), "{words:?}");
    assert!(words.iter().any(|message| message["invocationId"] == "1"), "{words:?}");
}

#[tokio::test]
async fn a_frozen_connection_can_still_be_dropped() {
    let house = house().await;
    let mut client = house.client().await;
    everyone(&house, "freeze").await;
    everyone(&house, "drop").await;
    assert_eq!(client.last_words().await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn an_expired_connection_is_closed_and_may_come_back() {
    let house = house().await;
    let mut client = house.client().await;
    assert_eq!(everyone(&house, "expire").await, 1);
    let (words, code) = client.last_words().await;
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!((&words[0]["type"], &words[0]["allowReconnect"], code), (&json!(7), &json!(true), Some(1000)));
}

#[tokio::test]
async fn whom_a_command_is_for_is_chosen_by_hub_user_or_connection() {
    let house = house().await;
    let (id, mut known) = house.known_client().await;
    let (mut ann, mut bob) = (house.user("ann").await, house.user("bob").await);
    for nobody in [json!({"hub": "news"}), json!({"hub": "chat", "user": "eve"}), json!({"connection": "x"})]
    {
        assert_eq!(post(&house, "/emulator/connections/drop", &nobody).await.0, 404, "{nobody}");
    }
    for unclear in [json!({}), json!({"user": "ann"}), json!({"hup": "chat"})] {
        assert_eq!(post(&house, "/emulator/connections/drop", &unclear).await.0, 400, "{unclear}");
    }
    assert_eq!(post(&house, "/emulator/connections/melt", &json!({"hub": "chat"})).await.0, 404);
    for whom in [json!({"hub": "chat", "user": "ann"}), json!({"connection": id})] {
        assert_eq!(post(&house, "/emulator/connections/drop", &whom).await, (200, json!({"connections": 1})));
    }
    assert_eq!(ann.last_words().await, (vec![], None));
    assert_eq!(known.last_words().await, (vec![], None));
    house.broadcast("still here").await;
    assert_eq!(bob.argument().await, "still here");
}

#[tokio::test]
async fn after_a_restart_everything_is_forgotten_and_everyone_may_come_again() {
    let house = house().await;
    let token = client_token(json!({}));
    let (_, waiting) = house.ids(&token).await;
    let (id, mut client) = house.known_client().await;
    assert_eq!(post(&house, "/emulator/restart", &json!({})).await.0, 204);
    assert_eq!(client.last_words().await, (vec![], None));
    let path = format!("/api/hubs/chat/connections/{id}?api-version=2022-06-01");
    assert_eq!(house.call(Method::HEAD, &path).send().await.unwrap().status(), 404);
    let unused = format!("/client/?hub=chat&id={waiting}");
    assert_eq!(house.open(&unused, Some(&token)).await.err().unwrap().0, 404);
    let mut next = house.client().await;
    house.broadcast("new").await;
    assert_eq!(timeout(DEADLINE, next.argument()).await.unwrap(), "new");
}
