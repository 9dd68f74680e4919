//! What the emulator shows of itself, and the ways to make it misbehave.
//!
//! There only if it was asked for, and only for who sits at this machine.
#![allow(dead_code, unused_imports, reason = "nobody writes or reads the journal yet")]

mod journal;
