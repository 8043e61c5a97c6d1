//! A state with the edits since its base. The next object of the chain repeats these edits.

use std::sync::Arc;

use object_store::path::Path;

use crate::edit::Edit;
use crate::object::{Base, Tail};
use crate::{Error, State, Violation};

/// About how much text the edits of an object have at most before a snapshot replaces them: that of
/// 10,000 blocks. A quarter of [`crate::body::TEXT_BYTES_MAX`], so that the next edit has room.
const EDITS_BYTES_MAX: usize = 4 << 20;

/// A tenant's manifest as one process knows it. It is a value: extending it makes another one.
#[derive(Clone, Debug, Default)]
pub struct Log {
    state: Arc<State>,
    base: Option<Base>,
    /// The edits after the base, oldest first.
    edits: Vec<Arc<Edit>>,
}

/// The largest number of edits that an object repeats before a snapshot replaces them.
///
/// An edit of a flush of three blocks is 260 bytes, packed, so an object is 9 kB on average and 17 kB
/// at most. A snapshot of 10,000 blocks is 500 kB; spread over 64 edits, it is 8 kB for each. More
/// edits make commits larger. Fewer make snapshots a larger part of the cost.
pub const EDITS_MAX: usize = 64;

impl Log {
    /// Makes the log of `tail`, with `base` as the state of its base.
    pub(crate) fn of(key: &Path, base: State, tail: Tail) -> Result<Self, Error> {
        let log = Self {
            state: Arc::new(base),
            base: tail.base,
            edits: Vec::new(),
        };

        log.with_all(key, &tail.edits)
    }

