//! Tests of rooms from handler to browser over real sockets.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use test_support::http::api_error;
use test_support::process::wait_until;
use test_support::signalr_client::Client;

use crate::test_stack::{FREE_PORTS, TestStack, json_of, negotiate};

/// A connected client: its session, and the id that the service has given its connection.
struct Member {
    session: Option<String>,
    id: String,
    client: Client,
}

impl Member {
    /// Signs in with `name` and connects; without a name it is a guest.
    async fn connect(stack: &TestStack, name: Option<&str>) -> Self {
        let session = match name {
            Some(name) => Some(stack.sign_in(name).await),
            None => None,
        };
        let access = negotiate(stack, session.as_deref()).await;
        let negotiated: Value = access.negotiate(&stack.client).await.json().await.unwrap();
        let token = negotiated["connectionToken"].as_str().unwrap();
        let mut client = access.open(access.socket().await, Some(token)).await.unwrap();
        client.shake_hands().await;
        Self { session, id: negotiated["connectionId"].as_str().unwrap().to_owned(), client }
    }

    fn call(&self, stack: &TestStack, method: Method, path: &str) -> RequestBuilder {
        let request = stack.request(method, path);
        self.session.iter().fold(request, |request, session| request.header("x-zumo-auth", session))
    }

    async fn change(&self, stack: &TestStack, method: Method, room: &str) -> u16 {
        let path = format!("/API/Rooms/{room}/Members/{}", self.id);
        self.call(stack, method, &path).send().await.unwrap().status().as_u16()
    }

    async fn send(&self, stack: &TestStack, draft: &Value) -> Value {
        stack.send(self.session.as_deref(), draft).await
    }
}

#[tokio::test]
async fn a_message_in_a_room_arrives_at_those_who_have_entered_it_only() {
    let stack = TestStack::start();
    let (mut ann, mut bob) = (Member::connect(&stack, Some("ann")).await, Member::connect(&stack, Some("bob")).await);
    let mut guest = Member::connect(&stack, None).await;
    assert_eq!(ann.change(&stack, Method::PUT, "Games").await, 204);
    assert_eq!(bob.change(&stack, Method::PUT, "games").await, 204);
    let first = ann.send(&stack, &json!({"text": "first", "room": "GAMES"})).await;
    assert_eq!(first["room"], "games");
    assert_eq!(bob.change(&stack, Method::DELETE, "games").await, 204);
    let second = ann.send(&stack, &json!({"text": "second", "room": "games"})).await;
    ann.send(&stack, &json!({"text": "marker"})).await;
    assert_eq!(ann.client.before("marker").await, [first.clone(), second]);
    assert_eq!(bob.client.before("marker").await, [first]);
    assert!(guest.client.before("marker").await.is_empty());
}

#[tokio::test]
async fn who_is_in_a_room_is_shown_without_connection_ids() {
    let stack = TestStack::start();
    let mut members = Vec::new();
    for name in [Some("bob"), Some("ann"), Some("bob"), None] {
        let member = Member::connect(&stack, name).await;
        assert_eq!(member.change(&stack, Method::PUT, "everyone").await, 204);
        members.push(member);
    }
    let response = stack.get("/api/rooms/Everyone/members").send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(members.iter().all(|member| !text.contains(&member.id)), "{text}");
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list, json!({"people": ["ann", "bob"], "guests": 1, "more": false}));
}

#[tokio::test]
async fn a_connection_that_has_ended_leaves_its_rooms_and_enters_none() {
    let stack = TestStack::with(&FREE_PORTS, &[("ChatRooms", "games")]);
    let ann = Member::connect(&stack, Some("ann")).await;
    assert_eq!(ann.change(&stack, Method::PUT, "games").await, 204);
    let Member { session, id, client } = ann;
    drop(client);
    let path = format!("/api/rooms/games/members/{id}");
    let enter = || stack.request(Method::PUT, &path).header("x-zumo-auth", session.as_deref().unwrap()).send();
    // The service notices the end of a socket a moment later.
    let mut status = 204;
    while status == 204 {
        tokio::task::yield_now().await;
        status = enter().await.unwrap().status().as_u16();
    }
    assert_eq!(api_error(enter().await.unwrap()).await, (404, "unknown_connection".to_owned()));
    let list = json_of(stack.get("/api/rooms/games/members")).await;
    assert_eq!(list, json!({"people": [], "guests": 0, "more": false}));
}

#[tokio::test]
async fn the_local_stack_has_any_room_for_people_who_have_signed_in() {
    let stack = TestStack::start();
    assert_eq!(json_of(stack.get("/api/features")).await["rooms"], "*");
    assert_eq!(json_of(stack.get("/api/rooms")).await, json!({"rooms": []}));
    let guest = Member::connect(&stack, None).await;
    assert_eq!(guest.change(&stack, Method::PUT, "begun-by-a-guest").await, 404);
    assert_eq!(guest.change(&stack, Method::PUT, "everyone").await, 204);
}

#[tokio::test]
async fn the_handler_prints_no_connection_id() {
    let mut stack = TestStack::with(&FREE_PORTS, &[("RUST_LOG", "debug")]);
    let ann = Member::connect(&stack, Some("ann")).await;
    assert_eq!(ann.change(&stack, Method::PUT, "games").await, 204);
    assert_eq!(ann.change(&stack, Method::DELETE, "games").await, 204);
    let lines = |text: &str| text.matches("/api/rooms/{room}/members/{connectionId}").count();
    wait_until("the lines of both calls", || (lines(&stack.process.out.text()) == 2).then_some(()));
    // The service, which is in the same process here, prints the ids of its connections.
    let out = stack.stop();
    let printed: Vec<_> = out.lines().filter(|line| line.contains(&ann.id) && line.contains("operation=")).collect();
    assert!(printed.is_empty(), "{printed:?}");
}
