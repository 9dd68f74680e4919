//! `chat` as a person starts it: the local stack and the emulator, each in a process of its own on free ports.

#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

mod access_tokens;
mod bearer_tokens;
mod easy_auth;
mod emulator;
mod local_stack;
mod messages;
mod test_stack;
