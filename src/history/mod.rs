//! The history: what was said, as a log of its own for everyone, for each room and for each person.
//!
//! A log is a chain of append-only parts in a store. A message is said when its line is in the log, and the place of the line is the
//! message's position.
//!
//! - `open`: the store that the settings name.
//! - `log`: what the routes call.
//! - `position`, `stream`, `line`: names and bytes, without I/O.
//! - `store`: what the log needs of a storage service. `blob_store`, `blob_listing` and `blob_error` do it with blobs, `folder_store`,
//!   `stream_folder` and `document_file` with files.
//! - `appender`: group commit; `writer`: how a block gets into the last part; `attempts`: time-outs and repetitions.
//! - `reads`, `shared_reads`, `tail`: reads of the store that callers share; `forward`, `backward`, `scan`: from line to line.
//! - `page`, `removals`: what a reader gets of the lines.

mod appender;
mod attempts;
mod backward;
mod blob_error;
mod blob_listing;
mod blob_store;
mod document_file;
mod folder_store;
mod forward;
mod line;
mod log;
mod open;
mod page;
mod position;
mod reads;
mod removals;
mod scan;
mod shared_reads;
mod store;
mod stream;
mod stream_folder;
mod tail;
mod writer;

pub(crate) use appender::Place;
pub(crate) use log::{HistoryError, HistoryLog};
pub use open::{History, open};
pub(crate) use page::{Cursor, Filter};
pub(crate) use position::Position;
pub(crate) use shared_reads::SharedReads;
pub use store::StoreError;
pub(crate) use stream::Stream;

#[cfg(test)]
mod appender_tests;
#[cfg(test)]
mod azurite_tests;
#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod faulty_store;
#[cfg(test)]
mod log_checks;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod long_log_tests;
#[cfg(test)]
pub(crate) mod memory_store;
#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod step_tests;
