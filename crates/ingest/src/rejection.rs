//! Rejections: parts of a request that are not stored while the rest of it is.
//!
//! - `cause.rs`: the cause of one rejection, with its facts.
//! - `reason.rs`: the name of the cause in metrics.
//! - `rejections.rs`: all rejections of a request, for its sender.

mod cause;
mod reason;
mod rejections;

pub(crate) use self::cause::Rejection;
pub use self::reason::Reason;
pub use self::rejections::{Lost, Rejections};
