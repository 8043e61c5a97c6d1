//! Merges of blocks, through files and object stores.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod contents;
mod generate;
mod inputs;
mod merge;
mod resources;
