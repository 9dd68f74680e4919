//! Who has which identity at Azure Communication Services, which does not keep that itself: a small file for each person, in a blob
//! container or, on a developer's machine, in a folder.
//!
//! Many processes write to one store, so nothing is ever overwritten unseen: a first file only where there is none, another one only in
//! the place of the one that was read.

use std::sync::Arc;

use azure_communication::{Endpoint, UserId};
use object_store::path::Path;
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use serde::{Deserialize, Serialize};

mod container;
mod error;
mod folder;
mod transport;

pub use error::StoreError;

/// In bytes: many times what a file of ours has.
const MAX_FILE_BYTES: u64 = 4 * 1_024;

/// The form of the files. Another one is not guessed at.
const VERSION: u32 = 1;

/// The identities that people have at one resource.
#[derive(Clone, Debug)]
pub struct Identities {
    store: Arc<dyn ObjectStore>,
    /// Its host. An identity is good at the resource that made it, and at no other.
    resource: String,
}

/// What the store holds of a person.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) user: UserId,
    version: UpdateVersion,
}

/// A file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: u32,
    communication_user_id: String,
}

impl Identities {
    fn new(store: impl ObjectStore, resource: &Endpoint) -> Self {
        let address = resource.as_str();
        let host = address.split_once("://").map_or(address, |(_, host)| host).trim_end_matches('/');
        Self { store: Arc::new(store), resource: host.to_owned() }
    }

    /// Those of `resource` for as long as they are not dropped.
    #[cfg(test)]
    pub(crate) fn in_memory(resource: &Endpoint) -> Self {
        Self::new(object_store::memory::InMemory::new(), resource)
    }

    /// What is kept under `name`.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Kept>, StoreError> {
        let found = match self.store.get_opts(&self.path(name), GetOptions::default()).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if found.meta.size > MAX_FILE_BYTES {
            return Err(StoreError::Unreadable);
        }
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let file: File = serde_json::from_slice(&found.bytes().await?).map_err(|_| StoreError::Unreadable)?;
        let user = file.communication_user_id.parse().map_err(|_| StoreError::Unreadable)?;
        if file.version == VERSION { Ok(Some(Kept { user, version })) } else { Err(StoreError::Unreadable) }
    }

    /// Keeps `user` under `name`: where there is nothing, or in the place of `before`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when something else is there; it may be `user`, kept by a try whose answer got lost.
    pub(crate) async fn keep(
        &self,
        name: &str,
        user: &UserId,
        before: Option<Kept>,
    ) -> Result<(), StoreError> {
        let file = File { version: VERSION, communication_user_id: user.as_str().to_owned() };
        let file = serde_json::to_vec(&file).expect("a number and a text under text keys");
        let put = async |mode| {
            let options = PutOptions::from(mode);
            self.store.put_opts(&self.path(name), PutPayload::from(file.clone()), options).await
        };
        let Some(before) = before else {
            put(PutMode::Create).await?;
            return Ok(());
        };
        match put(PutMode::Update(before.version)).await {
            // A folder cannot compare. It is a single process's, and there one person's files are written by one at a time.
            Err(object_store::Error::NotImplemented { .. }) => put(PutMode::Overwrite).await?,
            outcome => outcome?,
        };
        Ok(())
    }

    /// Takes away what is kept under `name`.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Whatever is in either name stays one segment.
    fn path(&self, name: &str) -> Path {
        Path::from_iter([self.resource.as_str(), &format!("{name}.json")])
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn identities() -> Identities {
        Identities::new(InMemory::new(), &"https://h:1/".parse().unwrap())
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    async fn holds(identities: &Identities, bytes: &[u8]) -> Result<Option<Kept>, StoreError> {
        let payload = PutPayload::from(bytes.to_vec());
        identities.store.put(&identities.path("ann"), payload).await.unwrap();
        identities.find("ann").await
    }

    #[tokio::test]
    async fn who_is_kept_first_stays_until_somebody_who_has_seen_it_puts_another_in_its_place() {
        let identities = identities();
        assert!(identities.find("ann").await.unwrap().is_none());
        identities.keep("ann", &user("8:acs:1"), None).await.unwrap();
        let late = identities.keep("ann", &user("8:acs:2"), None).await;
        assert!(matches!(late, Err(StoreError::Conflict)));
        let [first, second] = [identities.find("ann").await, identities.find("ann").await];
        identities.keep("ann", &user("8:acs:3"), first.unwrap()).await.unwrap();
        let late = identities.keep("ann", &user("8:acs:4"), second.unwrap()).await;
        assert!(matches!(late, Err(StoreError::Conflict)));
        assert_eq!(identities.find("ann").await.unwrap().unwrap().user, user("8:acs:3"));
        assert!(identities.find("bob").await.unwrap().is_none());
        for _ in 0..2 {
            identities.remove("ann").await.unwrap();
            assert!(identities.find("ann").await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn another_resource_knows_nobody_of_this_one() {
        let here = identities();
        here.keep("ann", &user("8:acs:1"), None).await.unwrap();
        assert_eq!(here.resource, "h:1");
        let there = Identities { resource: "h:2".to_owned(), ..here };
        assert!(there.find("ann").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_no_file_of_ours_is_told_and_left_alone() {
        let identities = identities();
        let right = br#"{"version":1,"communicationUserId":"8:acs:1","colour":"blue"}"#;
        assert_eq!(holds(&identities, right).await.unwrap().unwrap().user, user("8:acs:1"));
        for wrong in [
            &b""[..],
            b"8:acs:1",
            br#"{"version":2,"communicationUserId":"8:acs:1"}"#,
            br#"{"version":1,"communicationUserId":"8:acs: 1"}"#,
            &[b' '; MAX_FILE_BYTES as usize + 1],
        ] {
            assert!(matches!(holds(&identities, wrong).await, Err(StoreError::Unreadable)));
        }
    }
}
