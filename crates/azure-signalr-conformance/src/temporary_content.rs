//! `TemporaryContent`: what the suite writes into a file of the service, and puts back in any case.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// New content of a file. When it is dropped, by a panic too, the file has its former content again, or is removed if there was none.
#[must_use = "dropping it puts the former content back"]
pub(crate) struct TemporaryContent {
    file: PathBuf,
    /// `None` if there was no file.
    former: Option<Vec<u8>>,
    is_restored: bool,
}

impl TemporaryContent {
    /// Writes the content into the file. Fails without a change if the former content cannot be read.
    pub(crate) fn write(file: &Path, content: &str) -> io::Result<Self> {
        let former = match fs::read(file) {
            Ok(former) => Some(former),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let written = Self { file: file.to_owned(), former, is_restored: false };
        fs::write(file, content)?;
        Ok(written)
    }

    /// Puts the former content back, and reports if that fails.
    pub(crate) fn restore(mut self) -> io::Result<()> {
        self.put_back()
    }

    fn put_back(&mut self) -> io::Result<()> {
        self.is_restored = true;
        match &self.former {
            Some(former) => fs::write(&self.file, former),
            None => fs::remove_file(&self.file),
        }
    }
}

impl Drop for TemporaryContent {
    fn drop(&mut self) {
        if !self.is_restored {
            // The run has ended already, with a failure of its own.
            let _ = self.put_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::service::unique_name;

    fn temporary_file() -> PathBuf {
        std::env::temp_dir().join(unique_name("temporary-content-"))
    }

    #[test]
    fn a_panic_puts_the_former_content_back() {
        let file = temporary_file();
        // Not UTF-8: the bytes count.
        fs::write(&file, b"former \xff").unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _written = TemporaryContent::write(&file, "new").unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"new");
            panic!("a panic of this test");
        }));
        assert!(panicked.is_err());
        assert_eq!(fs::read(&file).unwrap(), b"former \xff");
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn nested_contents_are_put_back_in_turn() {
        let file = temporary_file();
        let outer = TemporaryContent::write(&file, "outer").unwrap();
        let inner = TemporaryContent::write(&file, "inner").unwrap();
        drop(inner);
        assert_eq!(fs::read(&file).unwrap(), b"outer");
        outer.restore().unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_touched() {
        let folder = temporary_file();
        fs::create_dir(&folder).unwrap();
        assert!(TemporaryContent::write(&folder, "new").is_err());
        assert!(folder.is_dir());
        fs::remove_dir(&folder).unwrap();
    }
}
