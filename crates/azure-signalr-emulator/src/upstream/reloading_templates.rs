//! [`ReloadingTemplates`]: templates from a settings file that may change while the service runs.
//!
//! The file is read when templates are needed, at most once a second: its modification time is too coarse to tell two edits apart.
//! Invalid content, such as a half-written file, leaves the templates unchanged. Files are read on tokio's threads for blocking calls.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::options::TemplateSource;
use super::templates::{InvalidTemplates, Templates};
use crate::file_content::{FileContent, read_content};

/// How long the file is not read again, and how long an event waits while it is read.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// The templates of one service.
pub(super) struct ReloadingTemplates {
    file: Option<PathBuf>,
    loaded: Mutex<Loaded>,
    /// Held while the file is read. A read that hangs, as on a lost network share, is the only one.
    reading: Arc<Semaphore>,
}

struct Loaded {
    templates: Arc<Templates>,
    checked_at: Instant,
    /// The content of the file when it was read last.
    content: Option<FileContent>,
}

impl ReloadingTemplates {
    /// Takes the templates, or reads the file for the first time, which blocks.
    pub(super) fn new(source: TemplateSource, now: Instant) -> Self {
        let (file, templates) = match source {
            TemplateSource::Fixed(templates) => (None, templates),
            TemplateSource::File(file) => (Some(file), Templates::default()),
        };
        for warning in templates.warnings() {
            warn!("upstream {warning}");
        }
        let loaded = Mutex::new(Loaded { templates: Arc::new(templates), checked_at: now, content: None });
        let templates = Self { file, loaded, reading: Arc::new(Semaphore::new(1)) };
        if let Some(file) = &templates.file {
            templates.update(file, read_content(file));
        }
        templates
    }

    /// The current templates. One call in each second waits while the file is read, for a second at most.
    pub(super) async fn get(&self, now: Instant) -> Arc<Templates> {
        if let Some(file) = &self.file
            && let Some(permit) = self.permit_to_read(now)
        {
            let path = file.clone();
            let reading = spawn_blocking(move || (read_content(&path), permit));
            // What is read later is not taken: a later call reads it again.
            if let Ok(Ok((content, _permit))) = timeout(RELOAD_INTERVAL, reading).await {
                self.update(file, content);
            }
        }
        self.loaded()
    }

    /// The templates as they were read last.
    pub(super) fn loaded(&self) -> Arc<Templates> {
        self.lock().templates.clone()
    }

    /// Granted to one caller in each interval, and to none while the file is read.
    fn permit_to_read(&self, now: Instant) -> Option<OwnedSemaphorePermit> {
        let mut loaded = self.lock();
        if now.saturating_duration_since(loaded.checked_at) < RELOAD_INTERVAL {
            return None;
        }
        let permit = self.reading.clone().try_acquire_owned().ok()?;
        loaded.checked_at = now;
        Some(permit)
    }

