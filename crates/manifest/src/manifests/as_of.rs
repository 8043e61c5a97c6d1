//! Past states of a tenant.
//!
//! An object of the chain names the snapshot that it builds on and repeats the edits since then, so
//! it is a whole state. The attempt of an edit has the time of the edit, on the clock of the
//! process that made it.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_model::{AsOf, BlockEntry, BlockId, TenantId};

use super::{Known, Manifests};
use crate::log::Log;
use crate::object::Tail;
use crate::{Error, State};

impl Manifests {
    /// Returns a past state, with the deletions that were made since: a deleted sample does not
    /// come back. The state before the first edit is empty.
    ///
    /// Requests: those of [`Manifests::refresh`]. If the state is not the newest one, also one GET
    /// for its object, and those of its snapshot. For a time before the newest snapshot, also one
    /// GET for each halving of the edits before.
    ///
    /// # Errors
    /// [`Error::NoNamedSnapshot`] for a name that is not there. [`Error::NotYet`] for a sequence
    /// that does not exist. [`Error::NotKept`] if the snapshot of the state is deleted.
    /// [`Error::DeletionsForgotten`] if more deletions than
    /// [`GONE_MAX`](crate::deletions::GONE_MAX) ended since, so that one of them may be forgotten.
    pub async fn as_of(&self, tenant: TenantId, as_of: &AsOf) -> Result<Arc<State>, Error> {
        let known = self.known(tenant);
        let log = {
            let _asking = known.asking.lock().await;
            self.catch_up(&known).await?
        };

        let last = log.state().sequence;
        let asked = match as_of {
            AsOf::Sequence(asked) if *asked > last => {
                return Err(Error::NotYet {
                    asked: *asked,
                    last,
                });
            }
            AsOf::Sequence(asked) => *asked,
            AsOf::Time(time_ms) => self.last_edit(&known, &log, *time_ms).await?,
            AsOf::Snapshot(name) => {
                let named = log.state().snapshots.get(&**name).copied();
                let name = name.to_string();
                named.ok_or(Error::NoNamedSnapshot { name })?
            }
        };

        if asked == last {
            return Ok(Arc::clone(log.state()));
        }

        // A clone has no edits of its home.
        if log.state().origin.is_some() && asked <= log.begun() {
            return Err(Error::NotKept { asked });
        }

        let now = &log.state().deletions;
        let mut then = self.state_after(&known, asked).await?;

        // A deletion with samples in a named snapshot is in force as long as the snapshot is there.
        let is_named = matches!(as_of, AsOf::Snapshot(_));
        if !is_named && now.may_have_forgotten(asked) {
            let oldest = now.gone.keys().next().copied().unwrap_or(0);
            return Err(Error::DeletionsForgotten { asked, oldest });
        }

        then.deletions = Arc::new(then.deletions.with_later(asked, now));

        Ok(Arc::new(then))
    }

    /// Returns the blocks of a past state. Requests: one GET for its object, and those of its
    /// snapshot.
    pub async fn blocks_after(
        &self,
        tenant: TenantId,
        sequence: u64,
    ) -> Result<BTreeMap<BlockId, Arc<BlockEntry>>, Error> {
        let known = self.known(tenant);
        let state = self.state_after(&known, sequence).await?;
        Ok(state.blocks)
    }

    /// Returns the sequence of the last edit that was made at or before `time_ms`; 0 if there is
    /// none. If clocks of writers differ, edits that are close to each other may count as one.
    async fn last_edit(&self, known: &Known, log: &Log, time_ms: i64) -> Result<u64, Error> {
        let is_later = |attempt: ulid::Ulid| {
            let made_ms = i64::try_from(attempt.timestamp_ms()).unwrap_or(i64::MAX);
            made_ms > time_ms
        };

        let newest = log
            .numbered()
            .take_while(|(_, edit)| !is_later(edit.attempt))
            .last();

        if let Some((sequence, _)) = newest {
            return Ok(sequence);
        }

        // All edits up to `before` were made in time, and those from `behind` on were not.
        let mut before = log.begun();
        let mut behind = log.base_sequence() + 1;

        while before + 1 < behind {
            let middle = u64::midpoint(before, behind);
            let entry = self.entry(known, middle).await?;

            if is_later(entry.author.attempt) {
                behind = middle;
            } else {
                before = middle;
            }
        }

        Ok(before)
    }

    pub(super) async fn state_after(&self, known: &Known, sequence: u64) -> Result<State, Error> {
        if sequence == 0 {
            return Ok(State::default());
        }

        let entry = self.entry(known, sequence).await?;
        let key = known.chain.key(sequence);
        let tail = Tail::decode(&key, sequence, &entry.body)?;
        let base = self.snapshot(known, tail.base.as_ref()).await;

        let base = base.map_err(|error| match error {
            Error::NoSnapshot { .. } => Error::NotKept { asked: sequence },
            error => error,
        })?;

        let log = Log::of(&key, base, tail)?;

        Ok(State::clone(log.state()))
    }
}
