//! Serverless chat.
#[cfg(feature = "local")]
pub mod local;
