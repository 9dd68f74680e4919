//! Failures on demand.

use azure_communication_emulator::{Fault, Operation};

use crate::signer::{KEY, USUAL};
use crate::support::{House, IDENTITIES};

#[tokio::test]
async fn case_30_a_throttled_request_says_when_to_come_back_and_then_succeeds_as_it_is() {
    let house = House::start().await;
    house.emulator.inject(Fault::throttled(Some(1))).unwrap();
    let bytes = house.draft("POST", IDENTITIES, "").signed(KEY, &USUAL).into_bytes();
    let answer = house.send_bytes(&bytes).await;
    assert_eq!((answer.error().0, answer.header("retry-after")), (429, Some("1")));
    assert!(house.emulator.identities().is_empty());
    assert_eq!(house.send_bytes(&bytes).await.status, 201);
}

#[tokio::test]
async fn faults_are_used_up_in_their_order() {
    let house = House::start().await;
    for status in [500, 503, 401] {
        house.emulator.inject(Fault::new(status).unwrap()).unwrap();
    }
    house.emulator.inject(Fault::throttled(None)).unwrap();
    for expected in [500, 503, 401, 429] {
        let answer = house.call("POST", IDENTITIES, "").await;
        assert_eq!((answer.error().0, answer.header("retry-after")), (expected, None));
    }
    house.create().await;
    let calls = house.emulator.calls();
    assert_eq!((calls.received, calls.refused, calls.create), (5, 4, 1));
}

#[tokio::test]
async fn a_fault_may_wait_for_one_operation() {
    let house = House::start().await;
    house.emulator.inject(Fault::new(503).unwrap().retry_after(7).on(Operation::Issue)).unwrap();
    let id = house.create().await;
    let answer = house.issue(&id, r#"{"scopes":["chat"]}"#).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
    house.token(&id).await;
}

#[tokio::test]
async fn faults_that_wait_can_be_forgotten() {
    let house = House::start().await;
    house.emulator.inject(Fault::throttled(None)).unwrap();
    house.emulator.clear_faults();
    house.create().await;
}
