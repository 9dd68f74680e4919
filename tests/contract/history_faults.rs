//! A disk that is full or read-only, and an erasure while others write.

use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::history_app::{ANN, BOB, HistoryApp, as_stored};
use crate::test_app::{TestFolder, api_error};

const NO_LIMITS: &[(&str, &str)] = &[("ChatMessageRate", "0")];

/// A small disk of its own, on Linux. Only root may mount one.
struct Disk(TestFolder);

impl Disk {
    fn mount(options: &str) -> Option<Self> {
        let folder = TestFolder::new();
        std::fs::create_dir_all(folder.path()).unwrap();
        let disk = Self(folder);
        disk.remount(options).then_some(disk)
    }

    fn remount(&self, options: &str) -> bool {
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs", self.0.path()];
        Command::new("mount").args(arguments).output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_read_only_takes_no_message_and_loses_none() {
    let Some(disk) = Disk::mount("size=256k") else { return };
    let app = HistoryApp::at(&format!("{}/history", disk.0.path()), NO_LIMITS).await;
    let filler = format!("{}/filler", disk.0.path());
    std::fs::write(&filler, [b'x'; 64 * 1_024]).unwrap();
    let mut accepted = Vec::new();
    let mut say = async |id: usize| {
        let response = app.send(ANN, &json!({"id": id.to_string(), "text": "x".repeat(id * 37 % 4_000 + 1)})).await;
        if response.status() == 202 {
            accepted.push(as_stored(&response.json().await.unwrap()));
            return true;
        }
        assert_eq!(api_error(response).await, (503, "history_unavailable".to_owned()), "{id}");
        false
    };
    let mut id = 0;
    let mut next = || {
        id += 1;
        id
    };
    while say(next()).await {}
    // A shorter one may fit.
    for _ in 0..5 {
        say(next()).await;
    }
    std::fs::remove_file(&filler).unwrap();
    assert!(say(next()).await, "there is room again");
    assert!(disk.remount("remount,ro"));
    let read_only = [say(next()).await, say(next()).await];
    assert_eq!((read_only, app.get(BOB, "").await.status().as_u16()), ([false, false], 200));
    assert!(disk.remount("remount,rw"));
    assert!(say(next()).await, "it can be written to again");
    let (mut messages, mut before) = (Vec::new(), String::new());
    loop {
        let page = app.page(BOB, &format!("limit=100{before}")).await;
        messages.splice(0..0, page["messages"].as_array().unwrap().clone());
        let Some(position) = page["before"].as_str() else { break };
        before = format!("&before={position}");
    }
    assert_eq!(messages, accepted);
}

const ERASURES: usize = 4;

/// Ann and Bob write to each other by two handlers, and Ann erases her copies meanwhile.
pub(crate) async fn check_erase(place: &str) {
    let [one, other] = [HistoryApp::at(place, NO_LIMITS).await, HistoryApp::at(place, NO_LIMITS).await];
    let begin = Instant::now();
    let erased: Mutex<Vec<(Duration, Duration)>> = Mutex::default();
    // Each writes until the last erasure has ended, and some messages more.
    let write = async |writer: usize, app: &HistoryApp, user, recipient: &str| {
        let (mut said, mut left) = (Vec::new(), 10);
        for number in 0.. {
            left -= usize::from(erased.lock().unwrap().len() == ERASURES);
            if left == 0 {
                break;
            }
            let sent_at = begin.elapsed();
            let draft = json!({"id": format!("{writer}-{number}"), "text": "hi", "recipient": recipient});
            let response = app.send(user, &draft).await;
            assert_eq!(response.status(), 202);
            let answer: Value = response.json().await.unwrap();
            said.push((answer["id"].as_str().unwrap().to_owned(), sent_at, begin.elapsed()));
        }
        said
    };
    let erase = async {
        for _ in 0..ERASURES {
            sleep(Duration::from_millis(60)).await;
            let from = begin.elapsed();
            let response = other.call(ANN, Method::DELETE, "/api/history?private").await;
            assert_eq!(response.status(), 204);
            erased.lock().unwrap().push((from, begin.elapsed()));
        }
    };
    let writers = [
        write(0, &one, ANN, "bob"),
        write(1, &other, ANN, "bob"),
        write(2, &one, BOB, "ann"),
        write(3, &other, BOB, "ann"),
    ];
    let (said, ()) = join(join_all(writers), erase).await;
    let said: Vec<_> = said.concat();
    let &(last_from, last_to) = erased.lock().unwrap().last().unwrap();
    // What a process has read is kept for a second.
    let reader = HistoryApp::at(place, NO_LIMITS).await;
    for (user, sees_all) in [(BOB, true), (ANN, false)] {
        let ids = private_ids(&reader, user).await;
        for (id, sent_at, answered_at) in &said {
            let count = ids.iter().filter(|other| *other == id).count();
            let expected = match () {
                () if sees_all || *sent_at > last_to => 1..=1,
                () if *answered_at < last_from => 0..=0,
                () => 0..=1,
            };
            assert!(expected.contains(&count), "{user:?} sees {id} {count} times");
        }
    }
}

/// The ids of all private messages of a user. Checks that they follow each other without a gap.
async fn private_ids(app: &HistoryApp, user: Option<&str>) -> Vec<String> {
    let (mut messages, mut before) = (Vec::<Value>::new(), String::new());
    loop {
        let page = app.page(user, &format!("private&limit=100{before}")).await;
        messages.splice(0..0, page["messages"].as_array().unwrap().clone());
        let Some(position) = page["before"].as_str() else { break };
        before = format!("&before={position}");
    }
    for pair in messages.windows(2) {
        assert_eq!(pair[0]["next"], pair[1]["at"]);
    }
    messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_while_others_write_takes_no_newer_message_in_a_folder() {
    check_erase(TestFolder::new().path()).await;
}
