//! What an edit changes, one file for each kind of change.
//!
//! The changes of an edit happen together or not at all: all are checked against the state before
//! the first is applied. A new kind of change is a file here, a variant of [`Change`], and its
//! fields in the wire form of `edit.rs`.
//!
//! - [`fence`]: earlier processes of a writer come too late.
//! - [`replace`]: blocks go, and blocks take their place. A flush only adds.
//! - [`flush`]: how far a writer's log stands in blocks.

pub mod fence;
pub mod flush;
pub mod replace;

use duramen_bucket::WriterIdentity;

use crate::state::{State, Violation};

pub use fence::Fence;
pub use flush::Flush;
pub use replace::Replace;

/// One change of a state. Pure: no I/O, no clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Fence(Fence),
    Replace(Replace),
    Flush(Flush),
}

impl Change {
    /// Whether the change can follow `state`, when `process` makes it.
    pub(crate) fn check(&self, state: &State, process: WriterIdentity) -> Result<(), Violation> {
        match self {
            Self::Fence(fence) => fence.check(state, process),
            Self::Replace(replace) => replace.check(state),
            Self::Flush(flush) => flush.check(state, process),
        }
    }

    /// Makes the change, which was checked.
    pub(crate) fn apply(&self, state: &mut State) {
        match self {
            // Each edit tells its process, and this one has no more to tell.
            Self::Fence(Fence) => {}
            Self::Replace(replace) => replace.apply(state),
            Self::Flush(flush) => flush.apply(state),
        }
    }

    /// Whether the change has happened already, when `process` makes it.
    pub(crate) fn is_in(&self, state: &State, process: WriterIdentity) -> bool {
        match self {
            Self::Fence(fence) => fence.is_in(state, process),
            Self::Replace(replace) => replace.is_in(state),
            Self::Flush(flush) => flush.is_in(state),
        }
    }

    /// How many blocks it names.
    pub(crate) const fn blocks(&self) -> usize {
        match self {
            Self::Replace(Replace { add, remove }) => add.len() + remove.len(),
            Self::Fence(_) | Self::Flush(_) => 0,
        }
    }
}
