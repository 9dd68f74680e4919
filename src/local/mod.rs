//! What Azure puts around the app, on loopback.

mod cors;
mod easy_auth;
mod function;
mod functions_host;
pub mod loopback;
mod origins;
mod refusal;
mod site;
