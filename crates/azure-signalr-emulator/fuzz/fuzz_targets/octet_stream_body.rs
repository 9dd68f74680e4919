//! Fuzz target: any bytes as the octet-stream body of a REST call.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| azure_signalr_emulator::fuzzing::octet_stream_body(bytes));
