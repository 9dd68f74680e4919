//! Identities in a folder: for one process on a developer's machine, where nothing else is at hand.

use std::path::Path;
use std::{fs, io};

use object_store::local::LocalFileSystem;

use super::Identities;

impl Identities {
    /// Those of `resource` in `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// When the folder can be neither found nor made.
    pub fn in_folder(folder: &Path, resource: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self::new(LocalFileSystem::new_with_prefix(folder)?, resource))
    }
}
