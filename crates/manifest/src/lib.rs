//! Which blocks are live, and how far each writer's WAL has been flushed: one chain of edits per
//! tenant.
//!
//! - [`Edit`] is one change, [`State`] what all of them make; [`State::apply`] is pure and refuses
//!   what breaks an invariant.
//! - [`Log`] is a state with the edits that one object of the chain repeats.
//! - [`Manifests`] reads and extends the chains in the bucket.

pub mod edit;
pub mod error;
pub mod log;
pub mod manifests;
pub mod object;
pub mod state;

pub use edit::{Commit, Edit, EditKind, Flushed, VERSION};
pub use error::Error;
pub use log::Log;
pub use manifests::Manifests;
pub use state::{Process, State, Violation};
