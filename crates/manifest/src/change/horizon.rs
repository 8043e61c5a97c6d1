//! Raises the horizon, behind which no block comes into the manifest any more.

use duramen_model::BlockId;
use serde::{Deserialize, Serialize};

use crate::state::{State, Violation};

/// From now on, no edit adds a block with a smaller id. Live blocks stay.
///
/// So what has a smaller id, and is not live, never will be: its objects can be deleted, whatever a
/// process does that slept for a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Horizon(pub BlockId);

impl Horizon {
    pub(super) fn check(self, state: &State) -> Result<(), Violation> {
        match state.horizon {
            Some(last) if self.0 <= last => Err(Violation::HorizonBack {
                horizon: self.0,
                last,
            }),
            _ => Ok(()),
        }
    }

    pub(super) const fn apply(self, state: &mut State) {
        state.horizon = Some(self.0);
    }

    /// Whether the horizon is as high already.
    pub(super) fn is_in(self, state: &State) -> bool {
        state.horizon.is_some_and(|horizon| horizon >= self.0)
    }
}
