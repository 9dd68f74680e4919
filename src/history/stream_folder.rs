//! The parts of one stream as files. All functions block.
//!
//! What follows the last line feed of a file is not there: an append that a crash has ended halfway, or one that is under way.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;

use super::line::LINE_FEED;
use super::position::{PartNumber, parse_part_file_name, part_file_name};
use super::store::{Appended, Chunk, Day, PartInfo, StoreError};

/// Processes lock this file while they change a file of its folder.
const LOCK_FILE: &str = ".lock";
/// The longest that another process may hold the lock. It takes microseconds for a part, and some milliseconds for a document.
const LOCK_TIMEOUT: Duration = Duration::from_millis(800);
const LOCK_INTERVAL: Duration = Duration::from_millis(2);
/// A step of the search for the last line feed.
const STEP_BYTES: u64 = 4 * 1_024;

/// The folder of one stream.
#[derive(Debug)]
pub(super) struct StreamFolder(PathBuf);

impl StreamFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The parts, in the order of their numbers.
    pub(super) fn list(&self) -> Result<Vec<PartInfo>, StoreError> {
        let mut parts = Vec::new();
        for number in self.numbers()? {
            match self.part(number) {
                Ok(part) => parts.push(part),
                // Deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(store_error(&error)),
            }
        }
        Ok(parts)
    }

    pub(super) fn create(&self, part: PartNumber) -> Result<(), StoreError> {
        create_private_folder(&self.0).map_err(|error| store_error(&error))?;
        let created = options().write(true).create_new(true).open(self.path(part));
        created.map(drop).map_err(|error| store_error(&error))
    }

    pub(super) fn append(&self, part: PartNumber, bytes: &[u8], at: Option<u64>) -> Result<Appended, StoreError> {
        let _lock = lock(&self.0)?;
        if self.is_sealed(part)? {
            return Err(StoreError::BlobIsSealed);
        }
        let file = options().read(true).append(true).open(self.path(part));
        let mut file = file.map_err(|error| store_error(&error))?;
        let offset = cut_to_lines(&mut file).map_err(|error| store_error(&error))?;
        if at.is_some_and(|at| at != offset) {
            return Err(StoreError::AppendPositionConditionNotMet);
        }
        if let Err(error) = file.write_all(bytes) {
            // The disk may be full. Of several lines, some may have been written.
            return Err(file.set_len(offset).map_or(StoreError::Unknown, |()| store_error(&error)));
        }
        Ok(Appended { offset, day: Day::of(SystemTime::now()) })
    }

    pub(super) fn read(&self, part: PartNumber, range: Range<u64>) -> Result<Chunk, StoreError> {
        // Before its length is taken, so that the length of a sealed part is final.
        let sealed = self.is_sealed(part)?;
        let read = || {
            let mut file = File::open(self.path(part))?;
            let total = length_of_lines(&mut file)?;
            let end = range.end.min(total);
            let mut bytes = Vec::new();
            if range.start < end {
                file.seek(SeekFrom::Start(range.start))?;
                file.take(end - range.start).read_to_end(&mut bytes)?;
            }
            Ok(Chunk { bytes: Bytes::from(bytes), sealed, total })
        };
        read().map_err(|error: io::Error| store_error(&error))
    }

    /// Seals a part by making its file read-only.
    pub(super) fn seal(&self, part: PartNumber) -> Result<(), StoreError> {
        let _lock = lock(&self.0)?;
        let seal = || {
            let mut permissions = fs::metadata(self.path(part))?.permissions();
            if !permissions.readonly() {
                cut_to_lines(&mut options().read(true).append(true).open(self.path(part))?)?;
                permissions.set_readonly(true);
                fs::set_permissions(self.path(part), permissions)?;
            }
            Ok(())
        };
        seal().map_err(|error: io::Error| store_error(&error))
    }

    pub(super) fn delete(&self, part: PartNumber) -> Result<(), StoreError> {
        match fs::remove_file(self.path(part)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(store_error(&error)),
            _ => Ok(()),
        }
    }

    /// Whether there is a part.
    pub(super) fn has_parts(&self) -> bool {
        self.numbers().is_ok_and(|numbers| !numbers.is_empty())
    }

    /// Deletes the parts that were last changed before this time.
    pub(super) fn delete_older(&self, time: SystemTime) -> Result<(), StoreError> {
        for part in self.numbers()? {
            let modified = fs::metadata(self.path(part)).and_then(|metadata| metadata.modified());
            if modified.is_ok_and(|modified| modified < time) {
                self.delete(part)?;
            }
        }
        Ok(())
    }

    /// Seals all parts, so that the next line begins a new one.
    ///
    /// What a crash of the machine took from the end of a part may have been read before: its positions are not given to other lines.
    pub(super) fn seal_all(&self) -> Result<(), StoreError> {
        for part in self.list()?.iter().filter(|part| !part.sealed) {
            match self.seal(part.number) {
                Ok(()) | Err(StoreError::BlobNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn path(&self, part: PartNumber) -> PathBuf {
        self.0.join(part_file_name(part))
    }

    fn numbers(&self) -> Result<Vec<PartNumber>, StoreError> {
        let files = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(|error| store_error(&error))?,
        };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut numbers: Vec<_> = names.filter_map(|name| parse_part_file_name(&name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn part(&self, number: PartNumber) -> io::Result<PartInfo> {
        let metadata = fs::metadata(self.path(number))?;
        let sealed = metadata.permissions().readonly();
        let length = if sealed { metadata.len() } else { length_of_lines(&mut File::open(self.path(number))?)? };
        // Not all file systems have the time of creation.
        let created = Day::of(metadata.created().or_else(|_| metadata.modified())?);
        Ok(PartInfo { number, length, sealed, created })
    }

    /// Whether the file is read-only, or a higher part has been begun: a copy of the folder may have lost the permissions.
    fn is_sealed(&self, part: PartNumber) -> Result<bool, StoreError> {
        let metadata = fs::metadata(self.path(part)).map_err(|error| store_error(&error))?;
        if metadata.permissions().readonly() {
            return Ok(true);
        }
        let has_begun = |part: &PartNumber| fs::metadata(self.path(*part)).is_ok_and(|metadata| metadata.len() > 0);
        Ok(self.numbers()?.iter().rev().take_while(|number| **number > part).any(has_begun))
    }
}

/// Waits for the lock of a folder, which other processes respect. It is released when the file is dropped.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    let file = match options().write(true).create(true).truncate(false).open(folder.join(LOCK_FILE)) {
        // Without the folder there is no file.
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(StoreError::BlobNotFound),
        file => file.map_err(|error| store_error(&error))?,
    };
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Throttled(None)),
            Err(TryLockError::Error(error)) => return Err(store_error(&error)),
        }
    }
}

