//! What every benchmark needs: what the kernel says of processes and of the machine, an HTTP client that costs next to nothing, and
//! figures as tables show them.
//!
//! It is part of each benchmark's executable; there is no crate of it.

pub(crate) mod figures;
pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod process;
