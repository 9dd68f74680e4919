//! Two minutes of clients that connect, receive, misbehave and leave in all ways leave the program as it was: no memory, no open file
//! and no connection remains, and clients that behave miss nothing.
//!
//! The program is a process of its own, so that its memory and its open files are its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test; clippy exempts only functions marked as tests")]

mod client;
mod program;
#[path = "../conformance/support.rs"]
#[allow(dead_code, reason = "the conformance suite uses the rest")]
mod support;
mod visitor;
mod witness;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use client::{ALL_KINDS, Client};
use program::Program;

/// How long clients come and go before the program is looked at.
const ROUND: Duration = Duration::from_secs(60);

/// How many clients come and go at a time.
const VISITORS: u64 = 30;

/// How many clients of each kind stay during a round, and check what they receive.
const WITNESSES: usize = 3;

/// The pause between two numbered messages to all clients, of which one in a hundred is long.
const SEND_INTERVAL: Duration = Duration::from_millis(5);

/// How much more memory the program may hold after the second round than after the first, in percent and in KiB.
const TOLERANCE: (u64, u64) = (10, 2 << 10);

/// One round. Returns how many messages were sent to all, and how many visits there were.
async fn round(program: &Arc<Program>) -> (u64, u64) {
    let end = Instant::now() + ROUND;
    let mut witnesses = JoinSet::new();
    for kind in [ALL_KINDS; WITNESSES].concat() {
        let client = Client::connect(program, kind).await;
        witnesses.spawn(witness::check(program.clone(), client));
    }
    let (visits, mut visitors) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for visitor in 0..VISITORS {
        let (program, visits) = (program.clone(), visits.clone());
        visitors.spawn(async move {
            let mut number = visitor;
            while Instant::now() < end {
                visitor::visit(&program, number).await;
                number += VISITORS + 1;
                visits.fetch_add(1, Relaxed);
            }
        });
    }
    let (mut ticks, mut sent) = (interval(SEND_INTERVAL), 0_u64);
    while Instant::now() < end {
        ticks.tick().await;
        sent += 1;
        program.broadcast(json!(sent), if sent.is_multiple_of(100) { 100_000 } else { 10 }).await;
    }
    visitors.join_all().await;
    program.broadcast(json!("last"), 0).await;
    for received in witnesses.join_all().await {
        assert_eq!(received, sent, "a client that behaves received less than was sent");
    }
    (sent, visits.load(Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; `make soak` runs it"]
async fn two_minutes_of_connects_drops_and_sends_leave_nothing_behind() {
    let program = Arc::new(Program::start());
    let files = program.wait_until_empty().await;
    let mut memory = Vec::new();
    for _ in 0..2 {
        let (sent, visits) = round(&program).await;
        let files_after = program.wait_until_empty().await;
        memory.push(program.resident_kib());
        println!("{visits} visits and {sent} messages to all: {:?} KiB, {files_after} open files", memory.last());
        assert!(files_after <= files, "{files} open files became {files_after}");
    }
    let (percent, kib) = TOLERANCE;
    assert!(memory[1] <= memory[0] + memory[0] * percent / 100 + kib, "{memory:?} KiB");
    let client = Client::connect(&program, ALL_KINDS[0]).await;
    let checked = tokio::spawn(witness::check(program.clone(), client));
    program.broadcast(json!(1), 0).await;
    program.broadcast(json!("last"), 0).await;
    assert_eq!(checked.await.unwrap(), 1);
}
