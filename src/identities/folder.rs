//! Identities in a folder: for one process on a developer's machine, where nothing else is at hand.

use std::path::Path;

use azure_communication::Endpoint;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::prefix::PrefixStore;

use super::Identities;

impl Identities {
    /// Those of `resource` in `folder`, an absolute path. It is made with the first file.
    ///
    /// # Errors
    ///
    /// When the path is not absolute.
    pub fn in_folder(folder: &Path, resource: &Endpoint) -> Result<Self, object_store::path::Error> {
        let folder = Place::from_absolute_path(folder)?;
        Ok(Self::new(PrefixStore::new(LocalFileSystem::new(), folder), resource))
    }
}

#[cfg(test)]
mod tests {
    use azure_communication::UserId;
    use uuid::Uuid;

    use super::*;
    use crate::identities::StoreError;

    #[tokio::test]
    async fn a_folder_keeps_who_is_first_and_takes_another_in_its_place() {
        let folder = std::env::temp_dir().join(Uuid::new_v4().to_string());
        let identities = Identities::in_folder(&folder, &"http://localhost:8889".parse().unwrap()).unwrap();
        let [first, second] = ["8:acs:1", "8:acs:2"].map(|id| id.parse::<UserId>().unwrap());
        assert!(identities.find("ann").await.unwrap().is_none());
        identities.keep("ann", &first, None).await.unwrap();
        assert_eq!(identities.keep("ann", &second, None).await, Err(StoreError::Conflict));
        let kept = identities.find("ann").await.unwrap();
        assert_eq!(kept.as_ref().unwrap().user, first);
        identities.keep("ann", &second, kept).await.unwrap();
        assert_eq!(identities.find("ann").await.unwrap().unwrap().user, second);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
