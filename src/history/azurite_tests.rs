//! Append blobs in Azurite: what becomes of faults.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use azure_http::{RootCertificates, Secret};
use test_support::azurite::{Azurite, SAS};
use test_support::storage_proxy::{Fault, StorageCall};
use tokio::time::timeout;

use super::blob_store::BlobStore;
use super::store::{LogStore, StoreError};
use super::stream::Stream;
use crate::config::{Container, ContainerAccess};

pub(super) const CONTAINER: &str = "chat-history";

/// The store in the container at this address.
pub(super) fn store_at(url: &str) -> BlobStore {
    let access = ContainerAccess::Sas(Secret::new(SAS.to_owned()));
    BlobStore::in_container(&Container { url: url.parse().unwrap(), access, roots: RootCertificates::default() })
        .unwrap()
}

pub(super) fn blob_store(azurite: &Azurite) -> BlobStore {
    store_at(&azurite.proxy.url(CONTAINER))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn each_call_is_made_once_and_without_an_answer_its_outcome_is_unknown() {
    let azurite = Azurite::start(CONTAINER).await;
    let (store, stream) = (blob_store(&azurite), Stream::everyone());
    store.create(&stream, 1).await.unwrap();
    let once = |calls: &[StorageCall]| calls.iter().map(|call| (*call, 1)).collect::<BTreeMap<_, _>>();
    azurite.proxy.take_counts();
    let mut length = 0;
    for (fault, expected, is_done) in [
        (Fault::FailBefore, StoreError::Unknown, false),
        (Fault::LoseAnswer, StoreError::Unknown, true),
        (Fault::Answer(503, "ServerBusy"), StoreError::Unknown, false),
        (Fault::AnswerAfter(503, "ServerBusy"), StoreError::Unknown, true),
        (Fault::AnswerAfter(500, "InternalError"), StoreError::Unknown, true),
        (Fault::AnswerAfter(500, "OperationTimedOut"), StoreError::Unknown, true),
        (Fault::Answer(429, "TooManyRequests"), StoreError::Throttled(None), false),
        (Fault::Answer(409, "BlockCountExceedsLimit"), StoreError::BlockCountExceedsLimit, false),
        (
            Fault::Answer(403, "AuthorizationPermissionMismatch"),
            StoreError::Rejected("AuthorizationPermissionMismatch".to_owned()),
            false,
        ),
    ] {
        azurite.proxy.inject(move |_| Some(fault));
        let appended = store.append(&stream, 1, Bytes::from_static(b"line\n"), None).await;
        assert_eq!(appended.unwrap_err(), expected, "{fault:?}");
        assert_eq!(azurite.proxy.take_counts(), once(&[StorageCall::Append]), "{fault:?}");
        for (call, outcome) in [
            (StorageCall::List, store.list(&stream).await.map(drop)),
            (StorageCall::List, store.list_rooms(9).await.map(drop)),
            (StorageCall::Read, store.read(&stream, 1, 0..9).await.map(drop)),
        ] {
            assert_eq!(outcome, Err(expected.clone()), "{fault:?} {call:?}");
        }
        let expected = BTreeMap::from([(StorageCall::List, 2), (StorageCall::Read, 1)]);
        assert_eq!(azurite.proxy.take_counts(), expected, "{fault:?}");
        azurite.proxy.inject(|_| None);
        length += if is_done { 5 } else { 0 };
        assert_eq!(store.read(&stream, 1, 0..99).await.unwrap().total, length, "{fault:?}");
        azurite.proxy.take_counts();
    }
    let slow = Duration::from_millis(300);
    azurite.proxy.inject(move |_| Some(Fault::Slow(slow)));
    let abandoned = timeout(slow / 3, store.append(&stream, 1, Bytes::from_static(b"late\n"), None)).await;
    assert!(abandoned.is_err());
    azurite.proxy.settle().await;
    azurite.proxy.inject(|_| None);
    assert_eq!(store.read(&stream, 1, 0..99).await.unwrap().total, length + 5);
    assert!(!format!("{store:?}").contains("SECRET"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn a_container_that_does_not_exist_is_rejected_by_its_code() {
    let azurite = Azurite::start(CONTAINER).await;
    let (store, stream) = (store_at(&azurite.proxy.url("no-container")), Stream::everyone());
    let rejected = Err(StoreError::Rejected("ContainerNotFound".to_owned()));
    assert_eq!(store.list(&stream).await.map(drop), rejected);
    assert_eq!(store.create(&stream, 1).await, rejected);
    assert_eq!(store.append(&stream, 1, Bytes::from_static(b"1\n"), None).await.map(drop), rejected);
    assert_eq!(store.read(&stream, 1, 0..9).await.map(drop), rejected);
    // Another program has put something else there.
    let url = format!("{}/rooms/everyone/00000002.jsonl", azurite.proxy.url(CONTAINER));
    let put =
        azurite.proxy.client().put(url).header("x-ms-blob-type", "BlockBlob").header("x-ms-version", "2026-04-06");
    assert_eq!(put.body("{}\n").send().await.unwrap().status(), 201);
    let store = blob_store(&azurite);
    let refused = store.append(&stream, 2, Bytes::from_static(b"1\n"), None).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    // A document that another program has emptied is replaced.
    let url = format!("{}/removed/everyone.jsonl", azurite.proxy.url(CONTAINER));
    let put =
        azurite.proxy.client().put(url).header("x-ms-blob-type", "BlockBlob").header("x-ms-version", "2026-04-06");
    assert_eq!(put.send().await.unwrap().status(), 201);
    let empty = store.read_document("removed/everyone.jsonl").await.unwrap().unwrap();
    assert_eq!(empty.content, "");
    assert_eq!(store.replace_document("removed/everyone.jsonl", b"1\n".to_vec(), Some(&empty)).await, Ok(true));
}
