//! Applies an edit to a state.

use duramen_bucket::WriterIdentity;

use crate::change::Commit;
use crate::edit::Edit;
use crate::state::{Process, State, Violation};

impl State {
    /// Applies `edit`. Pure: no I/O, no clock. On an error, the state has not changed.
    pub fn apply(&mut self, edit: &Edit) -> Result<(), Violation> {
        self.check_process(edit)?;

        edit.changes.check(self, edit.process())?;
        edit.changes.apply(self);

        if edit.leaves_its_name() {
            let process = Process::from(edit.process());
            self.epochs.insert(edit.writer, process);
        }

        self.writer_version_min = self.writer_version_min.max(edit.writer_version_min);
        self.sequence += 1;
        Ok(())
    }

    /// Refuses an edit of an older process of its writer, or of a second process with the same
    /// epoch.
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

    /// Whether the commit of `process` has already happened: it changes something, and all of its
    /// changes are in the state.
    pub fn has(&self, commit: &Commit, process: WriterIdentity) -> bool {
        commit.is_in(self, process)
    }
}
