//! How long a target takes from its start to the line that begins with `ready`, and what memory it then has.
//!
//! A target that has said so accepts connections; it need not have answered any.

use std::time::Instant;

use crate::Result;
use crate::message::Numbered;
use crate::target::Target;

/// Rounds that count, after [`WARM_UP`] that do not: by then files are in the page cache.
const ROUNDS: usize = 20;
const WARM_UP: usize = 2;

/// The starts of one target: milliseconds from before the process was made, a value per round.
#[derive(Default)]
pub(crate) struct Starts {
    pub(crate) ready_ms: Vec<f64>,
}

/// Starts every target in turn, again and again. The result is in the order of `targets`.
pub(crate) fn measure(targets: &[(Target, Numbered)]) -> Result<Vec<Starts>> {
    let mut all: Vec<Starts> = targets.iter().map(|_| Starts::default()).collect();
    for round in 0..WARM_UP + ROUNDS {
        for ((target, _), starts) in targets.iter().zip(&mut all) {
            let begun = Instant::now();
            let _service = target.start()?;
            if round >= WARM_UP {
                starts.ready_ms.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(all)
}