    fn update(&self, file: &Path, content: FileContent) {
        let mut loaded = self.lock();
        if loaded.content.as_ref() == Some(&content) {
            return;
        }
        match parse(&content) {
            Ok(templates) => {
                log(file, &content, &templates);
                loaded.templates = Arc::new(templates);
            }
            Err(problem) => warn!(
                file = %file.display(),
                "upstream settings {} are invalid, the previous ones stay in use: {problem}",
                file.display()
            ),
        }
        loaded.content = Some(content);
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(content: &FileContent) -> Result<Templates, String> {
    match content {
        FileContent::Missing => Ok(Templates::default()),
        FileContent::Text(text) => text.parse().map_err(|invalid: InvalidTemplates| invalid.to_string()),
        FileContent::Unreadable(problem) => Err(problem.clone()),
    }
}

fn log(file: &Path, content: &FileContent, templates: &Templates) {
    let (file, count) = (file.display(), templates.len());
    match content {
        FileContent::Missing => info!(%file, "no upstream settings {file}: events of clients are not sent"),
        _ if templates.is_empty() => warn!(
            %file,
            "upstream settings {file} have no templates, in `UpstreamSettings.Templates` or `upstream.templates`: events of clients are not sent"
        ),
        _ => info!(%file, templates = count, "upstream settings {file} read: {count} templates"),
    }
    for warning in templates.warnings() {
        warn!(%file, "upstream settings {file}: {warning}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;
    use crate::file_content::MAX_FILE_BYTES;
    use crate::upstream::tests::{Folder, Log};

    const ONE: &str = r#"{"UpstreamSettings":{"Templates":[{"UrlTemplate":"http://h/one"}]}}"#;
    const TWO: &str = r#"{"UpstreamSettings":{"Templates":[{"UrlTemplate":"http://h/two"}]}}"#;

    /// A settings file and its templates. The clock advances when the file is written.
    struct TestFile {
        templates: ReloadingTemplates,
        path: PathBuf,
        now: Instant,
        log: Log,
        _folder: Folder,
    }

    impl TestFile {
        fn new(text: Option<&str>) -> Self {
            let (log, folder) = (Log::new(), Folder::new());
            let path = folder.path().join("settings.json");
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let now = Instant::now();
            let templates = ReloadingTemplates::new(TemplateSource::File(path.clone()), now);
            Self { templates, path, now, log, _folder: folder }
        }

        async fn url(&self) -> Option<String> {
            let templates = self.templates.get(self.now).await;
            templates.find("chat", "messages", "x")?.url("chat", "messages", "x").map(String::from)
        }

        /// How many warnings name the file and contain `part`.
        fn warnings(&self, part: &str) -> usize {
            let lines = self.log.lines().into_iter().filter(|line| line.starts_with("WARN") && line.contains(part));
            lines.filter(|line| line.contains("settings.json")).count()
        }

        fn write(&mut self, content: impl AsRef<[u8]>) {
            fs::write(&self.path, content).unwrap();
            self.now += RELOAD_INTERVAL;
        }
    }

    #[tokio::test]
    async fn case_78_a_change_is_picked_up_even_one_of_the_same_length() {
        let mut file = TestFile::new(Some(ONE));
        assert_eq!(file.url().await.unwrap(), "http://h/one");
        file.write(TWO);
        assert_eq!(file.url().await.unwrap(), "http://h/two");
    }

    #[tokio::test]
    async fn the_file_is_read_once_a_second_at_most() {
        let mut file = TestFile::new(Some(ONE));
        fs::write(&file.path, TWO).unwrap();
        file.now += RELOAD_INTERVAL - Duration::from_millis(1);
        assert_eq!(file.url().await.unwrap(), "http://h/one");
        file.now += Duration::from_millis(1);
        assert_eq!(file.url().await.unwrap(), "http://h/two");
    }

    #[tokio::test]
    async fn a_file_may_be_created_later_and_removed() {
        let mut file = TestFile::new(None);
        assert_eq!(file.url().await, None);
        file.write(ONE);
        assert_eq!(file.url().await.unwrap(), "http://h/one");
        fs::remove_file(&file.path).unwrap();
        file.now += RELOAD_INTERVAL;
        assert_eq!(file.url().await, None);
        assert!(file.templates.loaded().is_empty());
    }

    #[tokio::test]
    async fn an_invalid_file_changes_nothing_and_is_logged_once() {
        let mut file = TestFile::new(Some(ONE));
        for _ in 0..3 {
            file.write("{");
            assert_eq!(file.url().await.unwrap(), "http://h/one");
        }
        let logged = file.log.lines().into_iter().filter(|line| line.contains("are invalid")).collect::<Vec<_>>();
        assert!(
            matches!(&logged[..], [line] if line.contains("settings.json") && line.contains("line 1")),
            "{logged:?}"
        );
        file.write(TWO);
        assert_eq!(file.url().await.unwrap(), "http://h/two");
    }

    #[tokio::test]
    async fn a_folder_and_an_oversized_file_change_nothing() {
        let mut file = TestFile::new(Some(ONE));
        file.write(" ".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1));
        assert_eq!(file.url().await.unwrap(), "http://h/one");
        fs::remove_file(&file.path).unwrap();
        fs::create_dir(&file.path).unwrap();
        file.now += RELOAD_INTERVAL;
        assert_eq!(file.url().await.unwrap(), "http://h/one");
    }

    #[tokio::test]
    async fn the_file_is_read_in_the_encodings_that_dotnet_detects() {
        let mut file = TestFile::new(None);
        let utf_16 = |text: &str, to_bytes: fn(u16) -> [u8; 2]| {
            ["\u{feff}", text].concat().encode_utf16().flat_map(to_bytes).collect::<Vec<_>>()
        };
        let utf_8 = ["\u{feff}", ONE].concat().into_bytes();
        for (content, url) in [
            (utf_16(TWO, u16::to_le_bytes), "http://h/two"),
            (utf_8, "http://h/one"),
            (utf_16(TWO, u16::to_be_bytes), "http://h/two"),
            (b"\xFF\xFE{".to_vec(), "http://h/two"),
            (b"\xFF".to_vec(), "http://h/two"),
        ] {
            file.write(content);
            assert_eq!(file.url().await.unwrap(), url);
        }
    }

    #[tokio::test]
    async fn a_file_without_templates_and_names_that_match_nothing_are_warned_of_at_start_and_at_each_change() {
        let without = r#"{"UpstreamSettings":{"Templates":[]}}"#;
        let misspelt = r#"{"upstream":{"templates":[{"urlTemplate":"http://h/","eventPattern":"Connected"}]}}"#;
        let mut file = TestFile::new(Some(without));
        for (content, expected) in [(without, (1, 0)), (misspelt, (1, 1)), ("{}", (2, 1))] {
            file.write(content);
            assert_eq!(file.url().await, None);
            assert_eq!((file.warnings("have no templates"), file.warnings("`Connected`")), expected, "{content}");
        }
        let fixed = TemplateSource::Fixed(misspelt.parse().unwrap());
        ReloadingTemplates::new(fixed, file.now);
        assert!(
            file.log.lines().iter().any(|line| line.contains("upstream template 1: `EventPattern` names `Connected`"))
        );
    }

    #[test]
    fn the_file_is_read_on_a_thread_for_blocking_calls_and_delays_one_event_by_a_second_at_most() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().max_blocking_threads(1).start_paused(true);
        runtime.build().unwrap().block_on(async {
            let mut file = TestFile::new(Some(ONE));
            // Takes the only thread.
            let (release, released) = std::sync::mpsc::channel::<()>();
            let hanging = spawn_blocking(move || released.recv());
            file.write(TWO);
            let mut reading = Box::pin(file.url());
            assert_eq!(reading.as_mut().now_or_never(), None);
            assert_eq!(file.url().await.unwrap(), "http://h/one", "another event does not wait");
            advance(RELOAD_INTERVAL).await;
            assert_eq!(reading.await.unwrap(), "http://h/one");
            drop(release);
            assert!(hanging.await.unwrap().is_err());
            // The thread reads the file now, and then runs this.
            spawn_blocking(|| ()).await.unwrap();
            file.now += RELOAD_INTERVAL;
            assert_eq!(file.url().await.unwrap(), "http://h/two");
        });
    }
}
