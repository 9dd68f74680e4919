//! Fuzz target: any bytes as a stream of the JSON hub protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| azure_signalr_emulator::fuzzing::json(bytes));
