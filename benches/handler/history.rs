//! Measures the history: what it adds to a message in a folder and in Azurite, and what a page of a log of a million messages costs.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use test_support::azurite::{Azurite, SAS};
use tokio::sync::oneshot;

use crate::common::http::Connection;
use crate::common::process::Process;
use crate::common::start::wait_for_response;
use crate::common::{Result, median, spread};
use crate::load::{Load, REPEATS};
use crate::report::HISTORY_PAGE_MS;
use crate::target::{Request, TEXT, Target, USER};

/// The connections of the two loads.
const ALONE: usize = 1;
const AT_ONCE: usize = 64;

/// The log of each room, and the number of rooms with the same log. The tail of a log is kept for a second, so each page is read of another
/// room.
const MESSAGES: usize = 1_000_000;
const PARTS: usize = 20;
const ROOMS: usize = 20;

/// The most messages in a page.
const PAGE_MESSAGES: usize = 100;

const SECONDS_PER_DAY: u64 = 86_400;
const PARTS_PER_DAY: u64 = 1_000;

/// The measurements.
#[derive(Default)]
pub(crate) struct History {
    /// Without history, in a folder, and in Azurite; one message at a time.
    alone: [Load; 3],
    /// The same, many at once.
    at_once: [Load; 3],
    /// Milliseconds until a page is there: the newest, and one in the middle.
    newest_ms: Vec<f64>,
    middle_ms: Vec<f64>,
    /// Resident memory in MiB: with an empty folder, before and after the pages of long logs.
    empty_mib: f64,
    before_mib: f64,
    after_mib: f64,
}

/// Measures `handler` without a history, and with one in a new folder.
pub(crate) async fn measure(handler: &Target) -> Result<History> {
    let mut history = History::default();
    for _ in 0..REPEATS {
        let (folder, container) = (Folder::new()?, AzuriteContainer::start()?);
        for (index, place) in [None, Some(folder.place()), Some(container.url.clone())].into_iter().enumerate() {
            let process = start(handler, place).await?;
            history.alone[index].add(&process, Request::message(), 202, ALONE).await?;
            history.at_once[index].add(&process, Request::message(), 202, AT_ONCE).await?;
        }
    }
    history.measure_pages(handler).await?;
    Ok(history)
}

async fn start(handler: &Target, place: Option<String>) -> Result<Process> {
    let mut settings = vec![("ChatRooms", "*".to_owned())];
    settings.extend(place.map(|place| ("ChatHistory", place)));
    let mut process = handler.spawn_with(settings)?;
    wait_for_response(&mut process, Request::probe().as_bytes()).await?;
    Ok(process)
}

impl History {
    async fn measure_pages(&mut self, handler: &Target) -> Result<()> {
        let empty = Folder::new()?;
        self.empty_mib = start(handler, Some(empty.place())).await?.resident_kib()? / 1_024.0;
        let folder = Folder::new()?;
        let middle = folder.write_logs()?;
        let process = start(handler, Some(folder.place())).await?;
        let mut connection = Connection::open(process.port).await?;
        self.before_mib = process.resident_kib()? / 1_024.0;
        for room in 0..ROOMS {
            let path = format!("/api/history?room=room-{room}&limit={PAGE_MESSAGES}");
            self.newest_ms.push(read_page(&mut connection, &path, MESSAGES).await?);
            self.middle_ms.push(read_page(&mut connection, &format!("{path}&before={middle}"), MESSAGES / 2).await?);
        }
        self.after_mib = process.resident_kib()? / 1_024.0;
        Ok(())
    }

