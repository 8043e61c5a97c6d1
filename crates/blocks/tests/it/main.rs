//! Blocks through files and object stores: merges, and queries side by side.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a helper that fails fails its test"
)]

mod audit;
mod contents;
mod generate;
mod inputs;
mod interleavings;
mod merge;
mod resources;
mod tiers;
mod world;
