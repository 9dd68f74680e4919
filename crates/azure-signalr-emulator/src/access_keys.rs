//! [`AccessKeys`]: the keys of a service, which follow the [`AccessKeyFile`] that they come from.

use std::convert::Infallible;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::access_key::AccessKey;
use crate::file_content::{FileContent, read_content};
use crate::file_watcher::watch;

/// Most access keys in a file: the one in use, and its successor.
const MAX_ACCESS_KEYS: usize = 2;

/// A file with one or two access keys, a line each, which is read again when it changes.
///
/// To replace a key without a refused call, write its successor beside it, move callers to the successor, and then take the old one
/// out. While the file is missing or invalid, the last valid keys stay in use.
#[derive(Debug, Clone)]
pub struct AccessKeyFile {
    path: PathBuf,
    keys: Vec<AccessKey>,
}

impl AccessKeyFile {
    /// Reads the keys. Blocks.
    ///
    /// # Errors
    ///
    /// [`InvalidAccessKeyFile`] when the file cannot be read, or does not hold one or two keys.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, InvalidAccessKeyFile> {
        let path = path.into();
        match parse(&read_content(&path)) {
            Ok(keys) => Ok(Self { path, keys }),
            Err(problem) => Err(InvalidAccessKeyFile { path, problem }),
        }
    }
}

/// The file gives no access keys. The message never repeats its content.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct InvalidAccessKeyFile {
    path: PathBuf,
    problem: String,
}

fn parse(content: &FileContent) -> Result<Vec<AccessKey>, String> {
    let text = match content {
        FileContent::Missing => return Err("there is no such file".to_owned()),
        FileContent::Unreadable(problem) => return Err(problem.clone()),
        FileContent::Text(text) => text,
    };
    // Windows programs write a byte order mark.
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty()).map(AccessKey::new);
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(|invalid| invalid.to_string())?;
    if (1..=MAX_ACCESS_KEYS).contains(&keys.len()) {
        Ok(keys)
    } else {
        Err("one or two keys are wanted, a line each".to_owned())
    }
}

/// The access keys that a service uses now: at least one, of which the first signs.
pub(crate) struct AccessKeys {
    file: Option<PathBuf>,
    current: Mutex<Arc<[AccessKey]>>,
}

impl AccessKeys {
    /// The keys of the file, else `keys`, else a generated one.
    pub(crate) fn new(keys: &[AccessKey], file: Option<AccessKeyFile>) -> Self {
        let (keys, file) = match file {
            Some(AccessKeyFile { path, keys }) => (keys.into(), Some(path)),
            None if keys.is_empty() => ([AccessKey::generate()].into(), None),
            None => (keys.into(), None),
        };
        Self { file, current: Mutex::new(keys) }
    }

    /// All keys. Another `Arc` means other keys.
    pub(crate) fn current(&self) -> Arc<[AccessKey]> {
        self.lock().clone()
    }

    /// The key that signs.
    pub(crate) fn first(&self) -> AccessKey {
        self.lock()[0].clone()
    }

    /// Takes the keys of the file whenever it changes. Never ends.
    pub(crate) async fn follow_file(&self) -> Infallible {
        match &self.file {
            Some(file) => watch(file.clone(), |content| self.update(file, content)).await,
            None => pending().await,
        }
    }

    fn update(&self, file: &Path, content: &FileContent) {
        let file = file.display();
        match parse(content) {
            Ok(keys) if keys == **self.lock() => {}
            Ok(keys) => {
                info!(%file, keys = keys.len(), "access keys {file} read: {} in use", keys.len());
                *self.lock() = keys.into();
            }
            Err(problem) => warn!(%file, "access keys {file} are invalid, the previous ones stay in use: {problem}"),
        }
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Arc<[AccessKey]>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::Log;

    fn text(text: &str) -> FileContent {
        FileContent::Text(text.to_owned())
    }

    fn keys(texts: &[&str]) -> Vec<AccessKey> {
        texts.iter().map(|text| AccessKey::new(*text).unwrap()).collect()
    }

    #[test]
    fn a_file_has_one_or_two_keys_a_line_each() {
        for (content, expected) in [
            ("one", &["one"][..]),
            ("one\n", &["one"]),
            ("\u{feff}one\r\ntwo\r\n", &["one", "two"]),
            ("\n  one \n\n\ttwo\n\n", &["one", "two"]),
        ] {
            assert_eq!(parse(&text(content)), Ok(keys(expected)), "{content:?}");
        }
        for content in ["", "\n \n", "\u{feff}", "one\ntwo\nthree", "hush;hush", "one\nhush;"] {
            let problem = parse(&text(content)).unwrap_err();
            assert!(!problem.contains("hush") && !problem.contains("one\n"), "{problem}");
        }
    }

    #[test]
    fn invalid_content_keeps_the_last_keys_and_is_logged_without_the_content() {
        let log = Log::new();
        let access_keys = AccessKeys::new(&keys(&["old", "new"]), None);
        let file = Path::new("keys.txt");
        let unreadable = FileContent::Unreadable("permission denied".to_owned());
        for content in [text("hush;"), text(""), FileContent::Missing, unreadable] {
            access_keys.update(file, &content);
            assert_eq!(access_keys.current()[..], keys(&["old", "new"]));
        }
        let lines = log.lines();
        assert_eq!(lines.len(), 4, "{lines:?}");
        for line in &lines {
            assert!(line.starts_with("WARN") && line.contains("keys.txt") && !line.contains("hush"), "{line}");
        }
        access_keys.update(file, &text("new\nold"));
        assert_eq!(access_keys.first(), keys(&["new"])[0]);
        assert!(log.lines().iter().all(|line| !line.contains("new") && !line.contains("old")));
    }

    #[test]
    fn the_same_keys_in_another_layout_change_nothing() {
        let access_keys = AccessKeys::new(&keys(&["one", "two"]), None);
        let before = access_keys.current();
        access_keys.update(Path::new("keys.txt"), &text("one\r\n\r\ntwo"));
        assert!(Arc::ptr_eq(&before, &access_keys.current()));
    }

    #[test]
    fn without_a_key_one_is_generated() {
        assert_eq!(AccessKeys::new(&[], None).current().len(), 1);
    }
}
