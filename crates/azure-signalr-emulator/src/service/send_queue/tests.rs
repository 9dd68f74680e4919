use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{SendState, Unsequenced, Wake};
use super::{Batch, Capacity, CloseOptions, NextSend, StopReason};
use crate::protocol::Frame;

const CAPACITY: Capacity = Capacity { messages: 9, bytes: 90 };

fn state(capacity: Capacity) -> SendState<&'static str> {
    SendState::new(capacity, Instant::now())
}

/// A queue whose frames a writer sends, after the handshake.
fn open() -> SendState<&'static str> {
    let mut state = state(CAPACITY);
    assert_eq!(state.attach(Some("socket"), Frame::text("{}")), Wake::Writer);
    assert_eq!(write(&mut state), frames(&["{}"]));
    state
}

fn frames(texts: &[&str]) -> Vec<Frame> {
    texts.iter().map(|text| Frame::text(text)).collect()
}

fn push(state: &mut SendState<&'static str>, texts: &[&str]) -> Vec<Wake> {
    texts.iter().map(|text| state.push(Frame::text(text).into())).collect()
}

/// What the writer sends, all of which the socket takes.
fn write(state: &mut SendState<&'static str>) -> Vec<Frame> {
    let (_, batch) = state.begin_write().expect("something to write");
    assert_eq!(state.end_write(Batch::default(), Instant::now()), Wake::None);
    batch.into_iter().collect()
}

/// What the task of the connection sends.
fn taken(state: &mut SendState<&'static str>) -> Vec<Frame> {
    let Some(NextSend::Frames(batch)) = state.next(true) else { panic!("no frames") };
    batch.into_iter().collect()
}

fn closed() -> StopReason {
    StopReason::Closed(CloseOptions { reason: Some("done".into()), allow_reconnect: true })
}

#[test]
fn the_writer_is_woken_once_and_sends_everything_in_order() {
    let mut state = open();
    assert_eq!(push(&mut state, &["one", "two"]), [Wake::Writer, Wake::None]);
    assert_eq!(state.next(true), None, "the connection does not send");
    assert_eq!(write(&mut state), frames(&["one", "two"]));
    assert_eq!(push(&mut state, &["three"]), [Wake::Writer]);
}

#[test]
fn messages_that_arrive_during_a_write_are_sent_afterwards() {
    let mut state = open();
    let _ = push(&mut state, &["one"]);
    let (_, _) = state.begin_write().unwrap();
    assert_eq!(push(&mut state, &["two"]), [Wake::None]);
    assert_eq!(state.end_write(Batch::default(), Instant::now()), Wake::Writer);
    assert_eq!(write(&mut state), frames(&["two"]));
}

#[test]
fn the_connection_sends_what_a_socket_does_not_take_until_it_has_sent_all() {
    let mut state = open();
    let _ = push(&mut state, &["one", "two"]);
    let (_, mut batch) = state.begin_write().unwrap();
    batch.write_with(|_| Ok(6)).unwrap();
    assert_eq!(state.end_write(batch, Instant::now()), Wake::Connection);
    assert_eq!(push(&mut state, &["three"]), [Wake::Connection]);
    assert_eq!(taken(&mut state), frames(&["two"]), "the rest comes first");
    assert_eq!(state.sent(Instant::now()), Wake::Writer);
    assert_eq!(write(&mut state), frames(&["three"]));
}

#[test]
fn a_transport_without_a_socket_is_served_by_the_connection() {
    let mut state = state(CAPACITY);
    let _ = state.attach(None, Frame::text("{}"));
    assert_eq!(push(&mut state, &["one"]), [Wake::Connection]);
    assert_eq!(state.next(false), None, "it is not ready");
    assert_eq!(taken(&mut state), frames(&["{}", "one"]));
    assert_eq!(state.sent(Instant::now()), Wake::None);
}

#[test]
fn nothing_is_sent_before_the_handshake() {
    let mut state = state(CAPACITY);
    assert_eq!(push(&mut state, &["early"]), [Wake::Connection]);
    let _ = state.attach(Some("socket"), Frame::text("{}"));
    assert_eq!(write(&mut state), frames(&["{}", "early"]));
}

