//! What Azure does around the app, on loopback.
