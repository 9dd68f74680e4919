//! Random numbers for tests that can be repeated.

use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Random numbers that depend on the seed only (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<u64>>);

impl Random {
    /// The numbers of this seed. Clones share them.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = *state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % end
    }

    /// A time shorter than `end` milliseconds.
    pub fn milliseconds(&self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}
