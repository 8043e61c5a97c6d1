//! How much of a shared thing one user gets. Decisions only: time is an argument, nothing waits
//! here.
//!
//! - [`memory`]: an [`Account`] has the memory of the process. A [`Use`] says what a [`Share`] of
//!   it is for, [`Full`] that there is no more, and caches give back what they can ([`Reclaim`]).
//! - `token_bucket`: a [`TokenBucket`] lets a [`Rate`] through, and says with [`Refused`] when to
//!   come again.

pub mod memory;
mod token_bucket;

pub use memory::{Account, Full, Reclaim, Share, Use};
pub use token_bucket::{Rate, Refused, TokenBucket};
