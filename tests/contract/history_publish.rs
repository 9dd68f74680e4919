//! Tests of sending messages where there is a history: what is kept, what is published, and what the answer says when one of both fails.

use std::fs::{self, File};
use std::time::Duration;

use serde_json::{Value, json};

use crate::history_app::{ANN, BOB, GUEST, HistoryApp, as_stored, draft, fields};
use crate::scripted_service::ScriptedService;
use crate::test_app::{TestApp, TestFolder, api_error, wait_until};

const EVERYONE: &str = "rooms/everyone";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_kept_and_published_with_its_position() {
    let app = HistoryApp::start().await;
    let drafts = [draft("1", "hi"), draft("2", "Zoë \"quoted\"\nline"), draft("3", "\u{2028}\u{1f600}x")];
    let mut said = Vec::new();
    for (user, draft) in [ANN, GUEST, ANN].into_iter().zip(&drafts) {
        said.push(app.say(user, draft).await);
    }
    for answer in &said {
        assert_eq!((&answer["live"], answer["at"].as_str().unwrap().len()), (&json!(true), 19), "{answer}");
    }
    for pair in said.windows(2) {
        assert_eq!(pair[0]["next"], pair[1]["at"]);
    }
    let stored: Vec<_> = said.iter().map(as_stored).collect();
    let published = app.published();
    let expected = stored.iter().map(|message| json!({"target": "newMessage", "arguments": [message]}));
    assert_eq!(published, expected.map(|body| (":send".to_owned(), body)).collect::<Vec<_>>());
    let page = app.page(GUEST, "").await;
    assert_eq!(page["messages"], json!(stored));
    assert_eq!((&page["before"], &page["after"]), (&json!(null), &said[2]["next"]));
    assert_eq!((&page["more"], &page["lost"]), (&json!(false), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_room_is_kept_with_the_room() {
    let app = HistoryApp::start().await;
    let answer = app.say(ANN, &json!({"text": "hi", "room": "Games"})).await;
    assert_eq!(app.published()[0].0, "groups/room:games/:send");
    for room in ["games", "GAMES"] {
        assert_eq!(app.page(BOB, &format!("room={room}")).await["messages"], json!([as_stored(&answer)]));
    }
    assert_eq!(app.page(BOB, "").await["messages"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_message_is_in_both_histories_and_each_copy_has_the_positions_of_its_own() {
    let app = HistoryApp::start().await;
    app.say(Some("carol"), &json!({"text": "something longer than the others", "recipient": "bob"})).await;
    let before = app.published().len();
    let answer = app.say(ANN, &json!({"text": "hi", "recipient": "bob"})).await;
    assert_eq!((&answer["live"], &answer["recipientOnline"]), (&json!(true), &json!(true)));
    let mut copies: Vec<_> = app.published().split_off(before);
    copies.sort_by(|one, other| one.0.cmp(&other.0));
    let targets: Vec<_> = copies.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(targets, ["users/ann/:send", "users/bob/:send"]);
    let [anns, bobs] = [0, 1].map(|index: usize| copies[index].1["arguments"][0].clone());
    assert_eq!(anns, as_stored(&answer), "the answer has the positions of its sender's history");
    assert_ne!(anns["at"], bobs["at"]);
    assert_eq!(app.page(ANN, "private").await["messages"], json!([anns]));
    assert_eq!(app.page(BOB, "private").await["messages"][1], bobs);
    assert_eq!(app.content("rooms"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_oneself_is_kept_and_published_once() {
    let app = HistoryApp::start().await;
    let answer = app.say(ANN, &json!({"text": "a note", "recipient": " ann "})).await;
    assert_eq!(app.published().len(), 1);
    assert_eq!(app.page(ANN, "private").await["messages"], json!([as_stored(&answer)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn private_messages_are_not_kept_where_the_setting_says_so() {
    let app = HistoryApp::with(&[(202, None)], &[("ChatHistoryPrivate", "false")]).await;
    let answer = app.say(ANN, &json!({"text": "hi", "recipient": "bob"})).await;
    for field in ["at", "next", "live"] {
        assert_eq!(answer.get(field), None);
    }
    assert_eq!((app.published().len(), app.content("people").as_str()), (2, ""));
    assert_eq!(app.say(ANN, &json!({"text": "hi"})).await["live"], true);
    let features = app.call(GUEST, reqwest::Method::GET, "/api/features").await;
    let features: Value = features.json().await.unwrap();
    assert_eq!((&features["history"], &features["privateHistory"]), (&json!(true), &json!(false)));
    assert_eq!(api_error(app.get(ANN, "private").await).await, (404, "history_disabled".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_history_nothing_is_said_about_one() {
    let service = ScriptedService::start(&[(202, None)]).await;
    for setting in ["", "off"] {
        let app = TestApp::with_signalr(service.port, &[("ChatHistory", setting)]);
        let answer: Value = app.message(&json!({"text": "hi"})).send().await.unwrap().json().await.unwrap();
        let mut names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["id", "isGuest", "sender", "sentAt", "text"]);
        for (method, path) in
            [("GET", "/api/history"), ("DELETE", "/api/history?private"), ("DELETE", "/api/messages/x")]
        {
            let response = app.request(method.parse().unwrap(), path).send().await.unwrap();
            assert_eq!(api_error(response).await, (404, "history_disabled".to_owned()), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_service_does_not_take_is_accepted_and_not_live() {
    for (reply, recipient) in [((503, None), None), ((400, None), None), ((503, None), Some("bob")), ((0, None), None)]
    {
        let mut app = HistoryApp::with(&[reply], &[]).await;
        let answer = app.say(ANN, &json!({"text": "hi", "recipient": recipient})).await;
        assert_eq!(answer["live"], false, "{reply:?}");
        let query = if recipient.is_some() { "private" } else { "" };
        assert_eq!(app.page(ANN, query).await["messages"], json!([as_stored(&answer)]));
        if recipient.is_some() {
            assert_eq!(fields(&app.page(BOB, query).await, "text"), ["hi"]);
        }
        let out = app.app.stop();
        let lines: Vec<_> = out.lines().filter(|line| line.contains("not_live")).collect();
        assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("status=202"), "{out}");
        assert!(!out.contains("SECRET") && out.matches("WARN").count() == 1, "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_service_makes_a_message_not_live() {
    let folder = TestFolder::new();
    let app = TestApp::with_signalr(1, &[("ChatHistory", folder.path())]);
    let answer: Value = app.message(&json!({"text": "hi"})).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["live"], false);
    let page: Value = app.get("/api/history").send().await.unwrap().json().await.unwrap();
    assert_eq!(fields(&page, "text"), ["hi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_copy_for_the_sender_is_a_warning() {
    // The service refuses one of the two copies, whichever comes second.
    let mut app = HistoryApp::with(&[(202, None), (400, None)], &[]).await;
    let response = app.send(ANN, &json!({"text": "hi", "recipient": "bob"})).await;
    assert_eq!(response.status(), 202);
    let out = app.app.stop();
    assert_eq!(out.matches("WARN").count(), 1, "{out}");
    assert!(!out.contains("bob"), "{out}");
}

/// Breaks the store, checks that messages fail and are not published, mends it, and checks that the next one works.
async fn check_fault(app: &HistoryApp, fault: &str, break_it: impl FnOnce(), mend: impl FnOnce()) {
    break_it();
    let calls = app.published().len();
    let response = app.send(ANN, &draft("lost", "lost")).await;
    let wait = response.headers().get("retry-after").cloned();
    assert_eq!(api_error(response).await, (503, "history_unavailable".to_owned()), "{fault}");
    assert!(wait.is_some(), "{fault}");
    assert_eq!(app.published().len(), calls, "{fault}");
    mend();
    let answer = app.say(ANN, &draft("found", fault)).await;
    // The one that failed may have been kept, before or after this one.
    let page = app.page(ANN, "").await;
    assert!(page["messages"].as_array().unwrap().contains(&as_stored(&answer)), "{fault}: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_published_and_the_next_message_is() {
    let app = HistoryApp::start().await;
    app.say(ANN, &draft("1", "hi")).await;
    let (root, rooms, room) = (app.path(""), app.path("rooms"), app.path(EVERYONE));
    let aside = app.path("aside");
    let away = || fs::rename(&rooms, &aside).and_then(|()| fs::write(&rooms, "a file")).unwrap();
    let back = || fs::remove_file(&rooms).and_then(|()| fs::rename(&aside, &rooms)).unwrap();
    check_fault(&app, "the folder is a file", away, back).await;
    let lock = File::options().write(true).open(room.join(".lock")).unwrap();
    check_fault(&app, "another process keeps the lock", || lock.lock().unwrap(), || lock.unlock().unwrap()).await;
    // A full disk takes no byte of the first line of a part.
    let full = || {
        fs::remove_dir_all(&room).unwrap();
        fs::create_dir_all(&room).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/dev/full", room.join("00000001.jsonl")).unwrap();
    };
    if cfg!(target_os = "linux") {
        check_fault(&app, "the disk is full", full, || fs::remove_dir_all(&room).unwrap()).await;
    }
    // A folder that is deleted is created again.
    fs::remove_dir_all(root).unwrap();
    app.say(ANN, &draft("last", "last")).await;
    assert_eq!(fields(&app.page(ANN, "").await, "id"), ["last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_sender_disconnects_is_kept_and_published() {
    let app = HistoryApp::start().await;
    app.say(ANN, &draft("1", "hi")).await;
    let lock = File::options().write(true).open(app.path(EVERYONE).join(".lock")).unwrap();
    lock.lock().unwrap();
    let closed_tab = app.app.message(&draft("2", "bye")).timeout(Duration::from_millis(300)).send().await;
    assert!(closed_tab.unwrap_err().is_timeout());
    lock.unlock().unwrap();
    wait_until("the message to be published", || (app.published().len() == 2).then_some(()));
    assert_eq!(fields(&app.page(ANN, "").await, "id"), ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipients_history_that_fails_is_an_error_and_the_senders_is_not() {
    let mut app = HistoryApp::start().await;
    app.say(ANN, &json!({"text": "a note", "recipient": "ann"})).await;
    let anns = fs::read_dir(app.path("people")).unwrap().next().unwrap().unwrap().path();
    let published = app.published().len();
    fs::remove_dir_all(&anns).unwrap();
    fs::write(&anns, "a file").unwrap();
    let response = app.send(BOB, &json!({"text": "hi", "recipient": "ann"})).await;
    assert_eq!(api_error(response).await, (503, "history_unavailable".to_owned()));
    assert_eq!(app.published().len(), published);
    assert_eq!(app.page(BOB, "private").await["messages"], json!([]));
    let answer = app.say(ANN, &json!({"text": "hi", "recipient": "bob"})).await;
    assert_eq!((answer.get("at"), answer.get("next"), &answer["live"]), (None, None, &json!(true)));
    let copies = app.published().split_off(published);
    let copy = |user: &str| copies.iter().find(|(target, _)| target.contains(user)).unwrap().1["arguments"][0].clone();
    assert_eq!(copy("users/ann"), as_stored(&answer));
    assert_eq!(app.page(BOB, "private").await["messages"], json!([copy("users/bob")]));
    let out = app.app.stop();
    assert!(out.lines().any(|line| line.contains("WARN") && line.contains("own copy")), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_again_is_shown_once() {
    let app = HistoryApp::start().await;
    let first = app.say(ANN, &draft("1", "hi")).await;
    let again = app.say(ANN, &draft("1", "hi")).await;
    assert!(again["at"].as_str() > first["at"].as_str());
    // By id alone one person could hide another's message.
    app.say(BOB, &draft("1", "hi")).await;
    app.say(ANN, &draft("1", "other")).await;
    let page = app.page(ANN, "").await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 3);
    assert_eq!(page["messages"][0], as_stored(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_many_at_once_are_in_one_order_without_a_seam() {
    let app = HistoryApp::with(&[(202, None)], &[("ChatMessageRate", "0")]).await;
    let drafts: Vec<_> = (0..200).map(|id| draft(&id.to_string(), "hi")).collect();
    let said = futures_util::future::join_all(drafts.iter().map(|draft| app.say(ANN, draft))).await;
    let mut positions: Vec<_> =
        said.iter().map(|answer| (answer["at"].to_string(), answer["next"].to_string())).collect();
    positions.sort();
    assert!(positions.windows(2).all(|pair| pair[0].1 == pair[1].0), "{positions:?}");
    let (mut messages, mut query) = (Vec::new(), "limit=100".to_owned());
    loop {
        let page = app.page(ANN, &query).await;
        messages.splice(0..0, page["messages"].as_array().unwrap().clone());
        let Some(before) = page["before"].as_str() else { break };
        query = format!("limit=100&before={before}");
    }
    assert_eq!(messages.len(), 200);
    let order: Vec<_> =
        messages.iter().map(|message| (message["at"].to_string(), message["next"].to_string())).collect();
    assert_eq!(order, positions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_used_at_the_start_is_named_by_its_setting() {
    let folder = TestFolder::new();
    fs::write(folder.path(), "a file").unwrap();
    let mut app = TestApp::with_signalr(1, &[("ChatHistory", folder.path())]);
    let response = app.message(&json!({"text": "hi"})).send().await.unwrap();
    assert_eq!(api_error(response).await, (503, "not_configured".to_owned()));
    let out = app.stop();
    assert!(out.contains("ChatHistory: cannot be used") && !out.contains(folder.path()), "{out}");
}
