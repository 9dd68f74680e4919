//! Opens the history that the settings describe.

use std::error::Error as StdError;
use std::path::absolute;
use std::sync::Arc;

use super::blob_store::BlobStore;
use super::folder_store::FolderStore;
use super::log::HistoryLog;
use super::store::LogStore;
use crate::config::{ConfigError, HISTORY, HistoryConfig, HistoryPlace};

/// The messages of the chat, and which of them are kept. Clones share the log.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) log: HistoryLog,
    /// Whether private messages are kept.
    pub(crate) is_private_kept: bool,
}

impl History {
    pub(crate) fn new(store: Arc<dyn LogStore>, is_private_kept: bool) -> Self {
        Self { log: HistoryLog::new(store), is_private_kept }
    }
}

/// The history of the settings; `None` if it is off.
///
/// # Errors
///
/// When its place cannot be used. The problem contains no value of a setting.
pub async fn open(config: Option<&HistoryConfig>) -> Result<Option<History>, ConfigError> {
    let Some(config) = config else { return Ok(None) };
    let store = open_store(&config.place).await;
    let store = store.map_err(|error| ConfigError::new(HISTORY, format!("cannot be used: {error}")))?;
    Ok(Some(History::new(store, config.is_private_kept)))
}

/// The store at `place`.
async fn open_store(place: &HistoryPlace) -> Result<Arc<dyn LogStore>, Box<dyn StdError + Send + Sync>> {
    match place {
        // The process may change its current folder.
        HistoryPlace::Folder(path) => Ok(Arc::new(FolderStore::open(absolute(path)?).await?)),
        HistoryPlace::Container(container) => Ok(Arc::new(BlobStore::in_container(container)?)),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_is_a_problem_of_the_setting_without_its_path() {
        let file = std::env::temp_dir().join(format!("hush-{}", Uuid::new_v4()));
        std::fs::write(&file, "a file").unwrap();
        let config = HistoryConfig { place: HistoryPlace::Folder(file.clone()), is_private_kept: true };
        let problem = open(Some(&config)).await.unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert!(problem.name == HISTORY && !problem.reason.contains("hush"), "{problem}");
        assert!(open(None).await.unwrap().is_none());
    }
}
