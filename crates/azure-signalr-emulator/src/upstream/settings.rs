//! The templates as they are now: a settings file may change while the service runs.
//!
//! The file is looked at when templates are asked for, at most once a second, and then read whole: modification times
//! are too coarse to tell two edits apart, and the file is small. A file in the midst of being written is a broken
//! file, and a broken file changes nothing.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::options::TemplateSource;
use super::templates::Templates;

/// How old the templates may be.
const FRESH: Duration = Duration::from_secs(1);

/// No settings of templates are longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// The templates of one service.
pub(super) struct Settings {
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

struct Known {
    templates: Arc<Templates>,
    looked: Instant,
    /// What the file was when it was last looked at; `None` before that.
    seen: Option<Seen>,
}

#[derive(PartialEq, Eq)]
enum Seen {
    Nothing,
    Text(String),
    Unreadable(String),
}

impl Settings {
    /// Takes the templates, or reads them for the first time.
    pub(super) fn new(source: TemplateSource, now: Instant) -> Self {
        let (file, templates) = match source {
            TemplateSource::Fixed(templates) => (None, templates),
            TemplateSource::File(file) => (Some(file), Templates::default()),
        };
        let known = Known { templates: Arc::new(templates), looked: now, seen: None };
        let settings = Self { file, known: Mutex::new(known) };
        if let Some(file) = &settings.file {
            settings.learn(file, look(file));
        }
        settings
    }

    /// The templates that hold now. Blocks for as long as it takes to read the file, at most once a second.
    pub(super) fn templates(&self, now: Instant) -> Arc<Templates> {
        if let Some(file) = &self.file
            && self.is_due(now)
        {
            self.learn(file, look(file));
        }
        self.lock().templates.clone()
    }

    /// Whoever is told so looks; the others go on with what is known.
    fn is_due(&self, now: Instant) -> bool {
        let mut known = self.lock();
        let due = now.saturating_duration_since(known.looked) >= FRESH;
        if due {
            known.looked = now;
        }
        due
    }

    fn learn(&self, file: &Path, seen: Seen) {
        let mut known = self.lock();
        if known.seen.as_ref() == Some(&seen) {
            return;
        }
        match outcome(&seen) {
            Ok(templates) => {
                tell(file, &seen, &templates);
                known.templates = Arc::new(templates);
            }
            Err(problem) => warn!(
                file = %file.display(),
                "upstream settings {} are not usable, and those before them stay in force: {problem}",
                file.display()
            ),
        }
        known.seen = Some(seen);
    }

    /// A panic elsewhere cannot leave what is known half changed, so poison says nothing.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(seen: &Seen) -> Result<Templates, String> {
    match seen {
        Seen::Nothing => Ok(Templates::default()),
        Seen::Text(text) => text.parse().map_err(|invalid: super::InvalidTemplates| invalid.to_string()),
        Seen::Unreadable(problem) => Err(problem.clone()),
    }
}

fn tell(file: &Path, seen: &Seen, templates: &Templates) {
    let (file, count) = (file.display(), templates.len());
    match seen {
        Seen::Nothing => {
            info!(%file, "there are no upstream settings {file}, so events of clients go nowhere");
        }
        _ => info!(%file, templates = count, "upstream settings {file} read: {count} templates"),
    }
}

fn look(file: &Path) -> Seen {
    match read(file) {
        Ok(text) => Seen::Text(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Nothing,
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

fn read(file: &Path) -> io::Result<String> {
    // Opening a pipe would wait for who writes into it.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    fs::File::open(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::{Folder, Log};

    const ONE: &str = r#"{"UpstreamSettings":{"Templates":[{"UrlTemplate":"http://h/one"}]}}"#;
    const TWO: &str = r#"{"UpstreamSettings":{"Templates":[{"UrlTemplate":"http://h/two"}]}}"#;

    /// Settings of a file, and a clock that is a second further each time they are asked for.
    struct Watched {
        settings: Settings,
        file: PathBuf,
        now: Instant,
        _folder: Folder,
    }

    impl Watched {
        fn of(text: Option<&str>) -> Self {
            let folder = Folder::new();
            let file = folder.path().join("settings.json");
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            let now = Instant::now();
            let settings = Settings::new(TemplateSource::File(file.clone()), now);
            Self { settings, file, now, _folder: folder }
        }

        fn address(&self) -> Option<String> {
            let templates = self.settings.templates(self.now);
            templates.find("chat", "messages", "x")?.url("chat", "messages", "x").map(String::from)
        }

        fn write(&mut self, text: &str) {
            fs::write(&self.file, text).unwrap();
            self.now += FRESH;
        }
    }

    #[test]
    fn case_78_a_change_is_picked_up_even_one_of_the_same_length() {
        let mut watched = Watched::of(Some(ONE));
        assert_eq!(watched.address().unwrap(), "http://h/one");
        watched.write(TWO);
        assert_eq!(watched.address().unwrap(), "http://h/two");
    }

    #[test]
    fn the_file_is_looked_at_once_a_second_at_most() {
        let mut watched = Watched::of(Some(ONE));
        fs::write(&watched.file, TWO).unwrap();
        watched.now += FRESH - Duration::from_millis(1);
        assert_eq!(watched.address().unwrap(), "http://h/one");
        watched.now += Duration::from_millis(1);
        assert_eq!(watched.address().unwrap(), "http://h/two");
    }

    #[test]
    fn a_file_may_come_later_and_go_again() {
        let mut watched = Watched::of(None);
        assert_eq!(watched.address(), None);
        watched.write(ONE);
        assert_eq!(watched.address().unwrap(), "http://h/one");
        fs::remove_file(&watched.file).unwrap();
        watched.now += FRESH;
        assert_eq!(watched.address(), None);
        assert!(watched.settings.templates(watched.now).is_empty());
    }

    #[test]
    fn a_broken_file_changes_nothing_and_is_told_once() {
        let log = Log::new();
        let mut watched = Watched::of(Some(ONE));
        for _ in 0..3 {
            watched.write("{");
            assert_eq!(watched.address().unwrap(), "http://h/one");
        }
        let told = log.lines().into_iter().filter(|line| line.contains("not usable")).collect::<Vec<_>>();
        assert!(
            matches!(&told[..], [line] if line.contains("settings.json") && line.contains("line 1")),
            "{told:?}"
        );
        watched.write(TWO);
        assert_eq!(watched.address().unwrap(), "http://h/two");
    }

    #[test]
    fn what_is_no_file_of_settings_changes_nothing() {
        let mut watched = Watched::of(Some(ONE));
        watched.write(&" ".repeat(usize::try_from(LONGEST).unwrap() + 1));
        assert_eq!(watched.address().unwrap(), "http://h/one");
        fs::remove_file(&watched.file).unwrap();
        fs::create_dir(&watched.file).unwrap();
        watched.now += FRESH;
        assert_eq!(watched.address().unwrap(), "http://h/one");
    }
}
