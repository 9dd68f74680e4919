//! The identity store: the Azure Communication Services identity of each person.
//!
//! There is one JSON file for each person and resource, in a blob container or, on a developer's machine, in a folder. Several processes
//! share a container, so a file is created only if there is none, and replaced or deleted only if it has not changed since it was read.
//!
//! The name of a person's file is the HMAC of their hash under a key that is kept beside the files, one for each resource. Versions before
//! that used the hash itself; such a file is moved when it is read.

use std::sync::Arc;

use azure_communication::{Endpoint, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tracing::warn;

mod blob;
mod file_store;
mod folder;
mod name_key;

pub use file_store::StoreError;
use file_store::{FileStore, MAX_FILE_BYTES, StoredFile};
use name_key::NameKey;

/// The version of the file format. Files of other versions are not read.
const FORMAT_VERSION: u32 = 1;

/// The name of the key's file. Names of people's files are 64 hexadecimal digits.
const KEY_NAME: &str = "name-key";

/// The identities of people at one Azure Communication Services resource. Clones share the store.
#[derive(Clone, Debug)]
pub struct IdentityStore {
    files: Arc<dyn FileStore>,
    /// The resource's host: an identity is valid at the resource that created it only.
    resource: String,
    /// The key of the file names, once it has been read.
    key: Arc<OnceCell<NameKey>>,
}

/// A person's identity as it was read from the store.
#[derive(Debug)]
pub(crate) struct StoredIdentity {
    pub(crate) user: UserId,
    /// The name of its file.
    name: String,
    file: StoredFile,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileContent {
    version: u32,
    communication_user_id: String,
}

impl IdentityStore {
    fn new(files: impl FileStore + 'static, resource: &Endpoint) -> Self {
        let address = resource.as_str();
        let host = address.split_once("://").map_or(address, |(_, host)| host).trim_end_matches('/');
        Self { files: Arc::new(files), resource: host.to_owned(), key: Arc::default() }
    }

    /// The identity of the person whose hash is `person`. A file of an earlier version is moved to the person's name of today.
    pub(crate) async fn get(&self, person: &[u8; 32]) -> Result<Option<StoredIdentity>, StoreError> {
        let [old_name, name] = self.names(person).await?;
        if let Some(stored) = self.read(&name).await? {
            return Ok(Some(stored));
        }
        match self.read(&old_name).await? {
            Some(old) => self.rename(&old, &name).await,
            None => Ok(None),
        }
    }

    /// Stores `user` as the identity of `person`, where nothing is stored yet or in place of `previous`.
    ///
    /// On [`StoreError::Conflict`] something else is stored; that may be `user` itself, if the response to an earlier attempt was lost.
    pub(crate) async fn put(
        &self,
        person: &[u8; 32],
        user: &UserId,
        previous: Option<&StoredIdentity>,
    ) -> Result<(), StoreError> {
        let content = FileContent { version: FORMAT_VERSION, communication_user_id: user.as_str().to_owned() };
        let content = serde_json::to_vec(&content).expect("a number and a text under text keys");
        match previous {
            None => self.files.put_if_absent(&self.names(person).await?[1], content).await,
            Some(previous) => self.files.replace_if_unchanged(&previous.name, content, &previous.file).await,
        }
    }

    /// Fails as [`put`](Self::put) of a new file would. It creates the file of the key, which is there.
    pub(crate) async fn check_writable(&self) -> Result<(), StoreError> {
        match self.files.put_if_absent(&self.file_name(KEY_NAME), self.key().await?.to_file()).await {
            Err(error) if error != StoreError::Conflict => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of the files in which the identity of `person` may be stored: that of earlier versions, and that of today. A file moves
    /// in this direction, so it is not missed by who reads both in this order.
    pub(crate) async fn names(&self, person: &[u8; 32]) -> Result<[String; 2], StoreError> {
        let old_name: String = person.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = self.key().await?.name_of(person);
        Ok([old_name, name].map(|name| self.file_name(&name)))
    }

    /// The identity in the file `name`, one of [`names`](Self::names).
    pub(crate) async fn read(&self, name: &str) -> Result<Option<StoredIdentity>, StoreError> {
        let Some(file) = self.read_file(name).await? else { return Ok(None) };
        let content: FileContent = serde_json::from_slice(&file.content).map_err(|_| StoreError::Unreadable)?;
        if content.version != FORMAT_VERSION {
            return Err(StoreError::Unreadable);
        }
        let user = content.communication_user_id.parse().map_err(|_| StoreError::Unreadable)?;
        Ok(Some(StoredIdentity { user, name: name.to_owned(), file }))
    }

    /// Deletes the file of `stored`. On [`StoreError::Conflict`] it was replaced since it was read, and is left.
    pub(crate) async fn delete(&self, stored: &StoredIdentity) -> Result<(), StoreError> {
        self.files.delete_if_unchanged(&stored.name, &stored.file).await
    }

    /// Moves the file of `old` to `name`. Until its last step both files are valid.
    async fn rename(&self, old: &StoredIdentity, name: &str) -> Result<Option<StoredIdentity>, StoreError> {
        match self.files.put_if_absent(name, old.file.content.clone()).await {
            Err(error) if error != StoreError::Conflict => return Err(error),
            _ => {}
        }
        let stored = self.read(name).await?;
        if stored.as_ref().is_some_and(|stored| stored.user == old.user)
            && let Err(error) = self.delete(old).await
            && error != StoreError::Conflict
        {
            warn!(
                "an identity was stored under its new name, and its file under the old name could not be deleted: {error}"
            );
        }
        Ok(stored)
    }

    /// The key, read once, and created if there is none. A failure is not kept.
    async fn key(&self) -> Result<&NameKey, StoreError> {
        self.key.get_or_try_init(|| self.load_key()).await
    }

    async fn load_key(&self) -> Result<NameKey, StoreError> {
        let name = self.file_name(KEY_NAME);
        if let Some(file) = self.read_file(&name).await? {
            return NameKey::parse(&file.content).ok_or(StoreError::Unreadable);
        }
        match self.files.put_if_absent(&name, NameKey::random().to_file()).await {
            Err(error) if error != StoreError::Conflict => return Err(error),
            _ => {}
        }
        // Of several processes that create it, one has succeeded.
        let file = self.read_file(&name).await?.ok_or(StoreError::Failed)?;
        NameKey::parse(&file.content).ok_or(StoreError::Unreadable)
    }

    async fn read_file(&self, name: &str) -> Result<Option<StoredFile>, StoreError> {
        match self.files.get(name).await? {
            Some(file) if file.content.len() > MAX_FILE_BYTES => Err(StoreError::Unreadable),
            file => Ok(file),
        }
    }

    fn file_name(&self, name: &str) -> String {
        format!("{}/{}.json", escape(&self.resource), escape(name))
    }
}

/// Escapes one segment of a file name. Part of the format: names of existing files depend on it.
fn escape(segment: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_control() && !br#"/\{^}%`]">[~<#|*?"#.contains(&byte);
    let escaped =
        segment.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;

    const ANN: [u8; 32] = [1; 32];
    const BOB: [u8; 32] = [2; 32];

    /// A store in a new folder, which is deleted in the end.
    struct TestStore {
        folder: PathBuf,
        store: IdentityStore,
    }

    impl TestStore {
        fn new(resource: &str) -> Self {
            let folder = std::env::temp_dir().join(Uuid::new_v4().to_string());
            let store = IdentityStore::in_folder(&folder, &resource.parse().unwrap());
            Self { folder, store }
        }

        /// The store of another process in the same folder.
        fn of_another_process(&self) -> IdentityStore {
            IdentityStore::in_folder(&self.folder, &format!("https://{}/", self.store.resource).parse().unwrap())
        }

        fn write(&self, name: &str, content: &[u8]) {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        /// The names of all files but that of the key.
        fn people(&self) -> Vec<String> {
            let files = fs::read_dir(self.folder.join(escape(&self.store.resource))).unwrap();
            let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            names.filter(|name| !name.starts_with(KEY_NAME)).collect()
        }

        async fn get_written(&self, bytes: &[u8]) -> Result<Option<StoredIdentity>, StoreError> {
            self.write(&self.store.names(&ANN).await?[1], bytes);
            self.store.get(&ANN).await
        }
    }

    impl Drop for TestStore {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    #[tokio::test]
    async fn an_identity_is_replaced_or_deleted_only_by_who_has_read_it() {
        let test = TestStore::new("https://h:1/");
        let store = &test.store;
        assert!(store.get(&ANN).await.unwrap().is_none());
        store.put(&ANN, &user("8:acs:1"), None).await.unwrap();
        assert_eq!(store.put(&ANN, &user("8:acs:2"), None).await, Err(StoreError::Conflict));
        let first = store.get(&ANN).await.unwrap().unwrap();
        store.put(&ANN, &user("8:acs:3"), Some(&first)).await.unwrap();
        assert_eq!(store.put(&ANN, &user("8:acs:4"), Some(&first)).await, Err(StoreError::Conflict));
        assert_eq!(store.delete(&first).await, Err(StoreError::Conflict));
        let second = store.get(&ANN).await.unwrap().unwrap();
        assert_eq!(second.user, user("8:acs:3"));
        assert!(store.get(&BOB).await.unwrap().is_none());
        for _ in 0..2 {
            store.delete(&second).await.unwrap();
            assert!(store.get(&ANN).await.unwrap().is_none());
        }
        assert_eq!(store.put(&ANN, &user("8:acs:5"), Some(&second)).await, Err(StoreError::Conflict));
    }

    #[tokio::test]
    async fn identities_of_another_resource_are_not_found() {
        let test = TestStore::new("https://h:1/");
        test.store.put(&ANN, &user("8:acs:1"), None).await.unwrap();
        assert_eq!(test.store.resource, "h:1");
        let other = IdentityStore { resource: "h:2".to_owned(), ..test.store.clone() };
        assert!(other.get(&ANN).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_file_of_another_format_is_an_error() {
        let test = TestStore::new("https://h/");
        let right = br#"{"version":1,"communicationUserId":"8:acs:1","colour":"blue"}"#;
        assert_eq!(test.get_written(right).await.unwrap().unwrap().user, user("8:acs:1"));
        for wrong in [
            &b""[..],
            b"8:acs:1",
            br#"{"version":2,"communicationUserId":"8:acs:1"}"#,
            br#"{"version":1,"communicationUserId":"8:acs: 1"}"#,
            &[b' '; MAX_FILE_BYTES + 1],
        ] {
            assert_eq!(test.get_written(wrong).await.unwrap_err(), StoreError::Unreadable);
        }
    }

    #[tokio::test]
    async fn a_name_cannot_be_computed_without_the_key_and_is_different_in_each_store() {
        let (first, second) = (TestStore::new("https://h/"), TestStore::new("https://h/"));
        for test in [&first, &second] {
            test.store.put(&ANN, &user("8:acs:1"), None).await.unwrap();
        }
        let [old_name, name] = first.store.names(&ANN).await.unwrap();
        assert_eq!(old_name, format!("h/{}.json", "01".repeat(32)));
        assert_eq!(first.people(), [name.strip_prefix("h/").unwrap()]);
        assert_ne!(first.people(), second.people());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_start_at_once_use_the_same_key() {
        let test = TestStore::new("https://h/");
        let started = (0..20).map(|_| {
            let store = test.of_another_process();
            tokio::spawn(async move { store.names(&ANN).await.unwrap() })
        });
        let mut names = Vec::new();
        for started in started.collect::<Vec<_>>() {
            names.push(started.await.unwrap());
        }
        names.dedup();
        assert_eq!(names, [test.store.names(&ANN).await.unwrap()]);
    }

    #[tokio::test]
    async fn a_failure_to_read_the_key_is_not_kept_and_the_key_is() {
        let test = TestStore::new("https://h/");
        test.write("h/name-key.json", b"{}");
        for _ in 0..2 {
            assert_eq!(test.store.get(&ANN).await.unwrap_err(), StoreError::Unreadable);
        }
        fs::remove_file(test.folder.join("h/name-key.json")).unwrap();
        test.store.put(&ANN, &user("8:acs:1"), None).await.unwrap();
        test.write("h/name-key.json", b"{}");
        assert!(test.store.get(&ANN).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_lost_key_is_restored_by_a_process_that_has_read_it() {
        let test = TestStore::new("https://h/");
        test.store.check_writable().await.unwrap();
        fs::remove_file(test.folder.join("h/name-key.json")).unwrap();
        test.store.check_writable().await.unwrap();
        assert_eq!(test.of_another_process().names(&ANN).await, test.store.names(&ANN).await);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_a_permanent_fault() {
        let test = TestStore::new("https://h/");
        fs::write(&test.folder, "a file").unwrap();
        let error = test.store.check_writable().await.unwrap_err();
        assert_eq!((error, error.is_retryable()), (StoreError::Rejected, false));
        fs::remove_file(&test.folder).unwrap();
    }

    /// See the note in the file.
    #[tokio::test]
    async fn files_and_blobs_of_earlier_versions_are_found_and_moved_as_they_are() {
        let stored = include_str!("../../tests/data/stored-identities.json");
        let stored: serde_json::Value = serde_json::from_str(stored).unwrap();
        for file in ["files", "blobs"].iter().flat_map(|kind| stored[kind].as_array().unwrap()) {
            let text = |key: &str| file[key].as_str().unwrap();
            let test = TestStore::new(text("resource"));
            test.write(text("name"), text("content").as_bytes());
            let hash = text("name").rsplit_once('/').unwrap().1.strip_suffix(".json").unwrap();
            let person: Vec<_> = (0..32).map(|at| u8::from_str_radix(&hash[2 * at..][..2], 16).unwrap()).collect();
            let person = person.try_into().unwrap();
            let found = test.store.get(&person).await.unwrap().unwrap();
            assert!(text("content").contains(found.user.as_str()));
            let [old_name, name] = test.store.names(&person).await.unwrap();
            assert_eq!((old_name.as_str(), found.name.as_str()), (text("name"), name.as_str()));
            assert_eq!(test.people().len(), 1);
            assert_eq!(fs::read_to_string(test.folder.join(name)).unwrap(), text("content"));
            assert_eq!(test.store.get(&person).await.unwrap().unwrap().user, found.user);
        }
    }

    #[tokio::test]
    async fn a_move_that_broke_off_leaves_the_identity_as_it_was() {
        let test = TestStore::new("https://h/");
        let [old_name, name] = test.store.names(&ANN).await.unwrap();
        let content = br#"{"version":1,"communicationUserId":"8:acs:1"}"#;
        for existing in [&[&old_name][..], &[&old_name, &name], &[&name]] {
            for existing in existing {
                test.write(existing, content);
            }
            let found = test.store.get(&ANN).await.unwrap().unwrap();
            assert_eq!((found.user, &found.name), (user("8:acs:1"), &name));
        }
    }

    #[tokio::test]
    async fn the_name_of_today_comes_first() {
        let test = TestStore::new("https://h/");
        test.store.put(&ANN, &user("8:acs:2"), None).await.unwrap();
        let [old_name, _] = test.store.names(&ANN).await.unwrap();
        test.write(&old_name, br#"{"version":1,"communicationUserId":"8:acs:1"}"#);
        assert_eq!(test.store.get(&ANN).await.unwrap().unwrap().user, user("8:acs:2"));
        assert_eq!(test.people().len(), 2, "an identity that is not known to be the same is not removed");
    }
}
