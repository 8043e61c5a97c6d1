//! Ends earlier processes of a writer.

use duramen_bucket::WriterIdentity;
use serde::{Deserialize, Serialize};

use crate::state::{State, Violation};

/// Changes nothing, except that lower epochs of its writer are refused from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {}

impl Fence {
    pub(super) fn check(self, state: &State, process: WriterIdentity) -> Result<(), Violation> {
        let epoch = process.epoch;
        let last = state.epochs.get(&process.writer);

        match last.is_some_and(|last| last.epoch == epoch) {
            true => Err(Violation::EpochTaken { epoch }),
            false => Ok(()),
        }
    }

    pub(super) fn is_in(self, state: &State, process: WriterIdentity) -> bool {
        state.epochs.get(&process.writer) == Some(&process.into())
    }
}