    /// Makes the log of a clone that has no edit yet.
    pub(crate) fn begun_with(state: State) -> Self {
        Self {
            state: Arc::new(state),
            base: None,
            edits: Vec::new(),
        }
    }

    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Returns the edits since the base with their sequences, oldest first.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u64, &Arc<Edit>)> {
        (self.base_sequence() + 1..).zip(&self.edits)
    }

    /// The sequence before the first edit that this log has.
    pub(crate) fn base_sequence(&self) -> u64 {
        self.state.sequence - self.edits.len() as u64
    }

    /// The sequence before the first edit of the tenant: that of its origin, if it is a clone.
    pub(crate) fn begun(&self) -> u64 {
        self.state.origin.map_or(0, |origin| origin.sequence)
    }

    /// Whether the next object must begin with a snapshot.
    pub(crate) fn is_long(&self) -> bool {
        let bytes = || -> usize {
            let edits = self.edits.iter();
            edits.map(|edit| edit.changes.text_bytes()).sum()
        };

        self.edits.len() >= EDITS_MAX || bytes() >= EDITS_BYTES_MAX
    }

    /// Returns the log on a snapshot of an earlier state. `None` if the log has not had that state
    /// since its base.
    pub(crate) fn rebased(&self, base: Base) -> Option<Self> {
        let behind = usize::try_from(self.state.sequence.checked_sub(base.sequence)?).ok()?;
        let edits = self
            .edits
            .get(self.edits.len().checked_sub(behind)?..)?
            .to_vec();

        Some(Self {
            state: Arc::clone(&self.state),
            base: Some(base),
            edits,
        })
    }

    /// Returns the log with one more edit.
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

    /// Returns the log of `tail`, the object of a later sequence. `None` if the base of `tail` is a
    /// state that this log has not reached.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the two have different histories.
    pub(crate) fn advanced(&self, key: &Path, tail: Tail) -> Result<Option<Self>, Error> {
        let sequence = self.state.sequence;
        let base = tail.base_sequence();

        if base > sequence {
            return Ok(None);
        }

        let known = usize::try_from(sequence - base).unwrap_or(usize::MAX);
        let (Some(old), Some(new)) = (tail.edits.get(..known), tail.edits.get(known..)) else {
            return Err(Error::Corrupt {
                key: key.to_string(),
                fault: "the chain goes back".to_owned(),
            });
        };

        // Both are compared from the same sequence backwards. Edits that only one of them still has
        // cannot be compared.
        let differ = |(a, b): (&Arc<Edit>, &Arc<Edit>)| a.attempt != b.attempt;
        if old.iter().rev().zip(self.edits.iter().rev()).any(differ) {
            return Err(Error::Corrupt {
                key: key.to_string(),
                fault: "the history is another than was read before".to_owned(),
            });
        }

        let on_its_base = Self {
            state: Arc::clone(&self.state),
            base: tail.base.clone(),
            edits: old.to_vec(),
        };

        on_its_base.with_all(key, new).map(Some)
    }

    /// Returns the object for the sequence of this log.
    pub(crate) fn tail(&self) -> Tail {
        let versions = self.edits.iter().map(|edit| edit.reader_version_min);

        Tail {
            reader_version_min: versions.max().unwrap_or(0),
            base: self.base.clone(),
            edits: self.edits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flushed;
    use duramen_bucket::{Author, WriterIdentity};
    use duramen_model::{ErrorKind, Incarnation, WriterId};
    use ulid::Ulid;

    fn key() -> Path {
        Path::from("t/x/manifest/1")
    }

    /// Makes an edit of an empty flush with this number.
    fn edit(flush: u64, attempt: u128) -> Arc<Edit> {
        let identity = WriterIdentity {
            writer: WriterId(Ulid(1)),
            epoch: 1,
            incarnation: Incarnation(Ulid(1)),
        };

        let author = Author {
            writer: identity.writer,
            attempt: Ulid(attempt),
        };

        let flushed = Flushed {
            writer: identity.writer,
            epoch: 1,
            incarnation: identity.incarnation,
            position: flush,
            flush,
        };

        Arc::new(Edit::commit(
            identity,
            author,
            crate::Commit::flush(Vec::new(), flushed),
        ))
    }

    fn log(edits: u64) -> Log {
        (1..=edits).fold(Log::default(), |log, n| {
            log.with(edit(n, n.into())).unwrap()
        })
    }

    fn base(sequence: u64) -> Base {
        Base {
            sequence,
            key: "t/x/manifest-snapshots/s".to_owned(),
        }
    }

    #[test]
    fn a_log_goes_on_with_whatever_a_later_object_repeats() {
        for known in 0..=9 {
            let later = log(9).tail();
            let advanced = log(known).advanced(&key(), later.clone()).unwrap().unwrap();

            assert_eq!((advanced.state(), advanced.tail()), (log(9).state(), later));
        }
    }

    #[test]
    fn a_log_goes_on_over_a_snapshot_of_another_and_takes_its_base() {
        let theirs = log(9).rebased(base(4)).unwrap();
        for known in 4..=9 {
            let advanced = log(known).advanced(&key(), theirs.tail()).unwrap().unwrap();
            assert_eq!(
                (advanced.state(), advanced.tail()),
                (log(9).state(), theirs.tail())
            );
        }

        assert!(
            log(3).advanced(&key(), theirs.tail()).unwrap().is_none(),
            "the snapshot must be read"
        );
    }

    #[test]
    fn a_log_on_a_snapshot_goes_on_with_an_object_on_none() {
        let ours = log(6).rebased(base(4)).unwrap();
        assert_eq!(
            ours.advanced(&key(), log(9).tail())
                .unwrap()
                .unwrap()
                .tail(),
            log(9).tail()
        );
    }

    #[test]
    fn another_history_is_corrupt() {
        let other = log(3).with(edit(4, 99)).unwrap().with(edit(5, 5)).unwrap();
        assert_eq!(
            log(4).advanced(&key(), other.tail()).unwrap_err().kind(),
            ErrorKind::Corrupt
        );

        assert!(log(3).advanced(&key(), other.tail()).is_ok());
        assert_eq!(
            log(4).advanced(&key(), log(3).tail()).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }

    #[test]
    fn an_edit_that_cannot_follow_is_corrupt() {
        let tail = Tail {
            edits: vec![edit(2, 1), edit(1, 2)],
            ..log(0).tail()
        };

        assert_eq!(
            Log::of(&key(), State::default(), tail).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }

    #[test]
    fn a_log_cannot_be_put_on_a_snapshot_that_it_did_not_go_through() {
        assert!(log(5).rebased(base(6)).is_none());
        assert!(log(9).rebased(base(4)).unwrap().rebased(base(3)).is_none());
        assert_eq!(log(5).rebased(base(5)).unwrap().tail().edits.len(), 0);
    }
}
