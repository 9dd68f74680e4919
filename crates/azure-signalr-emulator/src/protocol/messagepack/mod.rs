//! The MessagePack hub protocol. A message is an array; on the wire its length stands before it.
//!
//! MessagePack itself is read and written here too: what is read comes from strangers, so no length they claim may be
//! believed, no nesting may cost stack, and whatever is only passed on must keep its bytes. The tests hold it against
//! another implementation.

mod from_json;
pub(super) mod length_prefix;
mod read;
mod to_json;
mod value;
mod write;
mod writer;

pub(super) use read::read;
pub(super) use value::{Reader, Value};
pub(super) use write::encode;
