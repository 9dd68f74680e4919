//! The identity store: the Azure Communication Services identity of each person.
//!
//! There is one JSON file for each person and resource, in a blob container or, on a developer's machine, in a folder. Several processes
//! share a container, so a file is created only if there is none, and replaced only if it has not changed since it was read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_communication::{Endpoint, UserId};
use serde::{Deserialize, Serialize};

mod blob;
mod folder;

/// Many times the size of a file that this module writes.
const MAX_FILE_BYTES: usize = 4 * 1_024;

/// The version of the file format. Files of other versions are not read.
const FORMAT_VERSION: u32 = 1;

/// The identities of people at one Azure Communication Services resource. Clones share the store.
#[derive(Clone, Debug)]
pub struct IdentityStore {
    files: Arc<dyn FileStore>,
    /// The resource's host: an identity is valid at the resource that created it only.
    resource: String,
}

/// A person's identity as it was read from the store.
#[derive(Debug)]
pub(crate) struct StoredIdentity {
    pub(crate) user: UserId,
    file: StoredFile,
}

/// What the identity store needs of a storage service.
#[async_trait]
trait FileStore: fmt::Debug + Send + Sync {
    /// The file `name`, or at least its first [`MAX_FILE_BYTES`] and one byte.
    async fn get(&self, name: &str) -> Result<Option<StoredFile>, StoreError>;

    /// Creates the file; [`StoreError::Conflict`] if there is one.
    async fn put_if_absent(&self, name: &str, content: Vec<u8>) -> Result<(), StoreError>;

    /// Replaces `previous`; [`StoreError::Conflict`] if the file is no longer the same.
    async fn replace_if_unchanged(&self, name: &str, content: Vec<u8>, previous: &StoredFile)
    -> Result<(), StoreError>;

    /// Deletes the file, if there is one.
    async fn delete(&self, name: &str) -> Result<(), StoreError>;
}

#[derive(Debug)]
struct StoredFile {
    content: Vec<u8>,
    /// The `ETag` of a blob.
    etag: Option<String>,
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
        Self { files: Arc::new(files), resource: host.to_owned() }
    }

    /// The identity that is stored under `name`.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<StoredIdentity>, StoreError> {
        let Some(file) = self.files.get(&self.file_name(name)).await? else { return Ok(None) };
        if file.content.len() > MAX_FILE_BYTES {
            return Err(StoreError::Unreadable);
        }
        let content: FileContent = serde_json::from_slice(&file.content).map_err(|_| StoreError::Unreadable)?;
        if content.version != FORMAT_VERSION {
            return Err(StoreError::Unreadable);
        }
        let user = content.communication_user_id.parse().map_err(|_| StoreError::Unreadable)?;
        Ok(Some(StoredIdentity { user, file }))
    }

    /// Stores `user` under `name`, where nothing is stored yet or in place of `previous`.
    ///
    /// On [`StoreError::Conflict`] something else is stored; that may be `user` itself, if the response to an earlier attempt was lost.
    pub(crate) async fn put(
        &self,
        name: &str,
        user: &UserId,
        previous: Option<StoredIdentity>,
    ) -> Result<(), StoreError> {
        let content = FileContent { version: FORMAT_VERSION, communication_user_id: user.as_str().to_owned() };
        let content = serde_json::to_vec(&content).expect("a number and a text under text keys");
        let file_name = self.file_name(name);
        match previous {
            None => self.files.put_if_absent(&file_name, content).await,
            Some(previous) => self.files.replace_if_unchanged(&file_name, content, &previous.file).await,
        }
    }

    /// Deletes what is stored under `name`, if anything is.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.files.delete(&self.file_name(name)).await
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

/// Why a call of the identity store failed, in words for the operator.
///
/// Nothing of the underlying errors is included: they contain addresses, account names and response texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The container does not admit the identity or SAS.
    #[error(
        "the store of identities refuses the identity or SAS; give the app's identity the role Storage Blob Data Contributor on the container, or set a new SAS URL"
    )]
    Denied,
    /// There is no access token for the container.
    #[error("the store of identities cannot be called: there is no token of the app's identity")]
    NoToken,
    /// The container does not exist.
    #[error("the store of identities is not there; create the container that ChatIdentityStore names")]
    NoContainer,
    /// Lost the race against a concurrent writer.
    #[error("the store of identities changed meanwhile")]
    Conflict,
    /// A file has not the format of this module.
    #[error("the store of identities holds a file that is none of this app's; look at what else writes there")]
    Unreadable,
    /// There was no response.
    #[error("the store of identities cannot be reached")]
    Unreachable,
    /// Any other failure.
    #[error("the store of identities failed")]
    Failed,
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Self::NoToken | Self::Conflict | Self::Unreachable | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;

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

        async fn get_written(&self, bytes: &[u8]) -> Result<Option<StoredIdentity>, StoreError> {
            let path = self.folder.join(self.store.file_name("ann"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
            self.store.get("ann").await
        }
    }

    impl Drop for TestStore {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    #[tokio::test]
    async fn an_identity_is_replaced_only_by_a_writer_that_has_read_it() {
        let test = TestStore::new("https://h:1/");
        let store = &test.store;
        assert!(store.get("ann").await.unwrap().is_none());
        store.put("ann", &user("8:acs:1"), None).await.unwrap();
        assert_eq!(store.put("ann", &user("8:acs:2"), None).await, Err(StoreError::Conflict));
        let [first, second] = [store.get("ann").await.unwrap(), store.get("ann").await.unwrap()];
        store.put("ann", &user("8:acs:3"), first).await.unwrap();
        assert_eq!(store.put("ann", &user("8:acs:4"), second).await, Err(StoreError::Conflict));
        assert_eq!(store.get("ann").await.unwrap().unwrap().user, user("8:acs:3"));
        assert!(store.get("bob").await.unwrap().is_none());
        for _ in 0..2 {
            store.delete("ann").await.unwrap();
            assert!(store.get("ann").await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn identities_of_another_resource_are_not_found() {
        let test = TestStore::new("https://h:1/");
        test.store.put("ann", &user("8:acs:1"), None).await.unwrap();
        assert_eq!(test.store.resource, "h:1");
        let other = IdentityStore { resource: "h:2".to_owned(), ..test.store.clone() };
        assert!(other.get("ann").await.unwrap().is_none());
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

    /// See the note in the file.
    #[tokio::test]
    async fn files_and_blobs_of_earlier_versions_have_the_same_names_and_bytes() {
        let stored = include_str!("../../tests/data/stored-identities.json");
        let stored: serde_json::Value = serde_json::from_str(stored).unwrap();
        for file in ["files", "blobs"].iter().flat_map(|kind| stored[kind].as_array().unwrap()) {
            let text = |key: &str| file[key].as_str().unwrap();
            let test = TestStore::new(text("resource"));
            let path = test.folder.join(text("name"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text("content")).unwrap();
            let (_, name) = text("name").rsplit_once('/').unwrap();
            let name = name.strip_suffix(".json").unwrap();
            let found = test.store.get(name).await.unwrap().unwrap();
            test.store.delete(name).await.unwrap();
            test.store.put(name, &found.user, None).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text("content"));
        }
    }
}
