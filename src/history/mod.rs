//! The history: what was said, as a log of its own for everyone, for each room and for each person.
//!
//! A log is a chain of append-only parts in a store. A message is said when its line is in the log, and the place of the line is the
//! message's position.

#![expect(dead_code, reason = "the routes do not use it yet")]

mod position;
mod store;
mod stream;
