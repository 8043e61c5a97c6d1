//! Records that more of a writer's log is in blocks.

use duramen_bucket::WriterIdentity;
use serde::{Deserialize, Serialize};

use crate::flushed::Flushed;
use crate::state::{State, Violation};

/// Makes this the last flush of its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flush(pub Flushed);

impl Flush {
    pub(super) fn check(&self, state: &State, process: WriterIdentity) -> Result<(), Violation> {
        let Self(new) = self;
        let of_flush = (new.writer, new.epoch, new.incarnation);

        if of_flush != (process.writer, process.epoch, process.incarnation) {
            return Err(Violation::FlushOfAnother);
        }

        let Some(last) = state.flushed.get(&new.writer) else {
            return Ok(());
        };

        if new.flush <= last.flush {
            return Err(Violation::FlushLate {
                flush: new.flush,
                last: last.flush,
            });
        }

        if new.position < last.position {
            return Err(Violation::PositionBack {
                position: new.position,
                last: last.position,
            });
        }

        Ok(())
    }

    pub(super) fn apply(&self, state: &mut State) {
        state.flushed.insert(self.0.writer, self.0);
    }

    /// Whether this is the last flush of its writer in `state`.
    ///
    /// Comparing positions and flush numbers is not enough: the process of a copied data directory
    /// may have the same numbers for other samples.
    pub(super) fn is_in(&self, state: &State) -> bool {
        state.flushed.get(&self.0.writer) == Some(&self.0)
    }
}
