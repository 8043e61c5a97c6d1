//! Random data, and random expressions that are meaningful for it. The seed decides both.

use rand::SeedableRng;
use rand::rngs::StdRng;

mod arithmetic;
mod histograms;
mod ranges;
mod world;
mod writer;

pub use world::World;
pub use writer::{Dialect, Writer};

/// Returns the generator for a seed.
pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Returns the number in an environment variable, or `default`.
pub fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
