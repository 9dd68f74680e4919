//! The log in a folder, for one machine. Several processes may use it at the same time.
//!
//! The names and bytes are those of blobs. Parts are not synchronized to the disk: a crash of the machine, unlike one of the process, can
//! take the last lines.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::body::Bytes;
use tracing::warn;

use super::document_file;
use super::position::PartNumber;
use super::store::{Appended, Chunk, Day, Document, Listing, LogStore, StoreError};
use super::stream::{PEOPLE, REMOVED, ROOMS, Stream};
use super::stream_folder::{StreamFolder, create_private_folder, store_error};

const DAY: Duration = Duration::from_secs(86_400);
/// The age at which parts are deleted.
const MAX_AGE: Duration = DAY.saturating_mul(30);
/// The age at which lists of removed messages are deleted: later than what they hide.
const MAX_REMOVALS_AGE: Duration = DAY.saturating_mul(32);

/// A folder with the parts of all streams.
#[derive(Clone, Debug)]
pub(crate) struct FolderStore(Arc<PathBuf>);

impl FolderStore {
    /// Opens a folder, or creates it. Deletes the parts that are older than 30 days; the next line of each stream begins a new part.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created or read.
    pub(crate) async fn open(path: PathBuf) -> io::Result<Self> {
        let store = Self(Arc::new(path));
        let opened = store.clone();
        tokio::task::spawn_blocking(move || opened.clean(SystemTime::now())).await.map_err(io::Error::other)??;
        Ok(store)
    }

    fn clean(&self, now: SystemTime) -> io::Result<()> {
        create_private_folder(&self.0)?;
        for prefix in [ROOMS, PEOPLE] {
            create_private_folder(&self.0.join(prefix))?;
            for folder in fs::read_dir(self.0.join(prefix))? {
                let stream = StreamFolder::new(folder?.path());
                let oldest = now.checked_sub(MAX_AGE).unwrap_or(UNIX_EPOCH);
                if let Err(error) = stream.delete_older(oldest).and_then(|()| stream.seal_all()) {
                    warn!("a folder of the history is used as it is: {error}");
                }
            }
        }
        let removed = self.0.join(REMOVED);
        create_private_folder(&removed)?;
        let oldest = now.checked_sub(MAX_REMOVALS_AGE).unwrap_or(UNIX_EPOCH);
        if let Err(error) = document_file::delete_older(&removed, oldest) {
            warn!("the lists of removed messages are used as they are: {error}");
        }
        Ok(())
    }

    /// Runs `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        stream: &Stream,
        work: impl FnOnce(StreamFolder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = StreamFolder::new(self.0.join(stream.prefix()));
        tokio::task::spawn_blocking(|| work(folder)).await.unwrap_or(Err(StoreError::Unknown))
    }
}

#[async_trait]
impl LogStore for FolderStore {
    async fn list(&self, stream: &Stream) -> Result<Listing, StoreError> {
        let parts = self.run(stream, |folder| folder.list()).await?;
        Ok(Listing { parts, day: Day::of(SystemTime::now()) })
    }

    async fn create(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        self.run(stream, move |folder| folder.create(part)).await
    }

    async fn append(
        &self,
        stream: &Stream,
        part: PartNumber,
        bytes: Bytes,
        at: Option<u64>,
    ) -> Result<Appended, StoreError> {
        self.run(stream, move |folder| folder.append(part, &bytes, at)).await
    }

    async fn read(&self, stream: &Stream, part: PartNumber, range: Range<u64>) -> Result<Chunk, StoreError> {
        self.run(stream, move |folder| folder.read(part, range)).await
    }

    async fn seal(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        self.run(stream, move |folder| folder.seal(part)).await
    }

    async fn delete(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        self.run(stream, move |folder| folder.delete(part)).await
    }

    async fn list_rooms(&self, max: usize) -> Result<Vec<String>, StoreError> {
        let rooms = self.0.join(ROOMS);
        let list = move || list_rooms(&rooms, max).map_err(|error| store_error(&error));
        tokio::task::spawn_blocking(list).await.unwrap_or(Err(StoreError::Unknown))
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let path = self.0.join(name);
        tokio::task::spawn_blocking(move || document_file::read(&path)).await.unwrap_or(Err(StoreError::Unknown))
    }

