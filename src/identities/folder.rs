//! The identity store in a folder: for a single process on a developer's machine.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_communication::Endpoint;
use uuid::Uuid;

use super::IdentityStore;
use super::file_store::{FileStore, MAX_FILE_BYTES, StoreError, StoredFile};

impl IdentityStore {
    /// The identities of `resource` in `folder`, which is created with the first file.
    pub fn in_folder(folder: &Path, resource: &Endpoint) -> Self {
        let folder = Folder { path: folder.to_owned(), writing: Mutex::new(()) };
        Self::new(FolderStore(Arc::new(folder)), resource)
    }
}

#[derive(Debug)]
struct FolderStore(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Held while a file is compared and replaced or deleted.
    writing: Mutex<()>,
}

impl FolderStore {
    /// Runs `work` with the path of the file `name`, on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Folder, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = self.0.clone();
        // Windows does not allow colons in file names.
        let path = folder.path.join(if cfg!(windows) { name.replace(':', "%3A") } else { name.to_owned() });
        let done = tokio::task::spawn_blocking(move || work(&folder, &path)).await;
        done.map_err(|_| StoreError::Failed)?.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => StoreError::Conflict,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Rejected,
            ErrorKind::IsADirectory | ErrorKind::NotADirectory => StoreError::Rejected,
            _ => StoreError::Failed,
        })
    }
}

#[async_trait]
impl FileStore for FolderStore {
    async fn get(&self, name: &str) -> Result<Option<StoredFile>, StoreError> {
        self.run(name, |_, path| Ok(read(path)?.map(|content| StoredFile { content, etag: None }))).await
    }

    async fn put_if_absent(&self, name: &str, content: Vec<u8>) -> Result<(), StoreError> {
        self.run(name, move |_, path| {
            let temporary = write_temporary(path, &content)?;
            let linked = fs::hard_link(&temporary, path);
            fs::remove_file(&temporary)?;
            linked
        })
        .await
    }

    async fn replace_if_unchanged(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: &StoredFile,
    ) -> Result<(), StoreError> {
        let previous = previous.content.clone();
        self.run(name, move |folder, path| {
            let _writing = folder.writing.lock().unwrap_or_else(PoisonError::into_inner);
            if read(path)?.is_none_or(|current| current != previous) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(write_temporary(path, &content)?, path)
        })
        .await
    }

    async fn delete_if_unchanged(&self, name: &str, previous: &StoredFile) -> Result<(), StoreError> {
        let previous = previous.content.clone();
        self.run(name, move |folder, path| {
            let _writing = folder.writing.lock().unwrap_or_else(PoisonError::into_inner);
            match read(path)? {
                None => Ok(()),
                Some(current) if current == previous => fs::remove_file(path),
                Some(_) => Err(ErrorKind::AlreadyExists.into()),
            }
        })
        .await
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    };
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Writes `content` to a new file beside `path`: a file appears under its name only when it is complete.
fn write_temporary(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let temporary = path.with_extension(Uuid::new_v4().to_string());
    fs::File::create_new(&temporary)?.write_all(content)?;
    Ok(temporary)
}
