//! [`watch`]: follows a small text file that may change while the service runs.
//!
//! The content is compared, since modification times are too coarse to tell two edits apart.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::file_content::{FileContent, read_content};

/// How often a file is read.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How soon a file that has changed is read again, to see whether it is complete.
const SETTLE_INTERVAL: Duration = Duration::from_millis(100);

/// Calls `update` with the content of the file, and again whenever it has changed. Never ends; dropping it ends the watching.
///
/// The file is read on a thread for blocking calls.
pub(crate) async fn watch(file: PathBuf, mut update: impl FnMut(&FileContent)) -> Infallible {
    let mut changes = Changes::default();
    loop {
        let path = file.clone();
        let content = spawn_blocking(move || read_content(&path)).await;
        let content = content.unwrap_or_else(|error| FileContent::Unreadable(error.to_string()));
        let change = changes.observe(&content);
        if change == Change::Settled {
            update(&content);
        }
        sleep(if change == Change::Unsettled { SETTLE_INTERVAL } else { WATCH_INTERVAL }).await;
    }
}

/// Compares the contents that are read from a file.
///
/// New content counts when it was read twice: a file that is overwritten in place is empty first and then incomplete, and a part of
/// a key would be taken for a key.
#[derive(Default)]
struct Changes {
    /// The content of the last update.
    known: Option<FileContent>,
    /// The content that was read last.
    last: Option<FileContent>,
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    /// The content is new, and may be incomplete.
    Unsettled,
    /// The content is new.
    Settled,
}

impl Changes {
    fn observe(&mut self, content: &FileContent) -> Change {
        let is_repeated = self.last.as_ref() == Some(content);
        if !is_repeated {
            self.last = Some(content.clone());
        }
        match (self.known.as_ref() == Some(content), is_repeated) {
            (true, _) => Change::None,
            (false, false) => Change::Unsettled,
            (false, true) => {
                self.known.clone_from(&self.last);
                Change::Settled
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_content_counts_when_it_was_read_twice() {
        let mut changes = Changes::default();
        for (text, change) in [
            ("old", Change::Unsettled),
            ("old", Change::Settled),
            ("old", Change::None),
            // Overwritten in place: emptied, then written in two parts.
            ("", Change::Unsettled),
            ("ne", Change::Unsettled),
            ("new", Change::Unsettled),
            ("new", Change::Settled),
            ("new", Change::None),
            // Seen at the moment of a rewrite with the same content.
            ("", Change::Unsettled),
            ("new", Change::None),
            ("new", Change::None),
        ] {
            assert_eq!(changes.observe(&FileContent::Text(text.to_owned())), change, "{text:?}");
        }
    }
}
