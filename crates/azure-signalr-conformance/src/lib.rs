//! A conformance suite for Azure SignalR Service in serverless mode: 110 cases, each with a number and an id, against any service.
//!
//! [`run()`] runs the cases against the service of a [`ConnectionString`], in the cloud or emulated, and returns a [`Report`]. The suite
//! depends on no SignalR library: it signs tokens itself and compares frames byte by byte. Published clients run in processes of their
//! own.
//!
//! - `run`, `case_selection`, `case_result`, `report`, `junit`: which cases run, how they end, and how that is shown
//! - `cases`: the cases, a file for each subject; `test_context`: what a case gets
//! - `service`: REST calls; `client`, `transport`, `websocket`, `protocol`: a hub client
//! - `credentials`: connection strings and access tokens
//! - `local_server`, `webhooks`: servers that the service and the published clients call; `client_process`: those clients
//! - `temporary_content`: what is written into settings of the service, and put back

mod case_result;
mod case_selection;
mod cases;
mod client;
mod client_process;
mod credentials;
mod junit;
mod local_server;
mod protocol;
mod report;
mod run;
mod service;
mod temporary_content;
mod test_context;
mod transport;
mod webhooks;
mod websocket;

pub use case_result::Outcome;
pub use case_selection::{CASE_NUMBERS, CaseSelection, KnownDifferences};
pub use cases::CaseInfo;
pub use credentials::ConnectionString;
pub use report::{CaseReport, Format, Report};
pub use run::{Options, run};
pub use webhooks::UpstreamOptions;
