#![doc = include_str!("../README.md")]

mod activity;
mod connection;
mod deadline;
mod host;
mod limits;
mod request_body;
mod response_body;
mod serve;
mod socket;
mod throttle;
mod upgrade;

pub use host::{has_allowed_host, is_allowed_host, is_loopback_host};
pub use limits::Limits;
pub use request_body::{BodyTimeout, RequestBody};
pub use serve::{Grace, serve};
pub use upgrade::{Upgrade, UpgradedStream};