/// Creates a folder that only this user can read, and those above it.
pub(super) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Files that only this user can read.
pub(super) fn options() -> OpenOptions {
    #[allow(unused_mut, reason = "on Windows")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Removes what follows the last line feed, and returns the length.
fn cut_to_lines(file: &mut File) -> io::Result<u64> {
    let length = length_of_lines(file)?;
    if length < file.metadata()?.len() {
        file.set_len(length)?;
    }
    Ok(length)
}

/// The length up to the last line feed.
fn length_of_lines(file: &mut File) -> io::Result<u64> {
    let (mut end, mut step) = (file.metadata()?.len(), 1);
    while end > 0 {
        let begin = end.saturating_sub(step);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        (&mut *file).take(end - begin).read_to_end(&mut bytes)?;
        if let Some(index) = bytes.iter().rposition(|byte| *byte == LINE_FEED) {
            return Ok(begin + index as u64 + 1);
        }
        (end, step) = (begin, STEP_BYTES);
    }
    Ok(0)
}

/// The errors of a folder that append blobs have too. The kind of others contains no path.
pub(super) fn store_error(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound => StoreError::BlobNotFound,
        ErrorKind::AlreadyExists => StoreError::AlreadyExists,
        kind => StoreError::Rejected(kind.to_string()),
    }
}
