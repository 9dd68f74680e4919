//! The JSON hub protocol. A message is an object; whoever frames it adds or takes off the separator.
//!
//! Arguments are never taken apart: what a REST caller wrote is what the client reads, so no number loses digits and
//! no date changes its spelling.

mod read;
pub(super) mod tokens;
mod write;

pub(super) use read::read;
pub(super) use write::encode;