    /// The tables.
    pub(crate) fn report(&self) -> String {
        let row = |connections: usize, loads: &[Load; 3]| {
            // The loop is closed.
            let milliseconds = |load: &Load| {
                let times: Vec<f64> = load.per_second.iter().map(|rate| connections as f64 * 1e3 / rate).collect();
                spread(&times, 2)
            };
            let cells = loads.each_ref().map(milliseconds).into_iter();
            let cells = cells.chain(loads.each_ref().map(|load| format!("{:.0}", median(&load.cpu_us))));
            cells.fold(format!("| {connections} at a time |"), |row, cell| format!("{row} {cell} |"))
        };
        let newest = median(&self.newest_ms);
        let verdict = if newest <= HISTORY_PAGE_MS { "It holds" } else { "It does not hold in this run" };
        format!(
            "## History\n\n\
             | messages | without, ms | folder, ms | Azurite, ms | CPU without, µs | folder, µs | Azurite, µs |\n\
             |---|---|---|---|---|---|---|\n{}\n{}\n\n\
             Claim: at most {HISTORY_PAGE_MS} ms for the newest page of {MESSAGES} messages in {PARTS} parts. {verdict}: {newest:.1}.\n\n\
             | page of {PAGE_MESSAGES} messages | ms |\n|---|---|\n| the newest | {} |\n| one in the middle | {} |\n\n\
             Memory, MiB: {:.1} with an empty folder, {:.1} before and {:.1} after these pages of {ROOMS} logs.\n",
            row(ALONE, &self.alone),
            row(AT_ONCE, &self.at_once),
            spread(&self.newest_ms, 1),
            spread(&self.middle_ms, 1),
            self.empty_mib,
            self.before_mib,
            self.after_mib,
        )
    }
}

/// Reads a page, which must end with message `end - 1`. Returns the time in milliseconds.
async fn read_page(connection: &mut Connection, path: &str, end: usize) -> Result<f64> {
    let request = Request::get(path);
    let start = Instant::now();
    let body = connection.send(request.as_bytes(), 200).await?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let page: Value = serde_json::from_slice(body)?;
    let messages = page["messages"].as_array().ok_or("a page has no messages")?;
    let last = messages.last().and_then(|message| message["id"].as_str());
    if messages.len() != PAGE_MESSAGES || last != Some(&(end - 1).to_string()) {
        return Err(format!("a page has {} messages, the last {last:?}", messages.len()).into());
    }
    Ok(milliseconds)
}

/// A new folder, which is deleted in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let path = std::env::temp_dir().join(format!("history-{}-{}", std::process::id(), since_epoch.as_nanos()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The value of the setting.
    fn place(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    /// Writes the logs of all rooms, which share their files. Returns the position of the message in the middle.
    fn write_logs(&self) -> Result<String> {
        let rooms = |room: usize| self.0.join(format!("rooms/room-{room}"));
        let first = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / SECONDS_PER_DAY * PARTS_PER_DAY;
        (0..ROOMS).try_for_each(|room| fs::create_dir_all(rooms(room)))?;
        let (mut previous, mut middle) = (Value::Null, String::new());
        for index in 0..PARTS {
            let number = first + index as u64;
            let mut bytes = format!("{}\n", json!({ "part": number, "previous": previous }));
            for id in index * MESSAGES / PARTS..(index + 1) * MESSAGES / PARTS {
                let message =
                    json!({ "id": id.to_string(), "sender": USER, "text": TEXT, "sentAt": "2026-11-21T22:00:00.000Z" });
                bytes += &format!("{message}\n");
            }
            previous = json!({ "part": number, "length": bytes.len() });
            if (index + 1) * 2 == PARTS {
                middle = format!("{number:08}.{:010}", bytes.len());
            }
            let name = format!("{number:08}.jsonl");
            let written = rooms(0).join(&name);
            fs::write(&written, bytes)?;
            (1..ROOMS).try_for_each(|room| fs::hard_link(&written, rooms(room).join(&name)))?;
        }
        Ok(middle)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A new container in an Azurite of its own, on its own thread. Dropping it ends both.
struct AzuriteContainer {
    url: String,
    _end: oneshot::Sender<()>,
}

impl AzuriteContainer {
    fn start() -> Result<Self> {
        const NAME: &str = "chat-history";
        let (sender, url) = mpsc::channel();
        let (end, has_ended) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            runtime.block_on(async {
                let azurite = Azurite::start(NAME).await;
                sender.send(format!("{}?{SAS}", azurite.proxy.url(NAME)))?;
                // Without a value: the container was dropped.
                let _ = has_ended.await;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        let url = url.recv().map_err(|_| "Azurite did not start")?;
        Ok(Self { url, _end: end })
    }
}
