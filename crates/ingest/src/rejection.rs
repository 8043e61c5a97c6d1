//! Parts of a request that are not stored while the rest of it is: `cause.rs` says why, in words and
//! with facts, `reason.rs` has the word for metrics, `rejections.rs` what a sender is told of the
//! whole request.

mod cause;
mod reason;
mod rejections;

pub(crate) use self::cause::Rejection;
pub use self::reason::Reason;
pub use self::rejections::{Lost, Rejections};
