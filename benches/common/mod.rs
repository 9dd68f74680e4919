//! What every benchmark needs: what the kernel says of processes and of the machine, an HTTP client that costs next to nothing, and
//! figures as tables show them.
//!
//! It is part of each benchmark's executable; there is no crate of it.

pub(crate) mod figures;
pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod process;

use std::process::ExitCode;

/// Whatever goes wrong ends the run with its words; nobody tells one failure from another.
pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Prints the report, or why there is none.
pub(crate) fn end(outcome: Result<String>) -> ExitCode {
    match outcome {
        Ok(words) => {
            #[expect(clippy::print_stdout, reason = "the report is what people run this for")]
            {
                println!("{words}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last words of the process")]
            {
                eprintln!("bench: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
