//! One client, from its first byte to its last, whatever transport carries it.
//!
//! [`hold`] is the whole life of a connection in one task; [`Link`] is what the rest of the service knows of it, and
//! [`Wire`] what a transport does for it. `rhythm`, `ledger` and `outbox` keep time, count and queue, without I/O.

mod contact;
mod conversation;
mod ending;
mod errands;
mod ledger;
mod link;
mod outbox;
mod results;
mod rhythm;
mod wire;

pub(crate) use contact::Contact;
pub(crate) use conversation::{Terms, hold};
pub(crate) use link::{Link, Transport};
pub(crate) use outbox::{Capacity, Closure, Outbox};
pub(crate) use wire::{Farewell, Gone, Received, Wire};
