//! The kinds of changes in an edit, one file for each.
//!
//! The changes of an edit happen together or not at all: all are checked against the state before
//! the first is applied. A new kind of change needs a file here, a variant of [`Change`], and its
//! fields in the wire form in `edit.rs`.
//!
//! - [`fence`]: refuses later edits of earlier processes of a writer.
//! - [`replace`]: removes blocks and adds blocks that take their place. A flush only adds.
//! - [`flush`]: records how much of a writer's log is in blocks.

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
    /// Checks whether the change can be applied to `state` when `process` makes it.
    pub(crate) fn check(&self, state: &State, process: WriterIdentity) -> Result<(), Violation> {
        match self {
            Self::Fence(fence) => fence.check(state, process),
            Self::Replace(replace) => replace.check(state),
            Self::Flush(flush) => flush.check(state, process),
        }
    }

    /// Applies the change, which must have passed the check.
    pub(crate) fn apply(&self, state: &mut State) {
        match self {
            // Each edit records its process. A fence has no other effect.
            Self::Fence(Fence) => {}
            Self::Replace(replace) => replace.apply(state),
            Self::Flush(flush) => flush.apply(state),
        }
    }

    /// Whether the change of `process` has already happened.
    pub(crate) fn is_in(&self, state: &State, process: WriterIdentity) -> bool {
        match self {
            Self::Fence(fence) => fence.is_in(state, process),
            Self::Replace(replace) => replace.is_in(state),
            Self::Flush(flush) => flush.is_in(state),
        }
    }

    /// How many blocks the change names.
    pub(crate) const fn blocks(&self) -> usize {
        match self {
            Self::Replace(Replace { add, remove }) => add.len() + remove.len(),
            Self::Fence(_) | Self::Flush(_) => 0,
        }
    }
}