#[test]
fn too_many_messages_or_bytes_end_the_connection() {
    for (capacity, texts) in [
        (Capacity { messages: 2, bytes: 90 }, ["1", "2", "3"]),
        (Capacity { messages: 9, bytes: 10 }, ["x", "y", "0123456789"]),
    ] {
        let mut state = state(capacity);
        let _ = state.attach(Some("socket"), Frame::text("{}"));
        assert_eq!(push(&mut state, &texts), [Wake::None, Wake::None, Wake::Connection]);
        assert_eq!(state.begin_write(), None);
        assert_eq!(state.next(false), Some(NextSend::Stop(StopReason::Overflow)));
        let _ = push(&mut state, &["late"]);
        assert_eq!(state.len(), 0);
    }
}

#[test]
fn frames_queued_before_a_close_are_sent_first_and_by_the_connection() {
    let mut state = open();
    let _ = push(&mut state, &["last"]);
    assert_eq!(state.stop(closed()), Wake::Connection);
    assert_eq!(state.begin_write(), None, "the writer has nothing to do any more");
    let _ = push(&mut state, &["late"]);
    assert_eq!(taken(&mut state), frames(&["last"]));
    let _ = state.sent(Instant::now());
    assert_eq!(state.next(true), Some(NextSend::Stop(closed())));
}

#[test]
fn a_close_waits_for_the_writer() {
    let mut state = open();
    let _ = push(&mut state, &["one", "two"]);
    let (_, mut batch) = state.begin_write().unwrap();
    let _ = state.stop(closed());
    assert!(state.is_writing());
    assert_eq!(state.next(true), None);
    batch.write_with(|_| Ok(2)).unwrap();
    assert_eq!(state.end_write(batch, Instant::now()), Wake::Connection);
    assert_eq!(taken(&mut state).len(), 2);
}

#[test]
fn only_the_rest_of_a_frame_is_sent_before_a_close_that_discards_the_queue() {
    let mut state = open();
    let _ = push(&mut state, &["one", "two"]);
    let (_, mut batch) = state.begin_write().unwrap();
    batch.write_with(|_| Ok(1)).unwrap();
    let _ = state.end_write(batch, Instant::now());
    state.take_over();
    assert_eq!(state.end().into_iter().count(), 1);
    assert_eq!(state.end(), Batch::default());
}

#[test]
fn what_a_transport_begins_with_is_sent_before_a_close_that_discards_the_queue() {
    let mut state = state(CAPACITY);
    let _ = state.attach(Some("socket"), Frame::text("{}"));
    let _ = push(&mut state, &["one"]);
    state.take_over();
    assert_eq!(Vec::from_iter(state.end()), frames(&["{}"]));
}

#[test]
fn an_aborted_connection_ends_at_once() {
    let mut state = open();
    let _ = push(&mut state, &["unsaid"]);
    let _ = state.stop_now(StopReason::Aborted);
    let _ = state.stop(closed());
    assert_eq!(state.next(true), Some(NextSend::Stop(StopReason::Aborted)));
}

#[test]
fn a_message_can_be_sent_after_the_next_one() {
    let mut state = open();
    assert_eq!(state.push_after_next(Frame::text("one").into()), Wake::None);
    let _ = push(&mut state, &["two", "three"]);
    assert_eq!(write(&mut state), frames(&["two", "one", "three"]));
    let _ = state.push_after_next(Frame::text("four").into());
    assert_eq!(state.push_after_next(Frame::text("five").into()), Wake::Writer);
    assert_eq!(write(&mut state), frames(&["four"]));
}

#[test]
fn a_later_frame_without_a_sequence_id_replaces_one_of_its_kind() {
    let mut state = open();
    let _ = push(&mut state, &["message"]);
    for (kind, text) in
        [(Unsequenced::Ping, "ping"), (Unsequenced::Ack, "1"), (Unsequenced::Pong, "a"), (Unsequenced::Ack, "2")]
    {
        let _ = state.push_unsequenced(kind, Frame::text(text));
    }
    assert_eq!(write(&mut state), frames(&["2", "a", "ping", "message"]));
}

