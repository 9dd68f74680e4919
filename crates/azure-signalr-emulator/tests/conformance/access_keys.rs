//! The file of access keys, changed while clients connect and callers send.

use std::cell::Cell;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::HeaderMap;
use azure_signalr_emulator::{AccessKeyFile, Options, TemplateSource, UpstreamOptions};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{DEADLINE, TestService, now, sign};

/// A file of access keys, removed on drop.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(keys: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("access-keys-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = Self(std::env::temp_dir().join(name));
        file.write(keys);
        file
    }

    /// Overwrites the file in place.
    fn write(&self, keys: &[&str]) {
        fs::write(&self.0, keys.join("\n")).unwrap();
    }

    async fn service(&self) -> TestService {
        let access_keys_file = Some(AccessKeyFile::read(&self.0).unwrap());
        TestService::with(Options { access_keys_file, ..Options::default() }).await
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn signed(key: &str, audience: &str) -> String {
    sign(key, &json!({"alg": "HS256"}), &json!({"aud": audience, "exp": now() + 3600}))
}

fn client_token(key: &str) -> String {
    signed(key, "http://localhost/client/?hub=chat")
}

async fn send(service: &TestService, key: &str, text: &str) -> u16 {
    let path = "/api/hubs/chat/:send";
    let token = signed(key, &format!("http://localhost{path}"));
    let request = service.request(Method::POST, &format!("{path}?api-version=2022-06-01")).bearer_auth(token);
    request.json(&json!({"target": "t", "arguments": [text]})).send().await.unwrap().status().as_u16()
}

/// Waits until the first key of the service is `key`.
async fn wait_for_first_key(service: &TestService, key: &str) {
    let waiting = async {
        while !service.emulator.connection_string(1).contains(&format!("AccessKey={key};")) {
            // Each request takes a moment.
            assert_eq!(service.negotiate("", "no token").await.status(), 401);
        }
    };
    timeout(DEADLINE, waiting).await.expect("the file is read again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_swapped_and_replaced_under_load_without_a_refused_call_or_a_lost_message() {
    let file = KeyFile::new(&["primary", "secondary"]);
    let service = file.service().await;
    let mut receiver = service.connect("/client/?hub=chat", &client_token("secondary")).await;
    // Each version has a key in common with the one before, which callers use meanwhile.
    let mut sent = 0;
    for (keys, common) in [
        (["secondary", "primary"], "primary"),
        (["third", "secondary"], "secondary"),
        (["secondary", "third"], "third"),
    ] {
        file.write(&keys);
        let is_swapped = Cell::new(false);
        let load = async {
            let mut left = 20;
            while left > 0 {
                left -= u32::from(is_swapped.get());
                assert_eq!(
                    send(&service, common, &sent.to_string()).await,
                    202,
                    "message {sent}, {common} of {keys:?}"
                );
                assert_eq!(receiver.receive_argument().await, json!(sent.to_string()));
                sent += 1;
                let token = client_token(common);
                service.connect("/client/?hub=chat", &token).await;
                let (_, id) = service.negotiated_ids(&token).await;
                service.connect(&format!("/client/?hub=chat&id={id}"), &token).await;
            }
        };
        let swapped = async {
            wait_for_first_key(&service, keys[0]).await;
            is_swapped.set(true);
        };
        tokio::join!(load, swapped);
    }
    assert!(sent >= 60, "{sent} messages");
    // The key that was taken out is refused.
    for (key, status) in [("primary", 401), ("secondary", 202), ("third", 202)] {
        assert_eq!(send(&service, key, "last").await, status, "{key}");
    }
}

#[tokio::test]
async fn a_negotiated_client_is_refused_once_its_key_is_taken_out() {
    let file = KeyFile::new(&["old", "new"]);
    let service = file.service().await;
    let token = client_token("old");
    let (_, id) = service.negotiated_ids(&token).await;
    file.write(&["new"]);
    wait_for_first_key(&service, "new").await;
    assert_eq!(service.open(&format!("/client/?hub=chat&id={id}"), Some(&token)).await.err().unwrap().0, 401);
}

#[tokio::test]
async fn signatures_of_webhook_requests_follow_the_file() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let webhook = Router::new().fallback(async move |headers: HeaderMap| {
        sender.send(headers["x-asrs-signature"].to_str().unwrap().to_owned()).unwrap();
    });
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let template = json!({"UrlTemplate": format!("http://{}/", socket.local_addr().unwrap())});
    let templates = json!({"UpstreamSettings": {"Templates": [template]}}).to_string().parse().unwrap();
    let listening = tokio::spawn(async move { axum::serve(socket, webhook).await.unwrap() });

    let file = KeyFile::new(&["old"]);
    let service = TestService::with(Options {
        access_keys_file: Some(AccessKeyFile::read(&file.0).unwrap()),
        upstream: Some(UpstreamOptions::new(TemplateSource::Fixed(templates))),
        ..Options::default()
    })
    .await;
    // The event at the end of a connection is signed with the keys of that time, not with those of its beginning.
    let client = service.connect("/client/?hub=chat", &client_token("old")).await;
    assert_eq!(received.recv().await.unwrap().split(',').count(), 1);
    file.write(&["new", "old"]);
    wait_for_first_key(&service, "new").await;
    drop(client);
    assert_eq!(received.recv().await.unwrap().split(',').count(), 2);
    listening.abort();
}

#[test]
fn a_file_that_gives_no_keys_is_an_error_that_does_not_show_it() {
    for text in ["", "hush;hush", "one\nhush\nthree"] {
        let file = KeyFile::new(&[text]);
        let error = AccessKeyFile::read(&file.0).unwrap_err().to_string();
        assert!(error.contains("access-keys-") && !error.contains("hush"), "{error}");
    }
    assert!(AccessKeyFile::read("no such file").unwrap_err().to_string().contains("no such file"));
}
