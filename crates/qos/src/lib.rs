//! How much of a shared thing one user gets. Decisions only: time is an argument.
//!
//! `memory` is the account of the process's memory; `token_bucket` bounds a rate.

pub mod memory;
mod token_bucket;

pub use memory::{Account, Full, Reclaim, Share, Use};
pub use token_bucket::{Rate, Refused, TokenBucket};
