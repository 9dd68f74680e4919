//! Tests of rooms: messages to them, `/api/rooms`, entering, leaving, and who is there.

use std::net::TcpListener;

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::room_service::{CONNECTION, RoomService, members};
use crate::test_app::{ErrorResponse, TestApp, api_error};

const NAME: &str = "x-ms-client-principal-name";
const EASY_AUTH: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "true");
const LISTED: (&str, &str) = ("ChatRooms", "Games,support");
const ANY: (&str, &str) = ("ChatRooms", "*");

const GROUPS: &str = "/api/hubs/chat/groups";

/// A handler behind Easy Auth that allows guests.
fn start_app(service: &RoomService, rooms: (&str, &str)) -> TestApp {
    TestApp::with_signalr(service.port, &[EASY_AUTH, rooms])
}

/// Calls as `user`, or as a guest.
async fn call(app: &TestApp, user: Option<&str>, method: Method, path: &str) -> Response {
    let request = app.request(method, path);
    user.into_iter().fold(request, |request, user| request.header(NAME, user)).send().await.unwrap()
}

async fn put(app: &TestApp, user: Option<&str>, room: &str, connection: &str) -> Response {
    call(app, user, Method::PUT, &format!("/api/rooms/{room}/members/{connection}")).await
}

async fn send(app: &TestApp, user: Option<&str>, draft: &Value) -> Response {
    let request = app.message(draft);
    user.into_iter().fold(request, |request, user| request.header(NAME, user)).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_room_goes_to_the_group_of_the_room() {
    let service = RoomService::start(Vec::new()).await;
    let app = start_app(&service, LISTED);
    for (user, room, expected) in [
        (Some("ann"), json!("games"), Some("games")),
        (None, json!("GAMES"), Some("games")),
        (Some("ann"), json!("Support"), Some("support")),
        (Some("ann"), json!(""), None),
        (Some("ann"), json!(null), None),
    ] {
        let response = send(&app, user, &json!({"text": "hi", "room": room, "recipient": null})).await;
        assert_eq!(response.status(), 202, "{room}");
        let published: Value = response.json().await.unwrap();
        assert_eq!(published.get("room").and_then(Value::as_str), expected, "{room}");
        let message = service.messages.lock().unwrap().remove(0);
        assert_eq!(message, json!({"target": "newMessage", "arguments": [published]}));
        let path = expected.map_or("/api/hubs/chat/:send".to_owned(), |room| format!("{GROUPS}/room:{room}/:send"));
        assert_eq!(service.take_requests(), [format!("POST {path}")], "{room}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_go_to_its_room_is_rejected_and_not_sent() {
    let service = RoomService::start(Vec::new()).await;
    let (listed, any, none) =
        (start_app(&service, LISTED), start_app(&service, ANY), start_app(&service, ("ChatRooms", "")));
    let long = "a".repeat(65);
    let user = Some("ann");
    for (app, user, draft, status, code) in [
        (&listed, user, json!({"room": "unknown"}), 404, "unknown_room"),
        (&listed, None, json!({"room": "unknown"}), 404, "unknown_room"),
        (&none, user, json!({"room": "games"}), 404, "unknown_room"),
        (&any, None, json!({"room": "games"}), 404, "unknown_room"),
        (&any, user, json!({"room": "everyone"}), 400, "invalid_message"),
        (&listed, user, json!({"room": "Everyone"}), 400, "invalid_message"),
        (&any, user, json!({"room": "a b"}), 400, "invalid_message"),
        (&any, user, json!({"room": " "}), 400, "invalid_message"),
        (&any, user, json!({"room": long}), 400, "invalid_message"),
        (&any, user, json!({"room": 7}), 400, "invalid_message"),
        (&any, user, json!({"room": "games", "recipient": "bob"}), 400, "invalid_message"),
        (&listed, user, json!({"room": "unknown", "recipient": "bob"}), 400, "invalid_message"),
    ] {
        let mut with_text = draft.clone();
        with_text["text"] = json!("hi");
        let error = ErrorResponse::read(send(app, user, &with_text).await).await;
        assert_eq!((error.status, error.code.as_str()), (status, code), "{draft}");
        assert!(status == 404 || error.message.starts_with("The room must "), "{}", error.message);
    }
    assert!(service.take_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_enters_and_leaves_the_group_of_a_room_in_any_letter_case_of_the_path() {
    let service = RoomService::start(Vec::new()).await;
    for (rooms, user) in [(LISTED, Some("ann")), (LISTED, None), (ANY, Some("ann"))] {
        let app = start_app(&service, rooms);
        for path in ["/api/rooms/games/members/", "/API/Rooms/GAMES/Members/"] {
            for (method, slash) in [(Method::PUT, ""), (Method::DELETE, ""), (Method::PUT, "/"), (Method::DELETE, "/")]
            {
                let response = call(&app, user, method.clone(), &format!("{path}{CONNECTION}{slash}")).await;
                assert_eq!(response.status(), 204, "{method} {path}");
                assert!(response.bytes().await.unwrap().is_empty());
                let expected = format!("{method} {GROUPS}/room:games/connections/{CONNECTION}");
                assert_eq!(service.take_requests(), [expected]);
            }
        }
        // Everyone is a group like a room's, which guests enter too.
        assert_eq!(put(&app, None, "Everyone", CONNECTION).await.status(), 204);
        assert_eq!(service.take_requests(), [format!("PUT {GROUPS}/room:everyone/connections/{CONNECTION}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percent_encoded_connection_id_is_decoded_once() {
    let service = RoomService::start(Vec::new()).await;
    let app = start_app(&service, LISTED);
    for (segment, sent) in [("%41b-_9SECRET", "Ab-_9SECRET"), ("Ab%2525", "Ab%2525"), ("a%2Fb", "a%2Fb")] {
        put(&app, None, "games", segment).await;
        assert_eq!(service.take_requests(), [format!("PUT {GROUPS}/room:games/connections/{sent}")], "{segment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_enter_a_room_is_told_why_and_the_service_is_not_called() {
    let service = RoomService::start(Vec::new()).await;
    let (listed, any) = (start_app(&service, LISTED), start_app(&service, ANY));
    let closed = TestApp::with_signalr(service.port, &[EASY_AUTH, LISTED, ("ChatAllowAnonymous", "false")]);
    let user = Some("ann");
    let (long, long_id) = ("a".repeat(65), "a".repeat(257));
    for (app, user, room, status, code) in [
        (&listed, user, "unknown", 404, "unknown_room"),
        (&listed, None, "unknown", 404, "unknown_room"),
        (&any, None, "games", 404, "unknown_room"),
        (&any, user, "a.b", 400, "invalid_request"),
        (&any, user, "a%20b", 400, "invalid_request"),
        (&any, user, "%C3%A4", 400, "invalid_request"),
        (&any, user, "%FF", 400, "invalid_request"),
        (&any, user, "%2A", 400, "invalid_request"),
        (&any, user, &long, 400, "invalid_request"),
        (&closed, None, "games", 401, "unauthenticated"),
        (&closed, None, "unknown", 401, "unauthenticated"),
        (&closed, None, "everyone", 401, "unauthenticated"),
    ] {
        for (method, path) in [
            (Method::PUT, format!("/api/rooms/{room}/members/{CONNECTION}")),
            (Method::DELETE, format!("/api/rooms/{room}/members/{CONNECTION}")),
            (Method::GET, format!("/api/rooms/{room}/members")),
        ] {
            let response = call(app, user, method.clone(), &path).await;
            assert_eq!(api_error(response).await, (status, code.to_owned()), "{method} {room}");
        }
    }
    for id in [long_id.as_str(), "a%20b", "%20", "%C3%A4", "%00"] {
        assert_eq!(api_error(put(&any, user, "games", id).await).await, (404, "unknown_connection".to_owned()), "{id}");
    }
    assert!(service.take_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_ended_cannot_enter_and_has_left() {
    let service = RoomService::start(Vec::new()).await;
    let app = start_app(&service, LISTED);
    // Another letter case is another connection.
    for id in ["gone", &CONNECTION.to_ascii_lowercase()] {
        let error = ErrorResponse::read(put(&app, Some("ann"), "games", id).await).await;
        assert_eq!((error.status, error.code.as_str()), (404, "unknown_connection"));
        assert!(!error.message.contains(id), "{}", error.message);
        let left = call(&app, Some("ann"), Method::DELETE, &format!("/api/rooms/games/members/{id}")).await;
        assert_eq!(left.status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_service_are_mapped_and_nothing_of_them_is_forwarded() {
    for (status, expected) in [
        (429, (429, "throttled")),
        (503, (503, "unavailable")),
        (401, (502, "upstream_rejected")),
        (404, (502, "upstream_rejected")),
    ] {
        let service = RoomService::failing(status).await;
        let app = start_app(&service, LISTED);
        for (method, path) in [
            (Method::PUT, format!("/api/rooms/games/members/{CONNECTION}")),
            (Method::DELETE, format!("/api/rooms/games/members/{CONNECTION}")),
            (Method::GET, "/api/rooms/games/members".to_owned()),
        ] {
            let response = call(&app, Some("ann"), method.clone(), &path).await;
            let wait = response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
            let text = response.text().await.unwrap();
            let body: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(body["error"]["code"], expected.1, "{status} {method}");
            assert_eq!(wait.is_some(), expected.0 != 502, "{status} {method}");
            assert!(!text.contains("SECRET"), "{text}");
        }
        assert_eq!(send(&app, None, &json!({"text": "hi", "room": "games"})).await.status(), expected.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_or_silent_service_is_an_error_with_retry_after() {
    let away = TestApp::with_signalr(1, &[EASY_AUTH, LISTED]);
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = TestApp::with_signalr(socket.local_addr().unwrap().port(), &[EASY_AUTH, LISTED]);
    let calls = [(&away, 503, "unavailable"), (&silent, 504, "upstream_timeout")].map(async |(app, status, code)| {
        let list = call(app, Some("ann"), Method::GET, "/api/rooms/games/members");
        for response in <[Response; 2]>::from(tokio::join!(put(app, Some("ann"), "games", CONNECTION), list)) {
            assert!(response.headers().contains_key("retry-after"));
            assert_eq!(api_error(response).await, (status, code.to_owned()));
        }
    });
    join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_room_are_people_once_each_and_a_number_of_guests() {
    for (users, expected) in [
        (vec![], json!({"people": [], "guests": 0, "more": false})),
        (
            vec![Some("bob"), None, Some("Ann@contoso.com"), Some("bob"), None, Some("bob")],
            json!({"people": ["Ann@contoso.com", "bob"], "guests": 2, "more": false}),
        ),
    ] {
        let service = RoomService::start(members(users)).await;
        let app = start_app(&service, LISTED);
        for (user, room, group) in
            [(Some("ann"), "games", "games"), (None, "Support", "support"), (None, "everyone", "everyone")]
        {
            let response = call(&app, user, Method::GET, &format!("/api/rooms/{room}/members")).await;
            assert_eq!(response.status(), 200);
            let headers = response.headers();
            assert_eq!(
                (&headers["cache-control"], &headers["content-type"]),
                (&"no-store".parse().unwrap(), &"application/json".parse().unwrap())
            );
            assert_eq!(response.json::<Value>().await.unwrap(), expected);
            assert_eq!(service.take_requests(), [format!("GET {GROUPS}/room:{group}/connections")]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_at_most_a_thousand_members_and_says_if_there_are_more() {
    let names: Vec<_> = (0..1_001).map(|number| format!("person-{number}")).collect();
    let people = |count: usize| names[..count].iter().map(|name| Some(name.as_str()));
    let guests = |count: usize| std::iter::repeat_n(None, count);
    for (users, listed, more, pages) in [
        (people(999).chain([Some("person-0"); 1]).collect::<Vec<_>>(), (999, 0), false, 5),
        (people(1_000).collect(), (1_000, 0), false, 5),
        (people(1_001).collect(), (1_000, 0), true, 6),
        (people(1_000).chain([Some("person-0"); 200]).collect(), (1_000, 0), false, 6),
        (people(10).chain(guests(990)).collect(), (10, 990), false, 5),
        (people(10).chain(guests(2_000)).collect(), (10, 990), true, 6),
        (vec![Some("one-person"); 2_000], (1, 0), false, 10),
        (vec![Some("one-person"); 2_001], (1, 0), true, 10),
    ] {
        let (count, service) = (users.len(), RoomService::start(members(users)).await);
        let app = start_app(&service, LISTED);
        let response = call(&app, Some("ann"), Method::GET, "/api/rooms/games/members").await;
        let list: Value = response.json().await.unwrap();
        let found = (list["people"].as_array().unwrap().len() as u64, list["guests"].as_u64().unwrap());
        assert_eq!((found, &list["more"]), (listed, &json!(more)), "{count}");
        assert_eq!(service.take_requests().len(), pages, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pages_that_show_a_room_of_a_thousand_cost_one_listing() {
    let names: Vec<_> = (0..1_000).map(|number| format!("person-{number}")).collect();
    let service = RoomService::start(members(names.iter().map(|name| Some(name.as_str())))).await;
    let app = start_app(&service, LISTED);
    let show = async |number: usize| {
        let user = format!("person-{number}");
        let response = call(&app, Some(&user), Method::GET, "/api/rooms/games/members").await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        assert!(!text.contains("SECRET"), "no connection id is in an answer");
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["people"].as_array().unwrap().len(), 1_000);
    };
    for _ in 0..3 {
        join_all((0..200).map(show)).await;
    }
    assert_eq!(service.take_requests().len(), 5, "the five pages of one listing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rooms_there_are_are_those_in_the_settings() {
    let service = RoomService::start(Vec::new()).await;
    for (rooms, expected) in
        [("", json!([])), ("Games, support", json!(["games", "support"])), ("*", json!([])), ("a", json!(["a"]))]
    {
        let app = start_app(&service, ("ChatRooms", rooms));
        for user in [Some("ann"), None] {
            let response = call(&app, user, Method::GET, "/api/rooms").await;
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.json::<Value>().await.unwrap(), json!({"rooms": expected}), "{rooms}");
        }
    }
    let closed = TestApp::with_signalr(1, &[EASY_AUTH, LISTED, ("ChatAllowAnonymous", "false")]);
    assert_eq!(api_error(call(&closed, None, Method::GET, "/api/rooms").await).await.0, 401);
    assert!(service.take_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_id_is_logged_whatever_the_path_and_the_outcome() {
    let service = RoomService::start(Vec::new()).await;
    for format in ["plain", "json"] {
        let variables = [EASY_AUTH, LISTED, ("ChatLogFormat", format), ("RUST_LOG", "debug")];
        let mut app = TestApp::with_signalr(service.port, &variables);
        for (method, path) in [
            (Method::PUT, "/api/rooms/games/members/Ab-_9SECRET"),
            (Method::DELETE, "/API/Rooms/Games/Members/Ab-_9SECRET/"),
            (Method::PUT, "/api/rooms/games/members/goneSECRET"),
            (Method::PUT, "/api/rooms/unknown/members/SECRET"),
            (Method::PUT, "/api/rooms/SECRET/members/games"),
            (Method::POST, "/api/rooms/games/members/SECRET"),
            (Method::PUT, "/api/rooms/games/members/SECRET/again"),
            (Method::PUT, "/api/room/games/members/SECRET"),
            (Method::PUT, "/api/members/SECRET"),
            (Method::PUT, "/api/%72ooms/games/%6Dembers/SECRET"),
            (Method::PUT, "/api/rooms/games/members/SECRET%zz"),
        ] {
            call(&app, Some("ann"), method, path).await;
        }
        let out = app.stop();
        assert!(out.contains("RoomMember") && out.contains("/api/rooms/{room}/members/{connectionId}"), "{out}");
        assert!(out.contains("unknown_connection") && out.contains("unknown_room"), "{out}");
        assert!(!out.contains("SECRET") && !app.process.err.text().contains("SECRET"), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_the_service_is_logged_where_it_was_called() {
    let service = RoomService::start(Vec::new()).await;
    let mut app = TestApp::with_signalr(service.port, &[EASY_AUTH, LISTED, ("ChatLogFormat", "json")]);
    put(&app, Some("ann"), "games", CONNECTION).await;
    put(&app, Some("ann"), "unknown", CONNECTION).await;
    for _ in 0..2 {
        call(&app, Some("ann"), Method::GET, "/api/rooms/games/members").await;
    }
    let out = app.stop();
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let times: Vec<_> = lines
        .filter(|line| line.get("operation").is_some())
        .map(|line| (line["operation"].as_str().unwrap().to_owned(), line.get("upstream_ms").is_some()))
        .collect();
    let expected = [("RoomMember", true), ("RoomMember", false), ("RoomMembers", true), ("RoomMembers", false)];
    assert_eq!(times, expected.map(|(operation, is_timed)| (operation.to_owned(), is_timed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_enters_and_leaves_too_often_is_limited_and_what_is_kept_is_free() {
    let service = RoomService::start(Vec::new()).await;
    let app = start_app(&service, LISTED);
    let mut count = 0;
    let limited = loop {
        let response = put(&app, Some("ann"), "games", CONNECTION).await;
        if response.status() != 204 {
            break response;
        }
        count += 1;
        assert!(count < 1_000);
    };
    assert!(count >= 240 && limited.headers().contains_key("retry-after"), "{count}");
    assert_eq!(api_error(limited).await, (429, "rate_limited".to_owned()));
    assert_eq!(put(&app, Some("bob"), "games", CONNECTION).await.status(), 204);
    assert_eq!(send(&app, Some("ann"), &json!({"text": "hi"})).await.status(), 202);
    let list = async |user| call(&app, Some(user), Method::GET, "/api/rooms/support/members").await.status();
    assert_eq!(list("bob").await, 200);
    for _ in 0..20 {
        assert_eq!(list("ann").await, 200);
    }
}

#[tokio::test]
async fn rooms_that_cannot_be_used_are_reported_by_the_name_of_the_setting() {
    for rooms in ["hush hush", "everyone", "*,hush", "hush,"] {
        let mut app = TestApp::with_signalr(1, &[("ChatRooms", rooms)]);
        let error = ErrorResponse::read(call(&app, None, Method::GET, "/api/rooms").await).await;
        assert_eq!((error.status, error.code.as_str()), (503, "not_configured"), "{rooms}");
        assert!(error.message.contains("ChatRooms") && !app.stop().contains("hush"), "{}", error.message);
    }
}
