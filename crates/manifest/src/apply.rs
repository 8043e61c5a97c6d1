//! The state that follows by an edit.

use duramen_bucket::WriterIdentity;

use crate::change::Change;
use crate::edit::{Commit, Edit};
use crate::state::{Process, State, Violation};

impl State {
    /// Makes the state that follows by `edit`. Pure: no I/O, no clock; on an error nothing has
    /// changed.
    pub fn apply(&mut self, edit: &Edit) -> Result<(), Violation> {
        self.check_process(edit)?;

        for change in &edit.changes {
            change.check(self, edit.process())?;
        }

        if edit.is_fence() && edit.changes.len() > 1 {
            return Err(Violation::FenceWithChange);
        }

        for change in &edit.changes {
            change.apply(self);
        }

        self.epochs.insert(
            edit.writer,
            Process {
                epoch: edit.epoch,
                incarnation: edit.incarnation,
            },
        );

        self.writer_version_min = self.writer_version_min.max(edit.writer_version_min);
        self.sequence += 1;
        Ok(())
    }

    /// No process comes behind a later one of its writer, or beside one that has its epoch.
    fn check_process(&self, edit: &Edit) -> Result<(), Violation> {
        let epoch = edit.epoch;

        let Some(last) = self.epochs.get(&edit.writer) else {
            return Ok(());
        };

        if last.epoch > epoch {
            return Err(Violation::Fenced {
                epoch,
                later: last.epoch,
            });
        }

        if last.epoch == epoch && last.incarnation != edit.incarnation {
            return Err(Violation::Twin {
                epoch,
                incarnation: edit.incarnation,
                other: last.incarnation,
            });
        }

        Ok(())
    }

    /// Whether the commit of `process` has happened already: it changes something, and all of its
    /// changes are there.
    pub fn has(&self, commit: &Commit, process: WriterIdentity) -> bool {
        let is_in = |change: &Change| change.is_in(self, process);
        !commit.changes.is_empty() && commit.changes.iter().all(is_in)
    }
}
