//! Decides how much of a shared resource one user gets. It only decides: time is an argument, and
//! nothing waits here.
//!
//! - [`memory`]: an [`Account`] counts the memory of the process. A [`Share`] is a part of it for
//!   one [`Use`]. [`Full`] is the error when there is no more, and caches give memory back
//!   ([`Reclaim`]).
//! - [`budget`]: a [`Budget`] bounds the memory of a query or of a tenant within the account. A
//!   [`Reservation`] is a part of it, and [`Exceeded`] names the budget without room.
//! - `token_bucket`: a [`TokenBucket`] enforces a [`Rate`]. [`Refused`] says when to try again.

pub mod budget;
pub mod memory;
mod token_bucket;

pub use budget::{Budget, Exceeded, Reservation};
pub use memory::{Account, Full, Reclaim, Share, Use};
pub use token_bucket::{Rate, Refused, TokenBucket};
