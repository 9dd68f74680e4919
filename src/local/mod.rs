//! What Azure puts around the app, on loopback.

pub mod loopback;
mod refusal;
