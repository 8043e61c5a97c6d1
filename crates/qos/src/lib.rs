//! How much of a shared thing one user gets. Decisions only: time is an argument.

mod token_bucket;

pub use token_bucket::{Rate, Refused, TokenBucket};
