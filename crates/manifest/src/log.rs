//! A state with the edits that led to it since its base: what the next object of the chain repeats.

use std::sync::Arc;

use object_store::path::Path;

use crate::edit::Edit;
use crate::object::{Base, Tail};
use crate::{Error, State, Violation};

/// A tenant's manifest as one process knows it. A value: extending it makes another.
#[derive(Clone, Debug, Default)]
pub struct Log {
    state: Arc<State>,
    base: Option<Base>,
    /// Those behind the base, oldest first.
    edits: Vec<Arc<Edit>>,
}

/// How many edits an object repeats before a snapshot takes their place.
///
/// An edit of a flush is about 2 kB (three blocks of 600 bytes), so an object is 64 kB on average and 128 kB at most; a snapshot of
/// 10,000 blocks is 6 MB, and 64 edits spread it to 94 kB each. More edits make commits larger, fewer make snapshots more of the cost.
pub const EDITS_MAX: usize = 64;

impl Log {
    /// The log that `tail` tells, on the state of its base.
    pub(crate) fn of(key: &Path, base: State, tail: Tail) -> Result<Self, Error> {
        let log = Self { state: Arc::new(base), base: tail.base, edits: Vec::new() };
        log.with_all(key, &tail.edits)
    }

    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Whether the next object is to begin with a snapshot.
    pub(crate) fn is_long(&self) -> bool {
        self.edits.len() >= EDITS_MAX
    }

    /// The log on a snapshot of one of the states that it has gone through since its base.
    pub(crate) fn rebased(&self, base: Base) -> Option<Self> {
        let behind = usize::try_from(self.state.sequence.checked_sub(base.sequence)?).ok()?;
        let edits = self.edits.get(self.edits.len().checked_sub(behind)?..)?.to_vec();
        Some(Self { state: Arc::clone(&self.state), base: Some(base), edits })
    }

    /// The log with one edit more.
    pub(crate) fn with(&self, edit: Arc<Edit>) -> Result<Self, Violation> {
        let mut next = self.clone();
        Arc::make_mut(&mut next.state).apply(&edit)?;
        next.edits.push(edit);
        Ok(next)
    }

    fn with_all(mut self, key: &Path, edits: &[Arc<Edit>]) -> Result<Self, Error> {
        let state = Arc::make_mut(&mut self.state);
        for edit in edits {
            state.apply(edit).map_err(|violation| Error::Corrupt {
                key: key.to_string(),
                fault: format!("edit {} cannot be: {violation}", state.sequence + 1),
            })?;
            self.edits.push(Arc::clone(edit));
        }
        Ok(self)
    }

    /// The log that `tail`, the object of a later sequence, tells. `None` when its base is a state that this log has not reached.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the two tell different histories.
    pub(crate) fn advanced(&self, key: &Path, tail: Tail) -> Result<Option<Self>, Error> {
        let (sequence, base) = (self.state.sequence, tail.base_sequence());
        if base > sequence {
            return Ok(None);
        }
        let known = usize::try_from(sequence - base).unwrap_or(usize::MAX);
        let (Some(old), Some(new)) = (tail.edits.get(..known), tail.edits.get(known..)) else {
            return Err(Error::Corrupt { key: key.to_string(), fault: "the chain goes back".to_owned() });
        };
        // Both are counted back from the same sequence; what only one of them still has cannot be compared.
        let differ = |(a, b): (&Arc<Edit>, &Arc<Edit>)| a.attempt != b.attempt;
        if old.iter().rev().zip(self.edits.iter().rev()).any(differ) {
            return Err(Error::Corrupt {
                key: key.to_string(),
                fault: "the history is another than was read before".to_owned(),
            });
        }
        let on_its_base = Self { state: Arc::clone(&self.state), base: tail.base.clone(), edits: old.to_vec() };
        on_its_base.with_all(key, new).map(Some)
    }

    /// The object of this log's sequence.
    pub(crate) fn tail(&self) -> Tail {
        Tail { reader_version_min: 0, base: self.base.clone(), edits: self.edits.clone() }
    }
}
