//! What the store is asked for when many pages read at the same time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;
use azure_signalr::{ConnectionString, Hub};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

use crate::app::{AppParts, app};
use crate::auth::{AuthConfig, Trust};
use crate::config::AllowedRooms;
use crate::history::memory_store::{Call, CallStore, MemoryStore, Reply};
use crate::history::{History, StoreError, Stream};
use crate::telemetry::Export;

/// A store that takes 20 ms for each call.
#[derive(Clone, Debug)]
struct SlowStore(MemoryStore);

#[async_trait]
impl CallStore for SlowStore {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        sleep(Duration::from_millis(20)).await;
        self.0.apply(&call)
    }
}

fn app_over(history: History, rooms: AllowedRooms) -> Router {
    let unused: ConnectionString = "Endpoint=http://localhost:1;AccessKey=none".parse().unwrap();
    let hub = Hub::new(&unused, &"chat".parse().unwrap()).unwrap();
    let auth = AuthConfig { trust: Trust::Untrusted, validator: None, allow_anonymous: true, identity_provider: None };
    let history = Some(history);
    app(AppParts { hub, tokens: None, auth, message_rate: None, rooms, history, export: Export::default() }, "api")
}

async fn send(app: &Router, path: &str) -> Response {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

async fn get(app: &Router, path: &str) -> StatusCode {
    send(app, path).await.status()
}

/// Repeats a call that is refused, as the page does. Returns how often it was refused.
async fn get_at_last(app: &Router, path: &str) -> usize {
    for refusals in 0..5 {
        let response = send(app, path).await;
        if response.status() == StatusCode::OK {
            return refusals;
        }
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let seconds = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        sleep(Duration::from_secs(seconds)).await;
    }
    panic!("{path} is refused too often");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pages_that_miss_the_same_line_cost_at_most_ten_reads() {
    let store = SlowStore(MemoryStore::new(50_000));
    let history = History::new(Arc::new(store.clone()), true);
    let mut said = Vec::new();
    for id in 0..100 {
        let line = format!(r#"{{"id":"{id}","sender":"ann","text":"hi"}}"#);
        said.push(history.log.append(&Stream::everyone(), line.into_bytes()).await.unwrap());
    }
    for is_removed in [false, true] {
        if is_removed {
            history.log.remove(&Stream::everyone(), said[50].at, "ann", Instant::now()).await.unwrap();
        }
        let other_process = app_over(History::new(Arc::new(store.clone()), true), AllowedRooms::Any);
        store.0.take_calls();
        let path = format!("/api/history?after={}&limit=1", said[90].at);
        let refusals = join_all((0..1_000).map(|_| get_at_last(&other_process, &path))).await;
        // All at once are more than the app answers at a time.
        assert!(refusals.iter().sum::<usize>() > 100 && refusals.contains(&0), "{refusals:?}");
        let calls = store.0.take_calls();
        assert!((1..=10).contains(&calls.len()), "{calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_rooms_there_are_are_listed_once_in_thirty_seconds() {
    let store = SlowStore(MemoryStore::new(50_000));
    let history = History::new(Arc::new(store.clone()), true);
    let line = || br#"{"id":"1","sender":"ann","text":"hi"}"#.to_vec();
    history.log.append(&Stream::room("games").unwrap(), line()).await.unwrap();
    let app = app_over(history.clone(), AllowedRooms::Any);
    store.0.take_calls();
    let listings = || store.0.take_calls().iter().filter(|call| matches!(call, Call::ListRooms(_))).count();
    for (seconds, room, expected, listed) in
        [(0, "games", 200, 1), (29, "tea", 404, 0), (2, "tea", 200, 1), (0, "everyone", 200, 0)]
    {
        sleep(Duration::from_secs(seconds)).await;
        let paths = ["/api/rooms".to_owned(), format!("/api/history?room={room}")];
        let answers = join_all((0..100).map(|number| get(&app, &paths[number % 2]))).await;
        assert!(answers.iter().skip(1).step_by(2).all(|status| *status == expected), "{room} {answers:?}");
        assert_eq!(listings(), listed, "{seconds} {room}");
        history.log.append(&Stream::room("tea").unwrap(), line()).await.unwrap();
    }
    // What is in the settings is not listed at all.
    let app = app_over(history, AllowedRooms::Listed(vec!["games".parse().unwrap()]));
    assert_eq!((get(&app, "/api/history?room=games").await, listings()), (StatusCode::OK, 0));
}
