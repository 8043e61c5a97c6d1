//! The manifest: which blocks are live, and how much of each writer's WAL has been flushed. Each
//! tenant has one chain of edits.
//!
//! - [`Commit`] is a requested change: at most one of each kind of [`change`]. An [`Edit`] is its
//!   recorded form, with what later versions may add ([`optional`]).
//! - [`State`] is the result of all edits. [`State::apply`] is pure and refuses an edit that breaks
//!   an invariant: of one entry ([`entry`]), or of the blocks of one output (`siblings`).
//! - [`deletions`] has the deletions of a tenant, each a [`tombstone`]: which samples they mask,
//!   and what is still to be removed. `stored`: their form in a snapshot.
//! - [`rollups`]: which days rollups stand for.
//! - [`object`] has the bodies of the objects: a `table` has their entries, and [`body`] packs
//!   them.
//! - [`Log`] is a state with the edits that one object of the chain repeats.
//! - [`Manifests`] reads and extends the chains in the bucket. [`Reserved`] is the id of a block
//!   that is about to come.

mod apply;
pub mod body;
pub mod change;
pub mod clones;
pub mod deletions;
pub mod edit;
pub mod entry;
pub mod error;
mod flushed;
pub mod log;
pub mod manifests;
pub mod object;
pub mod optional;
mod reserved;
pub mod rollups;
mod siblings;
pub mod state;
mod stored;
mod table;
pub mod tombstone;
#[cfg(test)]
mod volume;

pub use change::{Commit, Fence, Flush, Gone, Horizon, Quarantine, Replace, Snapshots, Tombstones};
pub use deletions::{DELETIONS_MAX, Deletions};
pub use edit::{Edit, FORMAT, VERSION};
pub use error::Error;
pub use flushed::Flushed;
pub use log::Log;
pub use manifests::Manifests;
pub use reserved::Reserved;
pub use rollups::RolledDays;
pub use state::{Origin, Process, SNAPSHOTS_MAX, State, Violation};
pub use tombstone::{AskedDeletion, Tombstone};
