//! Tests of `GET /api/history`: pages, positions, who may read, and a store that fails.

use std::fs;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::history_app::{ANN, BOB, GUEST, HistoryApp, draft, fields};
use crate::test_app::{TestApp, TestFolder, api_error};

async fn say_all(app: &HistoryApp, ids: impl IntoIterator<Item = &str>) -> Vec<Value> {
    let mut said = Vec::new();
    for id in ids {
        said.push(app.say(ANN, &draft(id, "hi")).await);
    }
    said
}

fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap()
}

/// The position so many bytes behind another one.
fn behind(position: &str, bytes: u64) -> String {
    let (part, offset) = position.split_once('.').unwrap();
    format!("{part}.{:010}", offset.parse::<u64>().unwrap() + bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_in_both_directions() {
    let mut app = HistoryApp::start().await;
    let mut said = say_all(&app, ["1", "2", "3"]).await;
    // Each start begins a new part.
    app.restart();
    said.extend(say_all(&app, ["4", "5"]).await);
    assert_eq!(app.parts("rooms/everyone").len(), 2);
    let at = |index: usize| text(&said[index], "at");
    let end = text(&said[4], "next");
    for (query, ids, before, after, more) in [
        (String::new(), "12345", None, Some(end), false),
        ("limit=2".to_owned(), "45", Some(at(3)), Some(end), true),
        (format!("limit=2&before={}", at(3)), "23", Some(at(1)), Some(at(3)), true),
        (format!("before={}", at(1)), "1", None, Some(at(1)), false),
        (format!("before={}", at(0)), "", None, Some(at(0)), false),
        (format!("limit=2&after={}", at(0)), "12", Some(at(0)), Some(at(2)), true),
        (format!("after={}", at(2)), "345", Some(at(2)), Some(end), false),
        (format!("after={end}"), "", Some(end), Some(end), false),
    ] {
        let page = app.page(GUEST, &query).await;
        assert_eq!(fields(&page, "id").concat(), ids, "{query}");
        assert_eq!((page["before"].as_str(), page["after"].as_str()), (before, after), "{query}");
        assert_eq!((&page["more"], &page["lost"]), (&json!(more), &json!(false)), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_without_messages_is_an_empty_page() {
    let app = HistoryApp::start().await;
    let empty = json!({"messages": [], "before": null, "after": null, "more": false, "lost": false});
    for query in ["", "room=games", "private", "private&with=bob"] {
        assert_eq!(app.page(ANN, query).await, empty, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_none_of_the_history_is_an_invalid_cursor() {
    let app = HistoryApp::start().await;
    let said = say_all(&app, ["1", "2"]).await;
    let other = app.say(ANN, &json!({"id": "1", "text": "longer than the others", "room": "games"})).await;
    let private =
        app.say(BOB, &json!({"id": "1", "text": "even longer than all of the others", "recipient": "ann"})).await;
    let (at, end) = (text(&said[1], "at"), text(&said[1], "next"));
    let part: u64 = at[..8].parse().unwrap();
    for (name, position) in [
        ("empty", ""),
        ("no position", "null"),
        ("one number", "0"),
        ("without zeros", "17.689"),
        ("too short", "00000017.000000068"),
        ("with a sign", "+0000017.0000000689"),
        ("with a letter", "x0000017.0000000689"),
        ("in the middle of a line", &behind(at, 1)),
        ("in the first line of a part", &format!("{part:08}.0000000005")),
        ("right behind the end", &behind(end, 1)),
        ("of the future, in the last part", &behind(end, 1_000)),
        ("of the future, in the next part", &format!("{:08}.0000000000", part + 1)),
        ("of the future, the highest", "99999999.9999999999"),
        ("of a room", text(&other, "next")),
        ("of private messages", text(&private, "next")),
    ] {
        for parameter in ["before", "after"] {
            let response = app.get(ANN, &format!("{parameter}={}", position.replace('+', "%2B"))).await;
            assert_eq!(api_error(response).await, (400, "invalid_cursor".to_owned()), "{name}: {parameter}={position}");
            assert_eq!(fields(&app.page(ANN, "").await, "id"), ["1", "2"], "{name}");
        }
    }
    // The history is the request's, so a position of another one shows nothing of that.
    assert_eq!(api_error(app.get(ANN, &format!("room=games&after={end}")).await).await.1, "invalid_cursor");
    assert_eq!(fields(&app.page(ANN, "").await, "id"), ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_said_to_be_lost() {
    let mut app = HistoryApp::start().await;
    let old = say_all(&app, ["1", "2"]).await;
    app.restart();
    let new = say_all(&app, ["3"]).await;
    fs::remove_file(&app.parts("rooms/everyone")[0]).unwrap();
    app.restart();
    let at = |index: usize| text(&old[index], "at");
    for (name, query, ids, lost) in [
        ("before, in a part that is gone", format!("before={}", at(1)), "", true),
        ("after the beginning of a part that is gone", format!("after={}", at(0)), "3", true),
        ("after the middle of a part that is gone", format!("after={}", at(1)), "3", true),
        (
            "after the end of a part that is gone: nothing is missing",
            format!("after={}", text(&old[1], "next")),
            "3",
            false,
        ),
        ("the newest page", String::new(), "3", false),
    ] {
        let page = app.page(ANN, &query).await;
        assert_eq!((fields(&page, "id").concat(), &page["lost"]), (ids.to_owned(), &json!(lost)), "{name}: {query}");
        assert!(!query.starts_with("before") || page["before"].is_null(), "{page}");
    }
    // The newest page and the next message are as ever.
    let next = app.say(ANN, &draft("4", "hi")).await;
    assert_eq!(next["at"], new[0]["next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_not_shown_and_the_next_message_is() {
    let mut app = HistoryApp::start().await;
    // What is added to the part, and to a file beside it.
    let rows: [(&str, &[u8], Option<&str>); 7] = [
        ("half-a-line", b"{\"id\":\"2\",\"sender\":\"mallory\"", None),
        ("a-bad-line", b"not JSON\n", None),
        ("no-object", b"[]\n", None),
        ("no-text", b"{\"id\":7}\n{\"id\":\"2\",\"sender\":\"mallory\"}\n", None),
        ("no-utf8", b"\xff\xfe\n", None),
        ("empty-lines-and-half-a-line", b"\n\n\nx", None),
        ("a-foreign-file", b"", Some("notes.txt")),
    ];
    let in_room = |room: &str, id: &str| json!({"id": id, "text": "hi", "room": room});
    for (room, ..) in rows.iter().chain(&[("an-empty-part", &b""[..], None)]) {
        app.say(ANN, &in_room(room, "1")).await;
    }
    for (room, bytes, file) in rows {
        use std::io::Write as _;
        let part = app.parts(&format!("rooms/{room}")).remove(0);
        fs::File::options().append(true).open(&part).unwrap().write_all(bytes).unwrap();
        file.into_iter().for_each(|file| fs::write(part.with_file_name(file), "hi").unwrap());
    }
    let part = app.parts("rooms/an-empty-part").remove(0);
    let number: u64 = part.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::write(part.with_file_name(format!("{:08}.jsonl", number + 1)), "").unwrap();
    app.restart();
    for room in rows.map(|(room, ..)| room).into_iter().chain(["an-empty-part"]) {
        let page = app.page(ANN, &format!("room={room}")).await;
        assert_eq!((fields(&page, "id"), page["before"].is_null()), (vec!["1".to_owned()], true), "{room}");
        let next = app.say(ANN, &in_room(room, "3")).await;
        assert_eq!(fields(&app.page(ANN, &format!("room={room}")).await, "id"), ["1", "3"], "{room}");
        assert_eq!(next["at"], page["after"], "{room}");
    }
    let out = app.app.stop();
    assert!(out.contains("no messages") && !out.contains("mallory"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_wrong_is_rejected_by_the_name_of_its_field() {
    let app = HistoryApp::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("room=a%20b", "room"),
        ("room=a&room=b", "room"),
        ("room=a&private", "room"),
        ("with=bob", "with"),
        ("private&with=", "with"),
        ("private=false", "private"),
        ("before=00000017.0000000689&after=00000017.0000000689", "before"),
    ] {
        let response = app.get(ANN, query).await;
        let text = response.text().await.unwrap();
        assert!(text.contains("invalid_request") && text.contains(&format!("The {field} ")), "{query}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_read_by_everyone_who_may_enter_it() {
    let app = HistoryApp::with(&[(202, None)], &[("ChatRooms", "games")]).await;
    app.say(ANN, &json!({"text": "hi", "room": "games"})).await;
    for user in [ANN, BOB, GUEST] {
        assert_eq!(fields(&app.page(user, "room=Games").await, "text"), ["hi"]);
        assert_eq!(api_error(app.get(user, "room=other").await).await, (404, "unknown_room".to_owned()));
    }
    let closed = HistoryApp::with(&[(202, None)], &[("ChatAllowAnonymous", "false")]).await;
    assert_eq!(api_error(closed.get(GUEST, "").await).await, (401, "unauthenticated".to_owned()));
    assert_eq!(closed.get(ANN, "").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rooms_have_any_name_those_with_messages_are_listed_and_guests_begin_none() {
    let mut app = HistoryApp::start().await;
    let in_tea = json!({"text": "hi", "room": "tea"});
    for path in ["/api/history?room=tea", "/api/rooms/tea/members"] {
        let response = app.call(GUEST, Method::GET, path).await;
        assert_eq!(api_error(response).await, (404, "unknown_room".to_owned()), "{path}");
    }
    assert_eq!(api_error(app.send(GUEST, &in_tea).await).await, (404, "unknown_room".to_owned()));
    app.say(GUEST, &json!({"text": "hi"})).await;
    app.say(ANN, &in_tea).await;
    app.say(ANN, &json!({"text": "hi", "room": "Coffee"})).await;
    // The list is kept for a while; another process makes its own.
    app.restart();
    let rooms: Value = app.call(GUEST, Method::GET, "/api/rooms").await.json().await.unwrap();
    assert_eq!(rooms, json!({"rooms": ["coffee", "tea"]}));
    app.say(GUEST, &in_tea).await;
    assert_eq!(fields(&app.page(GUEST, "room=tea").await, "sender"), ["ann", "Guest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_the_own_private_messages_and_no_other_person_does() {
    let app = HistoryApp::start().await;
    app.say(ANN, &json!({"text": "to bob", "recipient": "bob"})).await;
    app.say(BOB, &json!({"text": "to ann", "recipient": "ann"})).await;
    app.say(ANN, &json!({"text": "to carol", "recipient": "carol"})).await;
    app.say(ANN, &json!({"text": "to Ann", "recipient": "Ann"})).await;
    for (user, query, texts) in [
        ("ann", "private", &["to bob", "to ann", "to carol", "to Ann"][..]),
        ("ann", "private&with=bob", &["to bob", "to ann"]),
        ("ann", "private&with=%20bob%20", &["to bob", "to ann"]),
        ("ann", "private&with=Bob", &[]),
        ("ann", "private&with=ann", &[]),
        ("bob", "private", &["to bob", "to ann"]),
        ("bob", "private&with=carol", &[]),
        ("carol", "private", &["to carol"]),
        ("carol", "private&with=bob", &[]),
        ("Ann", "private", &["to Ann"]),
        ("ann ", "private&with=carol", &["to carol"]),
        ("mallory", "private&with=ann", &[]),
        // None of these names a private history.
        ("mallory", "", &[]),
        ("mallory", "room=people", &[]),
    ] {
        assert_eq!(fields(&app.page(Some(user), query).await, "text"), texts, "{user} {query}");
    }
    for query in ["private", "private&with=ann"] {
        assert_eq!(api_error(app.get(GUEST, query).await).await, (401, "unauthenticated".to_owned()));
    }
    let parts = app.call(Some("mallory"), Method::GET, "/api/history?room=..%2Fpeople").await;
    assert_eq!(api_error(parts).await, (400, "invalid_request".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_unavailable_and_the_next_read_works() {
    let app = HistoryApp::start().await;
    say_all(&app, ["1"]).await;
    let (rooms, aside) = (app.path("rooms"), app.path("aside"));
    // What was read is kept for a second.
    let gone = async || {
        loop {
            let response = app.get(ANN, "").await;
            if response.status() != 200 {
                return response;
            }
            tokio::task::yield_now().await;
        }
    };
    fs::rename(&rooms, &aside).unwrap();
    fs::write(&rooms, "a file").unwrap();
    let response = gone().await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(api_error(response).await, (503, "history_unavailable".to_owned()));
    let rooms_list = app.call(GUEST, Method::GET, "/api/rooms").await;
    assert_eq!(api_error(rooms_list).await, (503, "history_unavailable".to_owned()));
    fs::remove_file(&rooms).unwrap();
    fs::rename(&aside, &rooms).unwrap();
    assert_eq!(fields(&app.page(ANN, "").await, "id"), ["1"]);
    assert_eq!(app.call(GUEST, Method::GET, "/api/rooms").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_reads_too_often_is_limited_and_no_other_is() {
    let app = HistoryApp::start().await;
    let pages = join_all((0..400).map(|_| app.get(ANN, ""))).await;
    let limited: Vec<_> = pages.into_iter().filter(|page| page.status() == 429).collect();
    assert!(limited.len() > 50 && limited.len() <= 160, "{}", limited.len());
    for response in limited {
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(api_error(response).await, (429, "rate_limited".to_owned()));
    }
    assert_eq!(app.get(BOB, "").await.status(), 200);
    assert_eq!(app.send(ANN, &draft("1", "hi")).await.status(), 202);
}

#[tokio::test]
async fn the_features_say_whether_there_is_a_history() {
    let folder = TestFolder::new();
    for (history, private, expected) in [
        ("", "", [false, false]),
        ("off", "true", [false, false]),
        (folder.path(), "", [true, true]),
        (folder.path(), "false", [true, false]),
    ] {
        let app = TestApp::with_signalr(1, &[("ChatHistory", history), ("ChatHistoryPrivate", private)]);
        let features: Value = app.get("/api/features").send().await.unwrap().json().await.unwrap();
        assert_eq!([&features["history"], &features["privateHistory"]], expected, "{history} {private}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_no_query_and_no_name() {
    let mut app = HistoryApp::with(&[(202, None)], &[("RUST_LOG", "debug")]).await;
    app.say(ANN, &json!({"text": "SECRET-text", "recipient": "SECRET-bob"})).await;
    app.get(ANN, "private&with=SECRET-bob").await;
    app.get(ANN, "private&with=SECRET-bob&limit=0").await;
    app.call(ANN, Method::DELETE, "/api/messages/SECRET-position").await;
    app.call(ANN, Method::DELETE, "/api/history?private").await;
    let out = app.app.stop();
    assert!(out.contains("operation=\"History\"") && out.contains("/api/messages/{at}"), "{out}");
    assert!(out.contains("upstream_ms") && !out.contains("SECRET"), "{out}");
}
