//! The upstream of serverless mode: webhooks that hear of connections, and answer what clients invoke.
//!
//! So far it knows where an event goes, and posts nothing.

#![cfg_attr(
    not(test),
    expect(dead_code, reason = "connections call it once they have moved to a room of their own")
)]

mod pattern;
mod templates;
mod url_template;

pub use templates::{InvalidTemplates, Templates};
