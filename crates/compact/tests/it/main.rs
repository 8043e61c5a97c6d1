//! Compaction: what is planned, and what becomes of it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod entries;
mod plan;
