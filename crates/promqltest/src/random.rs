//! Random data, and random expressions that mean something over it. A seed says which.

use rand::SeedableRng;
use rand::rngs::StdRng;

mod arithmetic;
mod histograms;
mod ranges;
mod world;
mod writer;

pub use world::World;
pub use writer::{Dialect, Writer};

/// What the seed stands for.
pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// What a test variable says, or otherwise `default`.
pub fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