#[test]
fn a_frozen_queue_is_sent_after_it_is_unfrozen_and_then_by_the_writer() {
    let mut state = open();
    let _ = state.set_frozen(true);
    let _ = push(&mut state, &["cold"]);
    assert_eq!((state.begin_write(), state.next(true)), (None, Some(NextSend::Frozen)));
    assert_eq!(state.set_frozen(false), Wake::Connection);
    assert_eq!(taken(&mut state), frames(&["cold"]));
    let _ = state.sent(Instant::now());
    assert_eq!(push(&mut state, &["warm"]), [Wake::Writer]);
}

#[test]
fn a_stop_takes_effect_on_a_frozen_queue() {
    let mut state = open();
    let _ = state.set_frozen(true);
    let _ = state.stop(closed());
    assert_eq!(state.next(true), Some(NextSend::Stop(closed())));
}

#[test]
fn the_connection_sends_before_it_reads_more_when_the_queue_is_half_full() {
    let mut state = open();
    let _ = push(&mut state, &["1", "2", "3", "4"]);
    assert!(!state.take_over_if_half_full());
    let _ = push(&mut state, &["5"]);
    assert!(state.take_over_if_half_full());
    assert_eq!(taken(&mut state).len(), 5);
    assert_eq!(state.sent(Instant::now()), Wake::None);
    assert_eq!(push(&mut state, &["6"]), [Wake::None], "the writer is still scheduled");
    assert_eq!(write(&mut state), frames(&["6"]));
}

#[test]
fn a_pong_does_not_delay_the_next_ping() {
    let mut state = open();
    let (before, later) = (state.last_sent(), Instant::now() + Duration::from_secs(9));
    let _ = state.push_unsequenced(Unsequenced::Pong, Frame::text("pong"));
    let _ = state.begin_write();
    let _ = state.end_write(Batch::default(), later);
    assert_eq!(state.last_sent(), before);
    let _ = state.push_unsequenced(Unsequenced::Pong, Frame::text("pong"));
    let _ = push(&mut state, &["message"]);
    let _ = state.begin_write();
    let _ = state.end_write(Batch::default(), later);
    assert_eq!(state.last_sent(), later);
}

#[test]
fn the_time_of_the_last_frame_is_known() {
    let mut state = open();
    let later = Instant::now() + Duration::from_secs(9);
    let _ = push(&mut state, &["one"]);
    let _ = state.begin_write();
    let _ = state.end_write(Batch::default(), later);
    assert_eq!(state.last_sent(), later);
}

/// A queue of a client with stateful reconnect, after the handshake.
fn resumable(replay_bytes: usize) -> SendState<&'static str> {
    let mut state = state(CAPACITY);
    state.enable_replay(replay_bytes);
    let _ = state.attach(Some("first"), Frame::text("{}"));
    assert_eq!(write(&mut state), frames(&["{}"]));
    state
}

#[test]
fn a_second_transport_gets_all_unacknowledged_messages_again() {
    let mut state = resumable(90);
    let _ = push(&mut state, &["1", "2", "3"]);
    assert_eq!(write(&mut state).len(), 3);
    let _ = state.acknowledge(1);
    let _ = push(&mut state, &["4"]);
    let (_, mut batch) = state.begin_write().unwrap();
    batch.write_with(|_| Ok(1)).unwrap();
    let _ = state.end_write(batch, Instant::now());
    state.detach();
    let _ = push(&mut state, &["5"]);
    for socket in ["second", "third"] {
        assert_eq!(state.rewind(), 2);
        let _ = state.attach(Some(socket), Frame::text("sequence"));
        let (used, batch) = state.begin_write().unwrap();
        assert_eq!(used, socket);
        assert_eq!(Vec::from_iter(batch), frames(&["sequence", "2", "3", "4", "5"]));
        let _ = state.end_write(Batch::default(), Instant::now());
        state.detach();
    }
}

#[test]
fn messages_wait_while_the_replay_buffer_is_full_of_any_kind() {
    let mut state = resumable(3);
    assert_eq!(push(&mut state, &["one", "two"]), [Wake::Writer, Wake::None]);
    assert_eq!(write(&mut state), frames(&["one"]));
    assert_eq!(push(&mut state, &["three"]), [Wake::None]);
    assert_eq!(state.push_unsequenced(Unsequenced::Ack, Frame::text("ack")), Wake::Writer);
    assert_eq!(write(&mut state), frames(&["ack"]), "else both sides could wait for each other");
    assert!(!state.take_over_if_half_full(), "reading goes on, or no acknowledgement would arrive");
    assert_eq!(state.acknowledge(1), Wake::Writer);
    assert_eq!(write(&mut state), frames(&["two"]));
    assert_eq!(state.stop(closed()), Wake::Connection);
    assert_eq!(taken(&mut state), frames(&["three"]), "a close does not wait for acknowledgements");
    let _ = state.sent(Instant::now());
    assert_eq!(state.next(true), Some(NextSend::Stop(closed())));
}

