//! Asks any Azure SignalR Service in serverless mode 91 numbered questions, and says how it answers: the service in the cloud, the
//! official emulator, or any other.
//!
//! It knows the wire and nothing else. Tokens are made by hand, frames are compared to the byte, and no client library stands between a
//! case and the service, so that nothing excuses anything. What needs a published client runs that client in a process of its own.
//!
//! - `cases`: the cases by number, in a file for each subject; `stage`: what a case has to itself; `outcome`: how it ends
//! - `service`, `websocket`, `events`, `connect`, `client`: the service as it is called, and as a client of a hub sees it
//! - `protocol`, `token`, `connection_string`: pure; bytes, texts and what they mean
//! - `listener`, `webhooks`, `apps`: what the service and the published clients reach on our side; `script`: those clients
//! - `selection`, `known`, `report`, `secrets`: what is run, what is known, and what is shown of it

mod apps;
mod cases;
mod client;
mod connect;
mod connection_string;
mod events;
mod known;
mod listener;
mod outcome;
mod protocol;
mod random;
mod report;
mod run;
mod script;
mod secrets;
mod selection;
mod service;
mod stage;
mod token;
mod webhooks;
mod websocket;
mod wire;

pub use connection_string::ConnectionString;
pub use known::Known;
pub use outcome::Outcome;
pub use report::{Format, Report, Row};
pub use run::{Options, run};
pub use selection::{CASES, Selection};
pub use webhooks::Upstream;
