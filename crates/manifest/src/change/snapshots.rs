//! Gives states names, so that nobody deletes what they need.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::state::{SNAPSHOTS_MAX, State, Violation};

/// The longest name of a snapshot, in bytes.
pub const NAME_BYTES_MAX: usize = 100;

/// Makes and drops named snapshots. The objects of their blocks stay as long as the names do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    /// New names, of the state after this edit.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub add: BTreeSet<String>,
    /// Names that are given up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<String>,
}

impl Snapshots {
    pub(super) fn check(&self, state: &State) -> Result<(), Violation> {
        for name in &self.add {
            check_name(name)?;

            if state.snapshots.contains_key(name) {
                return Err(Violation::SnapshotTwice { name: name.clone() });
            }
        }

        for name in &self.remove {
            if !state.snapshots.contains_key(name) {
                return Err(Violation::NoSnapshot { name: name.clone() });
            }
        }

        match state.snapshots.len() + self.add.len() > SNAPSHOTS_MAX {
            true => Err(Violation::TooManySnapshots),
            false => Ok(()),
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        for name in &self.remove {
            state.snapshots.remove(name);
        }

        let sequence = state.sequence + 1;
        let named = self.add.iter().map(|name| (name.clone(), sequence));
        state.snapshots.extend(named);
    }

    /// Whether the new names are there, whatever they name, and the others are not.
    pub(super) fn is_in(&self, state: &State) -> bool {
        let is_there = |name: &String| state.snapshots.contains_key(name);
        self.add.iter().all(is_there) && !self.remove.iter().any(is_there)
    }

    pub(super) fn text_bytes(&self) -> usize {
        self.add.iter().chain(&self.remove).map(String::len).sum()
    }
}

/// Refuses a name that nobody could type or that is too long.
pub(crate) fn check_name(name: &str) -> Result<(), Violation> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_good = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_plain);

    match is_good {
        true => Ok(()),
        false => Err(Violation::SnapshotName {
            name: name.chars().take(NAME_BYTES_MAX).collect(),
        }),
    }
}