#[test]
fn a_delayed_message_is_sent_before_a_close() {
    let mut state = open();
    let _ = state.push_after_next(Frame::text("late").into());
    let _ = state.stop(closed());
    assert_eq!(taken(&mut state), frames(&["late"]));
}

#[test]
fn a_dropped_transport_stops_a_close_that_is_being_sent() {
    let mut state = open();
    let _ = push(&mut state, &["one"]);
    let _ = state.stop(StopReason::TokenExpired);
    assert_eq!(taken(&mut state).len(), 1);
    assert_eq!(state.immediate_stop(), None);
    let _ = state.drop_transport();
    assert_eq!(state.immediate_stop(), Some(&StopReason::TransportDropped));
    assert_eq!(state.next(true), Some(NextSend::Stop(StopReason::TransportDropped)));
}

#[test]
fn messages_do_not_wake_a_connection_that_is_sending_or_whose_client_is_away() {
    let mut state = resumable(90);
    let _ = state.set_frozen(false);
    let _ = push(&mut state, &["one"]);
    assert_eq!(taken(&mut state).len(), 1);
    assert_eq!(push(&mut state, &["two"]), [Wake::None]);
    state.detach();
    assert_eq!(push(&mut state, &["three"]), [Wake::None]);
    assert_eq!(state.stop(closed()), Wake::Connection);
}

#[test]
fn an_ended_queue_holds_no_socket() {
    let socket = Arc::new(());
    let mut state = SendState::new(CAPACITY, Instant::now());
    let _ = state.attach(Some(socket.clone()), Frame::text("{}"));
    state.take_over();
    assert_eq!(Vec::from_iter(state.end()), frames(&["{}"]));
    assert_eq!(Arc::strong_count(&socket), 1);
    assert_eq!(state.begin_write(), None);
}

#[test]
fn a_replay_of_several_batches_does_not_wait_for_acknowledgements() {
    let (text, texts) = ("x".repeat(100_000), 5);
    let mut state = state(Capacity { messages: 9, bytes: 1 << 20 });
    state.enable_replay(texts * text.len());
    for socket in ["first", "second"] {
        let _ = state.attach(Some(socket), Frame::text("sequence"));
        if socket == "first" {
            let _ = push(&mut state, &vec![&text[..]; texts]);
        }
        let (_, batch) = state.begin_write().unwrap();
        assert!(batch.into_iter().count() <= texts, "more than a batch is to be sent");
        assert_eq!(state.end_write(Batch::default(), Instant::now()), Wake::Writer, "{socket}");
        let (_, batch) = state.begin_write().unwrap();
        assert_eq!(batch.into_iter().count(), 2, "{socket}");
        let _ = state.end_write(Batch::default(), Instant::now());
        state.detach();
        assert_eq!(state.rewind(), 1);
    }
}

#[test]
fn what_is_sent_makes_room() {
    for is_resumable in [false, true] {
        let mut state = if is_resumable { resumable(90) } else { open() };
        for number in 1..=20 {
            let _ = push(&mut state, &["0123456789"]);
            if number % 2 == 0 {
                let _ = state.push_unsequenced(Unsequenced::Ping, Frame::text("ping"));
            }
            assert_eq!(write(&mut state).last(), Some(&Frame::text("0123456789")));
            let _ = state.acknowledge(number);
        }
        assert_eq!(state.stop_reason(), None);
    }
}

#[test]
fn the_queue_of_a_client_that_is_away_holds_no_socket() {
    let socket = Arc::new(());
    let mut state = SendState::new(CAPACITY, Instant::now());
    let _ = state.attach(Some(socket.clone()), Frame::text("{}"));
    state.take_over();
    state.detach();
    assert_eq!(Arc::strong_count(&socket), 1);
}
