//! The manifest: which blocks are live, and how much of each writer's WAL has been flushed. Each
//! tenant has one chain of edits.
//!
//! - [`change`]: the kinds of changes, one file for each, with their checks.
//! - [`Commit`] is a requested change. An [`Edit`] is its recorded form.
//! - [`State`] is the result of all edits. [`State::apply`] is pure and refuses an edit that breaks
//!   an invariant.
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
