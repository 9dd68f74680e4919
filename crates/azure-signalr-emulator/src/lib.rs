//! Azure SignalR Service in serverless mode, on one machine.
