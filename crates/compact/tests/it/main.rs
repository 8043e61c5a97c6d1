//! Compaction: what is planned, and what becomes of it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod claims;
mod clones;
mod collect;
mod crash;
mod deletion;
mod entries;
mod execute;
mod inventory;
mod mortal;
mod plan;
mod retention;
mod rounds;
mod sets;
mod simulation;
mod store;
