//! Typed client of the data plane of Azure SignalR Service.
