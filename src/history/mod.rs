//! The history: what was said, as a log of its own for everyone, for each room and for each person.
//!
//! A log is a chain of append-only parts in a store. A message is said when its line is in the log, and the place of the line is the
//! message's position.

#![allow(dead_code, reason = "the routes do not use it yet")]

mod appender;
mod attempts;
mod backward;
mod folder_store;
mod forward;
mod line;
mod log;
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

#[cfg(test)]
mod appender_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod faulty_store;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod memory_store;
#[cfg(test)]
mod step_tests;
