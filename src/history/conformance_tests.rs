//! What the log relies on, for all stores: the promises of [`LogStore`].

use axum::body::Bytes;
use test_support::azurite::Azurite;
use uuid::Uuid;

use super::azurite_tests::{CONTAINER, blob_store};
use super::folder_store::FolderStore;
use super::memory_store::MemoryStore;
use super::position::PartNumber;
use super::store::{LogStore, StoreError};
use super::stream::Stream;

const PART: PartNumber = 20_784_000;

/// Appends whole lines, and returns where they begin.
async fn append(store: &dyn LogStore, stream: &Stream, text: &str, at: Option<u64>) -> Result<u64, StoreError> {
    let appended = store.append(stream, PART, Bytes::from(text.to_owned()), at).await?;
    Ok(appended.offset)
}

/// What is read of a range: the text, whether the part is sealed, and its length.
async fn read(store: &dyn LogStore, stream: &Stream, begin: u64, end: u64) -> Result<(String, bool, u64), StoreError> {
    let chunk = store.read(stream, PART, begin..end).await?;
    Ok((String::from_utf8(chunk.bytes.to_vec()).unwrap(), chunk.sealed, chunk.total))
}

async fn check(store: &dyn LogStore) {
    let (tea, everyone) = (Stream::room("tea").unwrap(), Stream::everyone());
    let text = |text: &str, sealed, total| Ok((text.to_owned(), sealed, total));

    // Nothing is there.
    assert_eq!(store.list(&tea).await.unwrap().parts, []);
    assert_eq!(store.list_rooms(9).await.unwrap(), Vec::<String>::new());
    assert_eq!(append(store, &tea, "1\n", None).await, Err(StoreError::BlobNotFound));
    assert_eq!(append(store, &tea, "1\n", Some(0)).await, Err(StoreError::BlobNotFound));
    assert_eq!(read(store, &tea, 0, 9).await, Err(StoreError::BlobNotFound));
    assert_eq!(read(store, &tea, 5, 9).await, Err(StoreError::BlobNotFound));
    assert_eq!(store.seal(&tea, PART).await, Err(StoreError::BlobNotFound));
    assert_eq!(store.delete(&tea, PART).await, Ok(()));

    // An empty part.
    assert_eq!(store.create(&tea, PART).await, Ok(()));
    assert_eq!(store.create(&tea, PART).await, Err(StoreError::AlreadyExists));
    assert_eq!(read(store, &tea, 0, 9).await, text("", false, 0));
    assert_eq!(read(store, &tea, 3, 9).await, text("", false, 0));

    // Appends, at the end and at a length.
    assert_eq!(append(store, &tea, "one\n", Some(1)).await, Err(StoreError::AppendPositionConditionNotMet));
    assert_eq!(append(store, &tea, "one\n", Some(0)).await, Ok(0));
    assert_eq!(append(store, &tea, "one\n", Some(0)).await, Err(StoreError::AppendPositionConditionNotMet));
    assert_eq!(append(store, &tea, "two\nthree\n", None).await, Ok(4));
    assert_eq!(append(store, &tea, "four\n", Some(14)).await, Ok(14));
    assert_eq!(append(store, &tea, "four\n", Some(99)).await, Err(StoreError::AppendPositionConditionNotMet));
    // A part that exists is not emptied.
    assert_eq!(store.create(&tea, PART).await, Err(StoreError::AlreadyExists));

    // Ranges: inside, over the end, at the end, past it.
    for sealed in [false, true] {
        for (begin, end, expected) in
            [(0, 19, "one\ntwo\nthree\nfour\n"), (4, 8, "two\n"), (14, 1_000, "four\n"), (18, 19, "\n"), (0, 1, "o")]
        {
            assert_eq!(read(store, &tea, begin, end).await, text(expected, sealed, 19), "{begin}..{end}");
        }
        for begin in [19, 20, 5_000_000] {
            assert_eq!(read(store, &tea, begin, begin + 9).await, text("", sealed, 19), "{begin}");
        }
        assert_eq!(store.seal(&tea, PART).await, Ok(()));
    }

    // A sealed part takes nothing, also at its end.
    for at in [None, Some(19), Some(0)] {
        let refused = append(store, &tea, "five\n", at).await;
        let is_refused = matches!(refused, Err(StoreError::BlobIsSealed | StoreError::AppendPositionConditionNotMet));
        assert!(is_refused && (at == Some(0) || refused == Err(StoreError::BlobIsSealed)), "{at:?}: {refused:?}");
    }
    assert_eq!(store.create(&tea, PART).await, Err(StoreError::AlreadyExists));

    // A large block, and a list in the order of the numbers.
    let large = format!("{}\n", "x".repeat((1 << 20) - 1));
    for number in [PART + 10, PART + 2] {
        store.create(&tea, number).await.unwrap();
    }
    store.append(&tea, PART + 2, large.clone().into(), None).await.unwrap();
    let chunk = store.read(&tea, PART + 2, 0..4 << 20).await.unwrap();
    assert!(chunk.bytes == large.as_bytes() && chunk.total == 1 << 20);
    store.create(&everyone, PART).await.unwrap();
    store.create(&Stream::person("ann"), PART).await.unwrap();
    let listing = store.list(&tea).await.unwrap();
    let parts: Vec<_> = listing.parts.iter().map(|part| (part.number, part.length)).collect();
    assert_eq!(parts, [(PART, 19), (PART + 2, 1 << 20), (PART + 10, 0)]);
    assert!(listing.parts.iter().all(|part| part.created == listing.day && (!part.sealed || part.number == PART)));
    assert_eq!(store.append(&everyone, PART, "1\n".into(), None).await.unwrap().day, listing.day);

    // Documents: created once, and replaced only as they were read.
    let (list, other) = ("removed/tea.jsonl", "removed/everyone.jsonl");
    assert_eq!(store.read_document(list).await, Ok(None));
    assert_eq!(store.replace_document(list, b"one\n".to_vec(), None).await, Ok(true));
    assert_eq!(store.replace_document(list, b"lost\n".to_vec(), None).await, Ok(false));
    let one = store.read_document(list).await.unwrap().unwrap();
    assert_eq!(one.content, "one\n");
    let long = "two\n".repeat(1 << 20);
    assert_eq!(store.replace_document(list, long.clone().into(), Some(&one)).await, Ok(true));
    assert_eq!(store.replace_document(list, b"lost\n".to_vec(), Some(&one)).await, Ok(false));
    assert_eq!(store.replace_document(other, b"lost\n".to_vec(), Some(&one)).await, Ok(false));
    assert!(store.read_document(list).await.unwrap().unwrap().content == long.as_bytes());
    assert_eq!(store.read_document(other).await, Ok(None));

    // Rooms, in the order of their names; people and documents are none.
    assert_eq!(store.list_rooms(9).await.unwrap(), ["everyone", "tea"]);
    assert_eq!(store.list_rooms(1).await.unwrap(), ["everyone"]);

    // Sealed, empty or neither: all can be deleted, and twice.
    for number in [PART, PART + 2, PART + 10, PART + 10] {
        assert_eq!(store.delete(&tea, number).await, Ok(()), "{number}");
    }
    assert_eq!(store.list(&tea).await.unwrap().parts, []);
    assert_eq!(store.list_rooms(9).await.unwrap(), ["everyone"]);
    assert_eq!(read(store, &tea, 0, 9).await, Err(StoreError::BlobNotFound));
    assert_eq!(append(store, &tea, "1\n", None).await, Err(StoreError::BlobNotFound));
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    check(&MemoryStore::new(100)).await;
}

#[tokio::test]
async fn a_folder_keeps_the_promises() {
    let path = std::env::temp_dir().join(Uuid::new_v4().to_string());
    check(&FolderStore::open(path.clone()).await.unwrap()).await;
    std::fs::remove_dir_all(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn append_blobs_in_azurite_keep_the_promises() {
    let azurite = Azurite::start(CONTAINER).await;
    check(&blob_store(&azurite)).await;
}
