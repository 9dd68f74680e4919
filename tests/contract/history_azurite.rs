//! Faults of a blob container, over Azurite: each is a row of a table, by its name. For each, the answer is that of the design, no accepted
//! message is lost, none is shown twice, and the next request works.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use test_support::azurite::{Azurite, SAS};
use test_support::storage_proxy::{Fault, StorageCall, StorageProxy};

use crate::history_app::{ANN, BOB, HistoryApp, as_stored, fields};
use crate::history_faults::check_erase;
use crate::test_app::{TestFolder, api_error};

const CONTAINER: &str = "chat-history";
/// The log gives up after 3 s.
const MAX_WAIT: Duration = Duration::from_secs(5);
const NO_LIMITS: &[(&str, &str)] = &[("ChatMessageRate", "0")];

fn place(proxy: &StorageProxy) -> String {
    format!("{}?{SAS}", proxy.url(CONTAINER))
}

fn in_room(room: &str, id: &str) -> Value {
    json!({"id": id, "text": "hi", "room": room})
}

/// The ids of the messages in a room, each line of the log, also those that say the same as an earlier one. Checks that they follow each
/// other without a gap.
async fn lines(app: &HistoryApp, room: &str) -> Vec<String> {
    let (mut ids, mut before) = (Vec::new(), String::new());
    loop {
        let page = app.page(ANN, &format!("room={room}&limit=1{before}")).await;
        ids.splice(0..0, fields(&page, "id"));
        let message = &page["messages"][0];
        assert!(page["before"].is_null() || page["before"] == message["at"], "{page}");
        assert_eq!(page["after"], message["next"], "{page}");
        let Some(position) = page["before"].as_str() else { return ids };
        before = format!("&before={position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn a_store_that_fails_is_an_error_without_a_trace_and_the_next_message_works() {
    let azurite = &Azurite::start(CONTAINER).await;
    let is_write = |call| matches!(call, StorageCall::Create | StorageCall::Append | StorageCall::Seal);
    let rows = [
        ("slow", Fault::Slow(Duration::from_secs(4)), false),
        ("away", Fault::FailBefore, false),
        ("answers-nothing", Fault::LoseAnswer, false),
        ("fails", Fault::AnswerAfter(500, "InternalError"), false),
        ("busy", Fault::Answer(503, "ServerBusy"), false),
        ("throttled", Fault::Answer(429, "TooManyRequests"), false),
        ("without-permission", Fault::Answer(403, "AuthorizationPermissionMismatch"), false),
        ("without-permission-to-write", Fault::Answer(403, "AuthorizationPermissionMismatch"), true),
        ("signature-expired", Fault::Answer(403, "AuthenticationFailed"), false),
        ("full", Fault::Answer(409, "AccountLimitExceeded"), true),
        ("read-only", Fault::Answer(409, "BlobImmutableDueToPolicy"), true),
        ("container-gone", Fault::Answer(404, "ContainerNotFound"), false),
    ];
    let check = async |(name, fault, only_writes): (&str, Fault, bool)| {
        let proxy = azurite.start_proxy().await;
        let app = HistoryApp::at(&place(&proxy), &[]).await;
        let (old, new) = (format!("{name}-old"), format!("{name}-new"));
        let before = as_stored(&app.say(ANN, &in_room(&old, "before")).await);
        let published = app.published().len();
        proxy.inject(move |call| (!only_writes || is_write(call)).then_some(fault));
        let begin = Instant::now();
        let send = async |room: &str| api_error(app.send(ANN, &in_room(room, "it")).await).await;
        let read = async || app.get(ANN, &format!("room={new}")).await.status().as_u16();
        let (in_old, (in_new, read)) = join(send(&old), join(send(&new), read())).await;
        let unavailable = (503, "history_unavailable".to_owned());
        assert_eq!((&in_old, &in_new), (&unavailable, &unavailable), "{name}");
        assert_eq!(read, if only_writes { 200 } else { 503 }, "{name}");
        assert!(begin.elapsed() < MAX_WAIT, "{name}: {:?}", begin.elapsed());
        assert_eq!(app.published().len(), published, "{name}");
        proxy.settle().await;
        proxy.inject(|_| None);
        for room in [&old, &new] {
            // It may have been kept the first time.
            app.say(ANN, &in_room(room, "it")).await;
            let after = as_stored(&app.say(ANN, &in_room(room, "after")).await);
            let page = app.page(ANN, &format!("room={room}")).await;
            let ids = fields(&page, "id");
            assert_eq!(ids[ids.len() - 2..], ["it", "after"], "{name}: {page}");
            assert_eq!(ids.len(), if *room == old { 3 } else { 2 }, "{name}: {page}");
            assert_eq!(page["messages"][ids.len() - 1], after, "{name}");
            lines(&app, room).await;
        }
        assert_eq!(app.page(ANN, &format!("room={old}")).await["messages"][0], before, "{name}");
    };
    join_all(rows.map(check)).await;
}

/// What happens to one call of the handler.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    NotCarriedOut,
    AnswerLost,
    CarriedOutLate,
    KilledBefore,
    KilledAfter,
}

/// A step of sending a message: a kind of call, and how many of this kind come before it.
struct Step {
    name: &'static str,
    /// The last part has become full.
    is_full: bool,
    call: StorageCall,
    index: usize,
}

const fn step(name: &'static str, is_full: bool, call: StorageCall, index: usize) -> Step {
    Step { name, is_full, call, index }
}

const STEPS: [Step; 11] = [
    step("find", false, StorageCall::List, 0),
    step("create", false, StorageCall::Create, 0),
    step("find-created", false, StorageCall::List, 1),
    step("first-line", false, StorageCall::Append, 0),
    step("append", false, StorageCall::Append, 1),
    step("seal", true, StorageCall::Seal, 0),
    step("find-next", true, StorageCall::List, 0),
    step("create-next", true, StorageCall::Create, 0),
    step("read-sealed", true, StorageCall::Read, 0),
    step("first-line-of-next", true, StorageCall::Append, 1),
    step("append-to-next", true, StorageCall::Append, 2),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn a_message_is_said_once_although_any_step_fails() {
    let azurite = &Azurite::start(CONTAINER).await;
    let check = async |outcome: Outcome| {
        let proxy = azurite.start_proxy().await;
        let mut app = HistoryApp::at(&place(&proxy), NO_LIMITS).await;
        for Step { name, is_full, call, index } in STEPS {
            let (row, room) = (format!("{name}, {outcome:?}"), &*format!("{name}-{outcome:?}"));
            let mut expected = Vec::new();
            if is_full {
                app.say(ANN, &in_room(room, "before")).await;
                expected.push("before");
            }
            let handler = app.app.process.child.id();
            let counts: Mutex<BTreeMap<StorageCall, usize>> = Mutex::default();
            let has_happened = Arc::new(AtomicBool::new(false));
            let happened = has_happened.clone();
            proxy.inject(move |received| {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(received).or_default();
                *count += 1;
                if is_full && (received, *count) == (StorageCall::Append, 1) {
                    return Some(Fault::Answer(409, "BlockCountExceedsLimit"));
                }
                if (received, *count) != (call, index + 1) {
                    return None;
                }
                happened.store(true, SeqCst);
                if matches!(outcome, Outcome::KilledBefore | Outcome::KilledAfter) {
                    kill(handler);
                }
                Some(match outcome {
                    Outcome::NotCarriedOut | Outcome::KilledBefore => Fault::FailBefore,
                    Outcome::AnswerLost | Outcome::KilledAfter => Fault::LoseAnswer,
                    Outcome::CarriedOutLate => Fault::Late(Duration::from_millis(60)),
                })
            });
            let message = app.app.message(&in_room(room, "it")).header("x-ms-client-principal-name", "ann");
            let sent = message.send().await;
            proxy.inject(|_| None);
            assert!(has_happened.load(SeqCst), "{row}: no such call");
            if matches!(outcome, Outcome::KilledBefore | Outcome::KilledAfter) {
                assert!(sent.is_err(), "{row}: {sent:?}");
                app.restart();
                app.say(ANN, &in_room(room, "it")).await;
            }
            let answer = sent.ok();
            assert!(answer.as_ref().is_none_or(|answer| answer.status() == 202), "{row}: {answer:?}");
            proxy.settle().await;
            let after = app.say(ANN, &in_room(room, "after")).await;
            expected.extend(["it", "after"]);
            let page = app.page(ANN, &format!("room={room}")).await;
            assert_eq!(fields(&page, "id"), expected, "{row}");
            let messages = page["messages"].as_array().unwrap();
            assert_eq!(messages.last(), Some(&as_stored(&after)), "{row}");
            if let Some(answer) = answer {
                assert_eq!(messages[expected.len() - 2], as_stored(&answer.json().await.unwrap()), "{row}");
            }
            // Another process reads the same, and each line begins where the one before ends.
            let lines = lines(&HistoryApp::at(&place(&azurite.proxy), NO_LIMITS).await, room).await;
            let may_be_double = matches!(outcome, Outcome::CarriedOutLate | Outcome::KilledAfter);
            assert!(lines == expected || may_be_double && lines.len() == expected.len() + 1, "{row}: {lines:?}");
        }
    };
    use Outcome::{AnswerLost, CarriedOutLate, KilledAfter, KilledBefore, NotCarriedOut};
    join_all([NotCarriedOut, AnswerLost, CarriedOutLate, KilledBefore, KilledAfter].map(check)).await;
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-s", "KILL", &process.to_string()]).status().unwrap().success());
}

/// The library that gives a process another clock.
fn faketime() -> &'static str {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let library = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    library.expect("libfaketime is not installed; run .ci/setup").into_os_string().into_string().unwrap().leak()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn a_handler_whose_clock_is_a_day_ahead_goes_on_where_the_other_ends() {
    let (azurite, folder) = (Azurite::start(CONTAINER).await, TestFolder::new());
    let clock = [("LD_PRELOAD", faketime()), ("FAKETIME", "+1d"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    // The clock of a folder is that of the process: one that is ahead begins a new part with each message.
    for (place, has_own_clock) in [(&*place(&azurite.proxy), true), (folder.path(), false)] {
        let [ahead, other] = [HistoryApp::at(place, &clock).await, HistoryApp::at(place, &[]).await];
        for is_first_ahead in [true, false] {
            let room = format!("tea-{is_first_ahead}");
            let mut said: Vec<Value> = Vec::new();
            for number in 0..10 {
                let app = if (number % 2 == 0) == is_first_ahead { &ahead } else { &other };
                said.push(app.say(ANN, &in_room(&room, &number.to_string())).await);
            }
            let day = |index: usize| said[index]["sentAt"].as_str().unwrap()[..10].to_owned();
            assert_ne!(day(0), day(1), "both have the same clock");
            for pair in said.windows(2) {
                assert_eq!(pair[0]["next"], pair[1]["at"]);
            }
            let part = |position: &Value| position.as_str().unwrap()[..8].to_owned();
            assert_eq!(part(&said[0]["next"]) == part(&said[9]["next"]), has_own_clock, "{said:?}");
            let stored: Vec<Value> = said.iter().map(as_stored).collect();
            for variables in [&clock[..], &[]] {
                let reader = HistoryApp::at(place, variables).await;
                assert_eq!(reader.page(BOB, &format!("room={room}")).await["messages"], json!(stored));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn a_blob_that_another_program_wrote_to_spoils_no_message() {
    let azurite = Azurite::start(CONTAINER).await;
    let proxy = &azurite.proxy;
    let mut app = HistoryApp::at(&place(proxy), &[]).await;
    let put = async |url: &str, kind: Option<&'static str>, body: &'static str| {
        let request = proxy.client().put(url).header("x-ms-version", "2026-04-06").body(body);
        let request = kind.into_iter().fold(request, |request, kind| request.header("x-ms-blob-type", kind));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 201, "{url}");
    };
    let message = r#"{"id":"foreign","sender":"bob","text":"hi"}"#;
    for (name, bytes, is_restarted, expected) in [
        ("lines", "not JSON\n[]\n\n{\"id\":7}\n", false, &["1", "2", "3"][..]),
        ("message", &*format!("{message}\n"), false, &["1", "foreign", "2", "3"]),
        ("half-a-line", "{\"id\":\"half\"", true, &["1", "2", "3"]),
        ("message-without-line-feed", message, true, &["1", "2", "3"]),
    ] {
        let bytes: &'static str = bytes.to_owned().leak();
        let first = app.say(ANN, &in_room(name, "1")).await;
        let part = &first["next"].as_str().unwrap()[..8];
        let url = format!("{}/rooms/{name}/{part}.jsonl?comp=appendblock", proxy.url(CONTAINER));
        put(&url, None, bytes).await;
        if is_restarted {
            app.restart();
        }
        let second = app.say(ANN, &in_room(name, "2")).await;
        let third = app.say(ANN, &in_room(name, "3")).await;
        assert_eq!(second["next"], third["at"], "{name}");
        for _ in 0..2 {
            let page = app.page(ANN, &format!("room={name}")).await;
            assert_eq!(fields(&page, "id"), expected, "{name}");
            assert_eq!(page["messages"].as_array().unwrap().last(), Some(&as_stored(&third)), "{name}");
            app.restart();
        }
    }
    // A part that is no append blob takes nothing until it is gone.
    let url = format!("{}/rooms/block/99990000.jsonl", proxy.url(CONTAINER));
    put(&url, Some("BlockBlob"), "{}\n").await;
    let refused = api_error(app.send(ANN, &in_room("block", "1")).await).await;
    assert_eq!(refused, (503, "history_unavailable".to_owned()));
    proxy.client().delete(&url).header("x-ms-version", "2026-04-06").send().await.unwrap();
    app.say(ANN, &in_room("block", "2")).await;
    assert_eq!(fields(&app.page(ANN, "room=block").await, "id"), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn an_erasure_while_others_write_takes_no_newer_message_in_azurite() {
    let azurite = Azurite::start(CONTAINER).await;
    check_erase(&place(&azurite.proxy)).await;
}
