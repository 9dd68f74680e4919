//! Fuzz target: any text as the filter of `:execute`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| azure_signalr_emulator::fuzzing::filter(bytes));
