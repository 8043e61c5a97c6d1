//! Which blocks are live, and how far each writer's WAL has been flushed: one chain of edits per
//! tenant.
//!
//! - [`change`]: what an edit can change, a file for each kind, with its checks.
//! - [`Commit`] is what somebody wants to change; an [`Edit`] is that as it is recorded.
//! - [`State`] is what all edits make; [`State::apply`] is pure and refuses what breaks an invariant.
//! - [`Log`] is a state with the edits that one object of the chain repeats.
//! - [`Manifests`] reads and extends the chains in the bucket.

mod apply;
pub mod change;
pub mod edit;
pub mod error;
mod flushed;
pub mod log;
pub mod manifests;
pub mod object;
pub mod state;

pub use change::{Change, Fence, Flush, Replace};
pub use edit::{Commit, Edit, VERSION};
pub use error::Error;
pub use flushed::Flushed;
pub use log::Log;
pub use manifests::Manifests;
pub use state::{Process, State, Violation};
