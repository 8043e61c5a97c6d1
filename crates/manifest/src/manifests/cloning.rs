//! Begins the manifest of a clone.

use std::sync::Arc;

use duramen_bucket::{Author, Created};
use duramen_model::TenantId;

use super::{Manifests, refused};
use crate::edit::Edit;
use crate::log::Log;
use crate::{Error, State};

impl Manifests {
    /// Makes `clone`, a tenant that nobody knows yet, begin with the state of `home` after the edit
    /// `sequence`. Its first edit has the next sequence, so deletions keep their numbers. A named
    /// snapshot of `home` must hold the blocks before ([`crate::clones::hold`]).
    ///
    /// Requests: those of [`Manifests::blocks_after`], 1 LIST and 1 GET that find nothing, 1 PUT for
    /// each part of the snapshot, and 1 PUT.
    pub async fn begin_clone(
        &self,
        clone: TenantId,
        home: TenantId,
        sequence: u64,
    ) -> Result<Arc<State>, Error> {
        if let Some(claim) = &self.inner.claim {
            claim.assure().await?;
        }

        let state = self.state_after(&self.known(home), sequence).await?;
        let known = self.known(clone);
        let _asking = known.asking.lock().await;
        let there = self.catch_up(&known).await?;

        if there.state().sequence > 0 {
            return Err(Error::Corrupt {
                key: known.chain.key(there.state().sequence).to_string(),
                fault: "a new tenant has a manifest".to_owned(),
            });
        }

        let log = Log::begun_with(state.cloned(home));
        let author = Author::new(self.inner.identity.writer, &*self.inner.clock);
        let edit = Arc::new(Edit::fence(self.inner.identity, author));
        let next = log.with(Arc::clone(&edit));
        let next = next.map_err(|violation| refused(&known, &log, &edit, violation))?;
        let next = self.rebased(&known, &log, next, &mut None).await?;

        let first = next.state().sequence;
        let body = next.tail().encode(&known.chain.key(first))?;

        match known.chain.create(first, author, &body).await? {
            Created::Ours => {
                known.learn(&next);
                Ok(Arc::clone(next.state()))
            }
            Created::Theirs(entry) => {
                let log = self.advance(&known, None, entry).await?;
                Ok(Arc::clone(log.state()))
            }
        }
    }
}
