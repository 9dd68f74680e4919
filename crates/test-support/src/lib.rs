//! Helpers shared by the tests of several packages: processes, HTTP, HTTP by hand, connections that die, a SignalR client, an Entra tenant,
//! TLS, an emulated storage account, random numbers.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

pub mod azurite;
pub mod entra;
pub mod http;
pub mod process;
pub mod random;
pub mod raw_http;
pub mod signalr_client;
pub mod storage_proxy;
pub mod tcp_proxy;
pub mod tls;
