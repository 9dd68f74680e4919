//! Documents as files. All functions block.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::time::SystemTime;

use super::store::{Document, StoreError};
use super::stream_folder::{create_private_folder, lock, options, store_error};

/// The extension of a file that is going to replace a document.
const REPLACEMENT: &str = "new";

/// The document at `path`; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Document>, StoreError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(Document { content: content.into(), etag: None })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(store_error(&error)),
    }
}

/// Replaces the document `previous`, or creates it where there was none; `false` if there is another one now. Processes replace the documents
/// of a folder one after the other, and readers find the old one or the new one.
pub(super) fn replace(path: &Path, content: &[u8], previous: Option<&Document>) -> Result<bool, StoreError> {
    let folder = path.parent().unwrap_or(path);
    create_private_folder(folder).map_err(|error| store_error(&error))?;
    let _lock = lock(folder)?;
    if read(path)?.as_ref() != previous {
        return Ok(false);
    }
    let replacement = path.with_extension(REPLACEMENT);
    let write = || {
        let mut file = options().write(true).create(true).truncate(true).open(&replacement)?;
        file.write_all(content)?;
        // After a crash of the machine, the name must not stand for a file without content.
        file.sync_all()?;
        fs::rename(&replacement, path)
    };
    write().map(|()| true).map_err(|error: io::Error| store_error(&error))
}

/// Deletes the documents of a folder that were last changed before this time, and what a crash has left of newer ones.
pub(super) fn delete_older(folder: &Path, time: SystemTime) -> Result<(), StoreError> {
    let _lock = lock(folder)?;
    let delete = || {
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let is_document =
                path.extension().is_some_and(|extension| extension == "jsonl" || extension == REPLACEMENT);
            if is_document && fs::metadata(&path)?.modified()? < time {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    delete().map_err(|error: io::Error| store_error(&error))
}
