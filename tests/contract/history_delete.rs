//! Tests of removing a message, and of erasing private messages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::history_app::{ANN, BOB, GUEST, HistoryApp, draft, fields};
use crate::test_app::api_error;

async fn remove(app: &HistoryApp, user: Option<&str>, at: &Value, query: &str) -> reqwest::Response {
    app.call(user, Method::DELETE, &format!("/api/messages/{}{query}", at.as_str().unwrap())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_removed_by_its_sender_for_everyone() {
    let mut app = HistoryApp::start().await;
    let first = app.say(ANN, &draft("1", "SECRET")).await;
    let second = app.say(ANN, &draft("2", "hi")).await;
    // It was sent twice, and is shown once.
    app.say(ANN, &draft("1", "SECRET")).await;
    let before = app.published().len();
    let response = remove(&app, ANN, &first["at"], "").await;
    assert_eq!((response.status().as_u16(), &response.headers()["cache-control"] == "no-store"), (204, true));
    let told = json!({"target": "messageRemoved", "arguments": [{"at": first["at"]}]});
    assert_eq!(app.published().split_off(before), [(":send".to_owned(), told)]);
    for _ in 0..2 {
        let page = app.page(BOB, "").await;
        let shown = &page["messages"][0];
        assert_eq!((&shown["removed"], &shown["at"], &shown["next"]), (&json!(true), &first["at"], &first["next"]));
        assert!(!page.to_string().contains("SECRET"), "{page}");
        assert_eq!(page["messages"][1]["text"], second["text"]);
        app.restart();
    }
    // Again, in other letter case of the path and with a slash at the end.
    let path = format!("/API/Messages/{}/", first["at"].as_str().unwrap());
    assert_eq!(app.call(ANN, Method::DELETE, &path).await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_room_is_removed_there() {
    let app = HistoryApp::start().await;
    let said = app.say(ANN, &json!({"text": "hi", "room": "games"})).await;
    let before = app.published().len();
    assert_eq!(remove(&app, ANN, &said["at"], "?room=Games").await.status(), 204);
    let told = json!({"target": "messageRemoved", "arguments": [{"room": "games", "at": said["at"]}]});
    assert_eq!(app.published().split_off(before), [("groups/room:games/:send".to_owned(), told)]);
    assert_eq!(app.page(ANN, "room=games").await["messages"][0]["removed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_removed() {
    let app = HistoryApp::start().await;
    let anns = app.say(ANN, &draft("1", "hi")).await;
    let guests = app.say(GUEST, &json!({"text": "hi", "nickname": "ann"})).await;
    let other = app.say(Some("Guest"), &draft("2", "hi")).await;
    let at = anns["at"].as_str().unwrap();
    let middle = format!("{}{}", &at[..18], if at.ends_with('1') { "2" } else { "1" });
    let published = app.published().len();
    for (user, position, query, expected) in [
        (BOB, &anns["at"], "", (403, "not_sender")),
        (Some("Ann"), &anns["at"], "", (403, "not_sender")),
        (GUEST, &anns["at"], "", (401, "unauthenticated")),
        (GUEST, &guests["at"], "", (401, "unauthenticated")),
        (ANN, &guests["at"], "", (403, "not_sender")),
        (Some("Guest"), &guests["at"], "", (403, "not_sender")),
        (ANN, &json!(middle), "", (400, "invalid_cursor")),
        (ANN, &json!("00000001.0000000000"), "", (400, "invalid_cursor")),
        (ANN, &json!("x"), "", (400, "invalid_cursor")),
        (ANN, &other["next"], "", (400, "invalid_cursor")),
        (ANN, &anns["next"], "?room=games", (400, "invalid_cursor")),
        (ANN, &anns["at"], "?room=a%20b", (400, "invalid_request")),
        (ANN, &anns["at"], "?private", (400, "invalid_request")),
    ] {
        let (status, code) = api_error(remove(&app, user, position, query).await).await;
        assert_eq!((status, code.as_str()), expected, "{user:?} {position} {query}");
    }
    assert_eq!(app.published().len(), published);
    assert_eq!(fields(&app.page(ANN, "").await, "text"), ["hi", "hi", "hi"]);
    let listed = HistoryApp::with(&[(202, None)], &[("ChatRooms", "games")]).await;
    let response = remove(&listed, ANN, &anns["at"], "?room=other").await;
    assert_eq!(api_error(response).await, (404, "unknown_room".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_counts_although_the_service_is_away() {
    let mut app = HistoryApp::with(&[(503, None)], &[]).await;
    let said = app.say(ANN, &draft("1", "hi")).await;
    assert_eq!(remove(&app, ANN, &said["at"], "").await.status(), 204);
    assert_eq!(app.page(ANN, "").await["messages"][0]["removed"], true);
    assert_eq!(app.call(ANN, Method::DELETE, "/api/history?private").await.status(), 204);
    let out = app.app.stop();
    assert!(out.contains("pages that are open were not told"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_erases_the_own_copies_and_the_other_person_keeps_theirs() {
    let app = HistoryApp::start().await;
    let to_bob = json!({"text": "hi", "recipient": "bob"});
    let old = app.say(ANN, &to_bob).await;
    for _ in 0..2 {
        let before = app.published().len();
        let response = app.call(ANN, Method::DELETE, "/api/history?private").await;
        assert_eq!((response.status().as_u16(), &response.headers()["cache-control"] == "no-store"), (204, true));
        // The person's other tabs and devices.
        let told = json!({"target": "historyErased", "arguments": []});
        assert_eq!(app.published().split_off(before), [("users/ann/:send".to_owned(), told)]);
        assert_eq!(app.page(ANN, "private").await["messages"], json!([]));
    }
    assert_eq!(fields(&app.page(BOB, "private").await, "text"), ["hi"]);
    // An open tab goes on, and learns that something is gone.
    let new = app.say(ANN, &to_bob).await;
    assert!(new["at"] == old["next"] && new["next"].as_str() > old["next"].as_str());
    let page = app.page(ANN, &format!("private&after={}", old["at"].as_str().unwrap())).await;
    assert_eq!((&page["lost"], page["messages"].as_array().unwrap().len()), (&json!(true), 1));
    // Who has no private messages erases none.
    assert_eq!(app.call(Some("carol"), Method::DELETE, "/api/history?private").await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_private_messages_are_erased_and_only_by_a_person() {
    let app = HistoryApp::start().await;
    app.say(ANN, &draft("1", "hi")).await;
    for (user, query, expected) in [
        (GUEST, "?private", (401, "unauthenticated")),
        (ANN, "", (400, "invalid_request")),
        (ANN, "?room=games", (400, "invalid_request")),
        (ANN, "?private=false", (400, "invalid_request")),
        (ANN, "?private&with=bob", (400, "invalid_request")),
        (ANN, "?private&room=games", (400, "invalid_request")),
    ] {
        let (status, code) = api_error(app.call(user, Method::DELETE, &format!("/api/history{query}")).await).await;
        assert_eq!((status, code.as_str()), expected, "{query}");
    }
    assert_eq!(fields(&app.page(ANN, "").await, "text"), ["hi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_before_is_erased_where_private_messages_are_kept_no_more() {
    let folder = {
        let app = HistoryApp::start().await;
        app.say(ANN, &json!({"text": "hi", "recipient": "ann"})).await;
        app.folder
    };
    let variables = [("ChatHistory", folder.path()), ("ChatHistoryPrivate", "false"), ("WEBSITE_AUTH_ENABLED", "true")];
    let app = crate::test_app::TestApp::with_signalr(1, &variables);
    let request = app.request(Method::DELETE, "/api/history?private").header("x-ms-client-principal-name", "ann");
    assert_eq!(request.send().await.unwrap().status(), 204);
    let people = std::path::Path::new(folder.path()).join("people");
    let stream = std::fs::read_dir(people).unwrap().next().unwrap().unwrap().path();
    let parts = std::fs::read_dir(stream).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    assert!(parts.collect::<String>().find("sender").is_none());
}
