//! What Azure puts around the app, on loopback.

mod function;
mod functions_host;
pub mod loopback;
mod refusal;
