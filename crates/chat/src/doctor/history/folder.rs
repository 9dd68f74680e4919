//! Checks that the folder of the history can be written.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use serverless_chat::config::HISTORY;
use uuid::Uuid;

use super::HISTORY_SUBJECT;
use crate::doctor::report::Finding;

/// Checks `folder`; if it does not exist, the folder in which it would be created.
pub(super) fn check(folder: &Path) -> Finding {
    let mut existing = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    let outcome = match existing.find_map(|path| Some((path, metadata(path).transpose()?))) {
        None => try_write(Path::new(".")),
        Some((_, Err(error))) => Err(error),
        Some((_, Ok(metadata))) if !metadata.is_dir() => Err(ErrorKind::NotADirectory.into()),
        Some((path, Ok(_))) => try_write(path),
    };
    match outcome {
        Ok(()) if folder.is_dir() => Finding::ok(HISTORY_SUBJECT, "its folder can be written"),
        Ok(()) => Finding::ok(HISTORY_SUBJECT, "its folder will be created with the first start"),
        Err(error) => {
            let problem = format!("its folder cannot be written: {}", error.kind());
            Finding::problem(HISTORY_SUBJECT, problem, format!("set {HISTORY} to a folder of this user, or to off"))
        }
    }
}

/// `None` if there is nothing at `path`.
fn metadata(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Permissions say less: the disk can be mounted read-only.
fn try_write(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".doctor-{}", Uuid::new_v4()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_written_or_created_and_nothing_is_left_there() {
        let folder = std::env::temp_dir().join(format!("doctor-{}", Uuid::new_v4()));
        assert!(!check(&folder.join("chat/history")).is_problem());
        assert!(!folder.exists());
        fs::create_dir(&folder).unwrap();
        assert!(!check(&folder).is_problem() && !check(&folder.join("history")).is_problem());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::write(folder.join("file"), "").unwrap();
        for wrong in ["file", "file/history"] {
            let finding = check(&folder.join(wrong));
            assert!(finding.is_problem() && !format!("{finding:?}").contains("doctor-"), "{finding:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