    async fn replace_document(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: Option<&Document>,
    ) -> Result<bool, StoreError> {
        let (path, previous) = (self.0.join(name), previous.cloned());
        let replace = move || document_file::replace(&path, &content, previous.as_ref());
        tokio::task::spawn_blocking(replace).await.unwrap_or(Err(StoreError::Unknown))
    }
}

/// Rooms whose parts have all been deleted leave an empty folder.
fn list_rooms(rooms: &Path, max: usize) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in fs::read_dir(rooms)? {
        let folder = folder?;
        if let Ok(name) = folder.file_name().into_string()
            && StreamFolder::new(folder.path()).has_parts()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.truncate(max);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use futures_util::future::join_all;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::super::appender::Place;
    use super::super::line::Head;
    use super::super::log::HistoryLog;
    use super::super::page::{Cursor, Filter, Page};
    use super::*;

    /// A folder that is deleted in the end.
    struct TestFolder(PathBuf);

    impl TestFolder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(Uuid::new_v4().to_string()))
        }

        /// The log as a process finds it when it starts.
        async fn start(&self) -> HistoryLog {
            HistoryLog::new(Arc::new(FolderStore::open(self.0.clone()).await.unwrap()))
        }

        /// The parts of the stream of everyone, in the order of their numbers.
        fn parts(&self) -> Vec<PathBuf> {
            let files = fs::read_dir(self.0.join("rooms/everyone")).unwrap();
            let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
            paths.sort();
            paths
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    async fn say(log: &HistoryLog, id: &str) -> Place {
        let line = format!(r#"{{"id":"{id}","sender":"ann","text":"hi"}}"#);
        log.append(&Stream::everyone(), line.into_bytes()).await.unwrap()
    }

    async fn newest(log: &HistoryLog) -> Page {
        log.page(&Stream::everyone(), Cursor::Newest, 100, Filter::All, Instant::now()).await.unwrap()
    }

    fn ids(page: &Page) -> Vec<String> {
        let id = |message: &String| {
            serde_json::from_str::<serde_json::Value>(message).unwrap()["id"].as_str().unwrap().to_owned()
        };
        page.messages.iter().map(id).collect()
    }

    #[tokio::test]
    async fn each_start_begins_a_new_part_and_goes_on_without_a_seam() {
        let folder = TestFolder::new();
        let log = folder.start().await;
        let first = say(&log, "1").await;
        assert_eq!(first.next, say(&log, "2").await.at);
        assert_eq!(folder.parts().len(), 1);
        let log = folder.start().await;
        let third = say(&log, "3").await;
        assert_eq!((third.next.part, third.next.part), (first.next.part + 1, say(&log, "4").await.next.part));
        let page = newest(&folder.start().await).await;
        assert_eq!(
            (ids(&page), page.before, page.more),
            (["1", "2", "3", "4"].map(str::to_owned).to_vec(), None, false)
        );
        assert!(page.messages[1].contains(&format!(r#""next":"{}""#, third.at)), "{page:?}");
    }

    #[tokio::test]
    async fn half_a_line_is_cut_off_and_never_seen() {
        let folder = TestFolder::new();
        let log = folder.start().await;
        let first = say(&log, "1").await;
        let tear = || {
            let part = folder.parts().pop().unwrap();
            File::options().append(true).open(part).unwrap().write_all(br#"{"id":"torn""#).unwrap();
        };
        tear();
        assert_eq!(ids(&newest(&log).await), ["1"]);
        let second = say(&log, "2").await;
        assert_eq!(first.next, second.at);
        tear();
        // The process has ended; another one starts.
        let log = folder.start().await;
        assert_eq!(say(&log, "3").await.at, second.next);
        let page = newest(&log).await;
        assert_eq!((ids(&page), page.bad_lines), (["1", "2", "3"].map(str::to_owned).to_vec(), 0));
    }

    #[tokio::test]
    async fn a_lost_tail_shares_no_position_with_new_lines() {
        let folder = TestFolder::new();
        let log = folder.start().await;
        let places = [say(&log, "1").await, say(&log, "2").await];
        // The machine has crashed, and the last line was not on the disk. Or no line was.
        for length in [places[0].next.offset, 0] {
            let part = folder.parts().remove(0);
            let mut bytes = fs::read(&part).unwrap();
            bytes.truncate(usize::try_from(length).unwrap());
            fs::remove_file(&part).unwrap();
            fs::write(&part, bytes).unwrap();
            let log = folder.start().await;
            let place = say(&log, &format!("after {length}")).await;
            assert!(place.next.part > places[1].next.part, "{place:?}");
            let page =
                log.page(&Stream::everyone(), Cursor::After(places[1].next), 9, Filter::All, Instant::now()).await;
            assert!(page.is_err() || page.unwrap().lost);
        }
        assert_eq!(ids(&newest(&folder.start().await).await).last().unwrap(), "after 0");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_write_at_the_same_time_form_one_chain() {
        let folder = TestFolder::new();
        let write = async |process: usize| {
            for start in 0..3 {
                let log = folder.start().await;
                for round in 0..10 {
                    let ids = (0..5).map(|index| format!("{process}-{start}-{round}-{index}"));
                    let ids: Vec<_> = ids.collect();
                    join_all(ids.iter().map(|id| say(&log, id))).await;
                }
            }
        };
        join_all((0..4).map(write)).await;
        let mut page = newest(&folder.start().await).await;
        let log = folder.start().await;
        let mut messages = page.messages.clone();
        while let Some(before) = page.before {
            page =
                log.page(&Stream::everyone(), Cursor::Before(before), 100, Filter::All, Instant::now()).await.unwrap();
            messages.splice(0..0, page.messages.clone());
        }
        let messages: Vec<serde_json::Value> =
            messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect();
        assert_eq!(messages.len(), 4 * 3 * 10 * 5);
        for pair in messages.windows(2) {
            assert_eq!(pair[0]["next"], pair[1]["at"]);
        }
        for path in folder.parts() {
            let number = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let bytes = fs::read(&path).unwrap();
            // A process that starts seals a part that another one has just created.
            let is_empty = bytes.is_empty();
            assert!(is_empty || Head::parse(number, &bytes).length > 0 && bytes.ends_with(b"}\n"), "{path:?}");
        }
    }

    #[tokio::test]
    async fn a_copy_without_permissions_is_read_to_its_end() {
        let folder = TestFolder::new();
        for id in ["1", "2", "3"] {
            say(&folder.start().await, id).await;
        }
        for part in folder.parts() {
            let bytes = fs::read(&part).unwrap();
            fs::remove_file(&part).unwrap();
            fs::write(&part, bytes).unwrap();
        }
        // Without a start, which would seal them.
        let log = HistoryLog::new(Arc::new(FolderStore(Arc::new(folder.0.clone()))));
        let first = folder.parts().remove(0).file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let store = FolderStore(Arc::new(folder.0.clone()));
        let end = store.read(&Stream::everyone(), first, 0..1_000).await.unwrap();
        assert!(end.sealed);
        let begin = Cursor::After(super::super::position::Position::new(first, Head::parse(first, &end.bytes).length));
        let page = log.page(&Stream::everyone(), begin, 100, Filter::All, Instant::now()).await.unwrap();
        assert_eq!(ids(&page), ["1", "2", "3"]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_this_user_can_read_the_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = TestFolder::new();
        say(&folder.start().await, "1").await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for path in ["", "rooms/everyone", "removed"] {
            assert_eq!(mode(&folder.0.join(path)), 0o700, "{path}");
        }
        let store = FolderStore(Arc::new(folder.0.clone()));
        assert_eq!(store.replace_document("removed/everyone.jsonl", b"a list".to_vec(), None).await, Ok(true));
        for path in [&folder.parts()[0], &folder.0.join("removed/everyone.jsonl")] {
            assert_eq!(mode(path) & 0o177, 0, "{}", path.display());
        }
    }

    #[tokio::test]
    async fn old_parts_are_deleted_at_the_start_and_their_numbers_are_not_used_again() {
        let folder = TestFolder::new();
        let first = say(&folder.start().await, "1").await;
        let second = say(&folder.start().await, "2").await;
        let age = |path: &Path, days: u32| {
            let file = File::open(path).unwrap();
            file.set_modified(SystemTime::now() - DAY * days).unwrap();
        };
        age(&folder.parts()[0], 31);
        age(&folder.parts()[1], 29);
        let store = FolderStore(Arc::new(folder.0.clone()));
        for (room, days) in [("tea", 31), ("coffee", 33)] {
            let name = Stream::room(room).unwrap().removals_name().unwrap();
            assert_eq!(store.replace_document(&name, b"a list".to_vec(), None).await, Ok(true));
            age(&folder.0.join(name), days);
        }
        let half = folder.0.join("removed/half.new");
        fs::write(&half, "half a list").unwrap();
        age(&half, 33);
        let log = folder.start().await;
        assert_eq!(ids(&newest(&log).await), ["2"]);
        let lost =
            log.page(&Stream::everyone(), Cursor::After(first.at), 9, Filter::All, Instant::now()).await.unwrap();
        assert!(lost.lost && ids(&lost) == ["2"]);
        let after =
            log.page(&Stream::everyone(), Cursor::After(first.next), 9, Filter::All, Instant::now()).await.unwrap();
        assert!(!after.lost && ids(&after) == ["2"]);
        assert!(say(&log, "3").await.next.part > second.next.part);
        let list = |room| store.read_document(room);
        assert_eq!(list("removed/tea.jsonl").await.unwrap().unwrap().content, "a list");
        assert_eq!(list("removed/coffee.jsonl").await, Ok(None));
        assert!(!half.exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_replace_a_document_at_the_same_time_lose_no_line() {
        let folder = TestFolder::new();
        let add = async |process: usize| {
            let store = FolderStore::open(folder.0.clone()).await.unwrap();
            for round in 0..20 {
                let is_added = async || {
                    let before = store.read_document("removed/tea.jsonl").await.unwrap();
                    let mut content = before.as_ref().map_or(Vec::new(), |before| before.content.to_vec());
                    content.extend(format!("{process}-{round}\n").bytes());
                    store.replace_document("removed/tea.jsonl", content, before.as_ref()).await.unwrap()
                };
                while !is_added().await {}
            }
        };
        join_all((0..4).map(add)).await;
        let list = fs::read_to_string(folder.0.join("removed/tea.jsonl")).unwrap();
        assert_eq!(list.lines().count(), 4 * 20);
    }

    #[tokio::test]
    async fn rooms_with_messages_are_listed() {
        let folder = TestFolder::new();
        let log = folder.start().await;
        assert_eq!(log.rooms(9).await.unwrap(), Vec::<String>::new());
        for room in ["tea", "coffee"] {
            log.append(&Stream::room(room).unwrap(), b"{}".to_vec()).await.unwrap();
        }
        say(&log, "1").await;
        fs::create_dir_all(folder.0.join("rooms/empty")).unwrap();
        assert_eq!(log.rooms(9).await.unwrap(), ["coffee", "everyone", "tea"]);
        assert_eq!(log.rooms(1).await.unwrap(), ["coffee"]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_is_an_error_and_the_next_call_works_when_it_can() {
        let folder = TestFolder::new();
        fs::write(&folder.0, "a file").unwrap();
        assert!(FolderStore::open(folder.0.clone()).await.is_err());
        fs::remove_file(&folder.0).unwrap();
        let log = folder.start().await;
        fs::write(folder.0.join("rooms/everyone"), "a file").unwrap();
        assert!(log.append(&Stream::everyone(), b"{}".to_vec()).await.is_err());
        fs::remove_file(folder.0.join("rooms/everyone")).unwrap();
        say(&log, "1").await;
        // The folder is deleted while the process runs.
        fs::remove_dir_all(&folder.0).unwrap();
        say(&log, "2").await;
        assert_eq!(ids(&newest(&log).await), ["2"]);
    }
}
