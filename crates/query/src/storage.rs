//! Everything that a tenant has, as one source: heads, staged and committed blocks together.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_block::BlockSource;
use duramen_manifest::{Manifests, State};
use duramen_model::{TenantId, TimeRange};
use duramen_source::{Error, FlushedPosition, HeadSnapshot, Heads, Part, SeriesRequest, SeriesSource, SeriesStream};
use futures::{StreamExt, TryStreamExt, stream};

use crate::blocks::Blocks;
use crate::merge::MergeSource;
use crate::metrics::Metrics;

/// Blocks that are opened at once for one selector.
const OPENS_AT_ONCE: usize = 16;

/// See the module's text. Each selection takes its own view of heads and manifest.
pub struct Storage {
    heads: Arc<dyn Heads>,
    manifests: Manifests,
    blocks: Arc<Blocks>,
    metrics: Metrics,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl Storage {
    pub const fn new(heads: Arc<dyn Heads>, manifests: Manifests, blocks: Arc<Blocks>, metrics: Metrics) -> Self {
        Self { heads, manifests, blocks, metrics }
    }

    /// All parts of a tenant that may have samples in `range`.
    ///
    /// The heads are asked first and the manifest is at least as new as what they gave up, so that a flush that commits between
    /// the two questions leaves no gap; what both have is merged to one.
    async fn parts(&self, tenant: TenantId, range: TimeRange) -> Result<Vec<Part>, Error> {
        let snapshots = self.heads.snapshots(tenant).await?;
        let state = self.state(tenant, &snapshots).await?;
        let entries: Vec<_> = state.blocks_overlapping(range).cloned().collect();
        let opened = stream::iter(entries)
            .map(|entry| async move {
                let block = self
                    .blocks
                    .get(tenant, &entry)
                    .await
                    .map_err(|e| Error::new(format!("block {} of tenant {tenant}", entry.id), e.kind(), e))?;
                let source: Arc<dyn SeriesSource> = Arc::new(BlockSource::new(block, tenant));
                Ok(Part { order: entry.order.min, source })
            })
            .buffer_unordered(OPENS_AT_ONCE);
        let mut parts: Vec<Part> = opened.try_collect().await?;
        parts.extend(snapshots.into_iter().flat_map(|snapshot| snapshot.parts));
        Ok(parts)
    }

    /// A manifest that has everything which the heads gave up. No request while the one at hand is new enough.
    async fn state(&self, tenant: TenantId, snapshots: &[HeadSnapshot]) -> Result<Arc<State>, Error> {
        let covers = |state: &State| {
            let new_enough = |f: FlushedPosition| state.flushed_position(f.writer) >= f.position;
            snapshots.iter().all(|snapshot| new_enough(snapshot.flushed))
        };
        if let Some(state) = self.manifests.cached(tenant)
            && !snapshots.is_empty()
            && covers(&state)
        {
            return Ok(state);
        }
        let failed = |e: duramen_manifest::Error| Error::new(format!("the manifest of tenant {tenant}"), e.kind(), e);
        let state = self.manifests.refresh(tenant).await.map_err(failed)?;
        if covers(&state) {
            return Ok(state);
        }
        let reason = "it is older than what the head has flushed";
        Err(Error::new(format!("the manifest of tenant {tenant}"), duramen_model::ErrorKind::Internal, reason))
    }
}

#[async_trait]
impl SeriesSource for Storage {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        let mut parts = Vec::new();
        for &tenant in &*request.tenants {
            parts.extend(self.parts(tenant, request.range).await?);
        }
        let conflicts = self.metrics.conflicts(&request.tenants);
        MergeSource::new(parts, conflicts).select(request).await
    }
}
