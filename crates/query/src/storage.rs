//! All series of a tenant as one source: heads, staged and committed blocks together.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duramen_blocks::{Blocks, metadata};
use duramen_bucket::keys;
use duramen_manifest::{Deletions, Manifests, State, Tombstone};
use duramen_model::{AsOf, BlockEntry, ErrorKind, FamilyMetadata, TenantId, TimeRange, WriterId};
use duramen_runtime::{OnFailure, Tasks};
use duramen_source::rollup::hidden::{of_days, without_deleted};
use duramen_source::rollup::joined::joined;
use duramen_source::rollup::made::made;
use duramen_source::rollup::{RowParts, uncovered};
use duramen_source::{
    Columns, Coverage, Error, FlushedPosition, GetLimit, HeadSnapshot, Heads, LeftOut,
    MaskedSource, MergeSource, Part, PresenceStream, Read, Reads, RollupSource, RollupStream,
    SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, SeriesSummary, UndecodedStream,
    Views, WantedRollups,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::looks::Looks;
use crate::metrics::Metrics;
use crate::optional_block::OptionalBlock;
use crate::rollups::{KnownRollups, RollupPart, TenantRollups};

/// How many blocks are opened at the same time for one selector. All of them take one trip.
const OPENS_AT_ONCE: usize = 64;

/// All series of all tenants: heads, staged and committed blocks. They are read through views of
/// some tenants ([`Views::view`]).
pub struct Storage {
    heads: Arc<dyn Heads>,
    manifests: Manifests,
    blocks: Arc<Blocks>,
    metrics: Metrics,
    rollups: Arc<KnownRollups>,
    looks: Looks,
    tasks: Tasks,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("heads", &self.heads)
            .finish_non_exhaustive()
    }
}

impl Storage {
    pub fn new(
        heads: Arc<dyn Heads>,
        manifests: Manifests,
        blocks: Arc<Blocks>,
        metrics: Metrics,
    ) -> Self {
        Self {
            heads,
            manifests,
            blocks,
            metrics,
            rollups: Arc::default(),
            looks: Looks::every(Duration::ZERO),
            tasks: Tasks::default(),
        }
    }

    /// The same storage, which looks once in `interval` for what others have committed of a tenant
    /// that is queried, in a task. 0: only when the heads have flushed.
    #[must_use]
    pub fn looking_every(self, interval: Duration, tasks: &Tasks) -> Self {
        Self {
            looks: Looks::every(interval),
            tasks: tasks.clone(),
            ..self
        }
    }

    /// Returns the blocks that the manifest of a tenant lists, or listed.
    pub async fn blocks(
        &self,
        tenant: TenantId,
        as_of: Option<&AsOf>,
    ) -> Result<Vec<Arc<BlockEntry>>, Error> {
        let moment = self.tenant_at(tenant, as_of).await?;
        Ok(moment.state.blocks.values().cloned().collect())
    }

    async fn tenant_at(
        &self,
        tenant: TenantId,
        as_of: Option<&AsOf>,
    ) -> Result<TenantMoment, Error> {
        match as_of {
            None => self.tenant_now(tenant).await,
            Some(as_of) => self.tenant_then(tenant, as_of).await,
        }
    }

    /// Returns what a tenant has now.
    ///
    /// The heads are asked first. The manifest must then be at least as new as what they have
    /// flushed. So a flush that commits between the two leaves no gap. What is in both is merged
    /// into one.
    async fn tenant_now(&self, tenant: TenantId) -> Result<TenantMoment, Error> {
        let snapshots = self.heads.snapshots(tenant).await?;
        let state = self.state(tenant, &snapshots).await?;
        let heads = snapshots.into_iter().flat_map(|snapshot| {
            let writer = snapshot.flushed.writer;
            let parts = snapshot.parts.into_iter().zip(snapshot.ends);
            parts.map(move |(part, end)| HeadPart { part, writer, end })
        });

        Ok(TenantMoment {
            tenant,
            heads: heads.collect(),
            state,
            is_past: false,
        })
    }

    /// Returns what the bucket had of a tenant. A head knows no past.
    async fn tenant_then(&self, tenant: TenantId, as_of: &AsOf) -> Result<TenantMoment, Error> {
        let state = self.manifests.as_of(tenant, as_of).await;

        Ok(TenantMoment {
            tenant,
            heads: Vec::new(),
            state: state.map_err(|e| of_manifest(tenant, e))?,
            is_past: true,
        })
    }

    /// Returns a manifest with everything that the heads have flushed. If the cached one is new
    /// enough, no request is made, but for the look of [`Storage::looking_every`].
    async fn state(
        &self,
        tenant: TenantId,
        snapshots: &[HeadSnapshot],
    ) -> Result<Arc<State>, Error> {
        let covers = |state: &State| {
            let new_enough = |f: FlushedPosition| state.flushed_position(f.writer) >= f.position;
            snapshots
                .iter()
                .all(|snapshot| new_enough(snapshot.flushed))
        };

        if let Some(state) = self.manifests.cached(tenant)
            && !snapshots.is_empty()
            && covers(&state)
        {
            self.look(tenant);
            return Ok(state);
        }

        let state = self.manifests.refresh(tenant).await;
        let state = state.map_err(|e| of_manifest(tenant, e))?;
        if covers(&state) {
            return Ok(state);
        }

        let reason = "it is older than what the head has flushed";
        Err(Error::new(
            format!("the manifest of tenant {tenant}"),
            ErrorKind::Internal,
            reason,
        ))
    }
}

impl Storage {
    /// Looks for what others have committed, if it is time, for later queries. Nobody waits for it.
    ///
    /// Requests: those of [`Manifests::refresh`].
    fn look(&self, tenant: TenantId) {
        let now = self.manifests.clock().monotonic();
        if !self.looks.is_due(tenant, now) {
            return;
        }

        let manifests = self.manifests.clone();
        let look = async move { manifests.refresh(tenant).await.map(drop) };
        self.tasks.spawn("look", OnFailure::Log, look);
    }
}

/// Returns the error of a source for one of a tenant's manifest.
fn of_manifest(tenant: TenantId, error: duramen_manifest::Error) -> Error {
    let kind = match &error {
        // The request is wrong, and not the manifest.
        duramen_manifest::Error::NotYet { .. }
        | duramen_manifest::Error::NoNamedSnapshot { .. }
        | duramen_manifest::Error::NotKept { .. }
        | duramen_manifest::Error::DeletionsForgotten { .. } => ErrorKind::Invalid,
        // Only one object of one tenant is damaged. The same query works once it is repaired.
        error => match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Invalid => ErrorKind::Unavailable,
            kind => kind,
        },
    };

    Error::new(format!("the manifest of tenant {tenant}"), kind, error)
}

/// Returns the error of a block of a past state. A block that is not there was replaced since.
fn of_past(tenant: TenantId, entry: &BlockEntry, error: Error) -> Error {
    let of_block = duramen_block::Error::in_source(&error);
    if !of_block.is_some_and(duramen_block::Error::is_missing) {
        return error;
    }

    let reason =
        "a block of that state was replaced since and is deleted, as `compact.history` is over";
    let place = format!("as_of: block {}", keys::block(tenant, entry));
    Error::new(place, ErrorKind::Invalid, reason)
}

/// What a tenant has at one moment: everything that was acknowledged before, in the heads, the
/// blocks, or both.
#[derive(Debug)]
struct TenantMoment {
    tenant: TenantId,
    heads: Vec<HeadPart>,
    state: Arc<State>,
    /// Whether the state is that of an earlier moment. Its blocks may be deleted.
    is_past: bool,
}

/// A part of a head: records of a writer that are before the position `end` of its log.
#[derive(Clone, Debug)]
struct HeadPart {
    part: Part,
    writer: WriterId,
    end: u64,
}

/// What some tenants have at one moment. While it lives, it keeps generations of heads, staged
/// blocks and the state of the manifest. The blocks of that state stay readable.
struct StorageView {
    tenants: Vec<TenantMoment>,
    blocks: Arc<Blocks>,
    metrics: Metrics,
    /// Notes the blocks that a partial answer leaves out.
    left_out: Option<Arc<LeftOut>>,
    /// Shared by all selections from the view, which are those of one query.
    gets: GetLimit,
    rollups: Arc<KnownRollups>,
}

impl fmt::Debug for StorageView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageView")
            .field("tenants", &self.tenants)
            .finish_non_exhaustive()
    }
}

impl StorageView {
    /// Merges what may hold samples in the range of a request into one source.
    async fn samples(&self, request: &SeriesRequest) -> Result<MergeSource, Error> {
        self.merged(Wanted::Samples(request), &request.reads).await
    }

    /// Returns what [`StorageView::samples`] does, if all samples of the range are there.
    ///
    /// # Errors
    /// Of some only rollups are left.
    async fn complete(&self, request: &SeriesRequest) -> Result<MergeSource, Error> {
        for moment in &self.tenants {
            let alone = self.rollups_of(moment).alone(request.range);
            let may_match = |entry: &&Arc<BlockEntry>| {
                let names = entry.stats.names.as_ref();
                names.is_none_or(|names| names.may_match(&request.matchers))
            };

            if let Some(entry) = alone.iter().find(may_match) {
                let part = format!("block {}", keys::block(moment.tenant, entry));
                let reason = "samples of this time are gone (retention). Only rollups are left, \
                              which this request does not read";
                return Err(Error::new(part, ErrorKind::Invalid, reason));
            }
        }

        self.samples(request).await
    }

    /// Merges what may name series in the range of a request into one source: also rollups of
    /// samples that are gone. It answers requests for labels.
    async fn series(&self, request: &SeriesRequest) -> Result<MergeSource, Error> {
        let mut parts = self.parts(Wanted::Samples(request), &request.reads).await?;

        for moment in &self.tenants {
            let alone = self.rollups_of(moment).alone(request.range);
            let alone = Wanted::Samples(request).by_name(alone);
            let masks = Masks::new(&moment.state.deletions, Wanted::Samples(request));

            parts.extend(self.open(moment, alone, &masks, &request.reads).await?);
        }

        Ok(self.merge(parts))
    }

    /// Merges the heads of the tenants and the blocks that `wanted` selects into one source.
    async fn merged(&self, wanted: Wanted<'_>, reads: &Reads) -> Result<MergeSource, Error> {
        Ok(self.merge(self.parts(wanted, reads).await?))
    }

    async fn parts(&self, wanted: Wanted<'_>, reads: &Reads) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        reads.share_gets(&self.gets);

        for moment in &self.tenants {
            let in_range = wanted.in_range(&moment.state);
            let in_range_count = in_range.len() as u64;
            let blocks = wanted.by_name(in_range);

            reads.add(Read::Heads, moment.heads.len() as u64);
            reads.add(Read::Blocks, moment.state.blocks.len() as u64);
            reads.add(Read::BlocksInRange, in_range_count);
            reads.add(Read::BlocksOpened, blocks.len() as u64);

            let masks = Masks::new(&moment.state.deletions, wanted);
            parts.extend(self.open(moment, blocks, &masks, reads).await?);

            let heads = wanted.of_heads(&moment.heads);
            parts.extend(heads.map(|head| masks.over_head(head)));
        }

        Ok(parts)
    }

    fn rollups_of(&self, moment: &TenantMoment) -> Arc<TenantRollups> {
        let TenantMoment {
            tenant,
            state,
            is_past,
            ..
        } = moment;
        self.rollups.of(*tenant, state, *is_past)
    }

    /// Opens blocks of rollups. Returns the rows of each that are asked for.
    async fn rolled(
        &self,
        moment: &TenantMoment,
        parts: Vec<RollupPart>,
        request: &SeriesRequest,
        wanted: RowParts,
    ) -> Result<Vec<RollupStream>, Error> {
        let reads = &request.reads;
        reads.share_gets(&self.gets);

        let may_match = |part: &RollupPart| {
            let names = part.entry.stats.names.as_ref();
            names.is_none_or(|names| names.may_match(&request.matchers))
        };
        let mut opened: Vec<_> = parts.into_iter().filter(may_match).collect();
        // In the order of time, so that the rows of a series come in it.
        opened.sort_by_key(|part| part.days.first().copied());
        reads.add(Read::BlocksOpened, opened.len() as u64);

        let masks = Masks::new(&moment.state.deletions, Wanted::Samples(request));
        let open = |part: RollupPart| {
            let masks = &masks;

            async move {
                let RollupPart { entry, days } = part;
                let source = self.blocks.source(moment.tenant, &entry, reads).await;
                let source = source.map_err(|error| match moment.is_past {
                    true => of_past(moment.tenant, &entry, error),
                    false => error,
                })?;

                let rows = source.rollup_stream(request, wanted);
                // Rows outside of the range do no harm, those of other rollups would.
                let is_of_another = entry.rolled.iter().any(|day| {
                    day.range().overlaps(request.range) && !days.contains(&day.start_ms)
                });
                let rows = match is_of_another {
                    true => of_days(rows, days),
                    false => rows,
                };

                Ok(masks.over_rollup(&entry, rows))
            }
        };

        stream::iter(opened)
            .map(open)
            .buffered(OPENS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Returns one source of `parts`. Samples that it drops as duplicates are counted for the
    /// tenants of the view.
    fn merge(&self, parts: Vec<Part>) -> MergeSource {
        let tenants: Vec<TenantId> = self.tenants.iter().map(|moment| moment.tenant).collect();
        let conflicts = self.metrics.conflicts(&tenants);

        MergeSource::new(parts, conflicts).within(self.blocks.memory())
    }

    async fn open(
        &self,
        moment: &TenantMoment,
        entries: Vec<Arc<BlockEntry>>,
        masks: &Masks<'_>,
        reads: &Reads,
    ) -> Result<Vec<Part>, Error> {
        let open = |entry: Arc<BlockEntry>| async move {
            let source = self.source(moment, &entry, reads).await?;
            let order = entry.order.min;

            Ok(source.map(|source| Part {
                order,
                source: masks.over_block(&entry, source),
                holds_samples: true,
            }))
        };

        stream::iter(entries)
            .map(open)
            .buffer_unordered(OPENS_AT_ONCE)
            .try_filter_map(|part| std::future::ready(Ok(part)))
            .try_collect()
            .await
    }

    /// Opens a block. `None` if the request leaves it out.
    async fn source(
        &self,
        moment: &TenantMoment,
        entry: &BlockEntry,
        reads: &Reads,
    ) -> Result<Option<Arc<dyn SeriesSource>>, Error> {
        let tenant = moment.tenant;
        let open = async {
            let opened = self.blocks.source(tenant, entry, reads).await;
            opened.map_err(|error| match moment.is_past {
                true => of_past(tenant, entry, error),
                false => error,
            })
        };

        let Some(left_out) = &self.left_out else {
            return Ok(Some(Arc::new(open.await?)));
        };

        let name = Arc::from(format!("block {}", keys::block(tenant, entry)));
        let block = OptionalBlock::open(name, Arc::clone(left_out), open).await?;
        Ok(block.map(|block| Arc::new(block) as Arc<dyn SeriesSource>))
    }
}

/// Which blocks are needed.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// Blocks that may have samples for the request.
    Samples(&'a SeriesRequest),
    /// Blocks that have exemplars and may have them for the request.
    Exemplars(&'a SeriesRequest),
    /// The newest block with metadata of each writer. A flush writes all metadata that its head
    /// knows.
    Metadata,
}

impl Wanted<'_> {
    /// Returns the blocks that may have what is wanted, by their times.
    fn in_range(self, state: &State) -> Vec<Arc<BlockEntry>> {
        match self {
            Self::Samples(request) => state
                .blocks_overlapping(request.range)
                .filter(|entry| entry.stats.series > 0 && entry.resolution_ms.is_none())
                .cloned()
                .collect(),
            Self::Exemplars(request) => state
                .blocks_overlapping(request.range)
                .filter(|entry| entry.stats.exemplars > 0)
                .cloned()
                .collect(),
            Self::Metadata => metadata::newest(state.blocks.values())
                .into_values()
                .collect(),
        }
    }

    /// Returns the heads that may have what is wanted. An open generation is empty after a flush.
    fn of_heads(self, heads: &[HeadPart]) -> impl Iterator<Item = &HeadPart> {
        let any = !matches!(self, Self::Samples(_));
        heads
            .iter()
            .filter(move |head| any || head.part.holds_samples)
    }

    /// Keeps the blocks whose metric names the matchers can meet: of siblings, few.
    fn by_name(self, mut blocks: Vec<Arc<BlockEntry>>) -> Vec<Arc<BlockEntry>> {
        if let Self::Samples(request) | Self::Exemplars(request) = self {
            blocks.retain(|entry| {
                let names = entry.stats.names.as_ref();
                names.is_none_or(|names| names.may_match(&request.matchers))
            });
        }

        blocks
    }
}

/// The deletions that may touch what is wanted.
struct Masks<'a> {
    of: &'a Deletions,
    touching: Vec<&'a Arc<Tombstone>>,
}

impl<'a> Masks<'a> {
    fn new(of: &'a Deletions, wanted: Wanted<'a>) -> Self {
        let touching = match wanted {
            Wanted::Samples(request) | Wanted::Exemplars(request) => {
                of.meeting(&request.matchers, request.range).collect()
            }
            Wanted::Metadata => Vec::new(),
        };

        Self { of, touching }
    }

    /// Hides what was deleted of a block.
    fn over_block(
        &self,
        entry: &BlockEntry,
        source: Arc<dyn SeriesSource>,
    ) -> Arc<dyn SeriesSource> {
        let touches = |one: &Tombstone| self.of.touches(one, entry);
        self.over(source, entry.stats.range(), touches)
    }

    /// Hides the rows of a rollup that may have deleted samples.
    fn over_rollup(&self, entry: &BlockEntry, rows: RollupStream) -> RollupStream {
        let touching = self.touching.iter();
        let touching = touching.filter(|one| self.of.touches(one, entry));
        let deletions: Vec<_> = touching
            .map(|one| Arc::clone(&one.asked.deletion))
            .collect();

        match deletions.is_empty() {
            true => rows,
            false => without_deleted(rows, deletions),
        }
    }

    /// Hides what was deleted of a part of a head.
    fn over_head(&self, head: &HeadPart) -> Part {
        let HeadPart { part, writer, end } = head;
        let masks = |one: &Tombstone| one.masks_log(*writer, *end);

        Part {
            source: self.over(Arc::clone(&part.source), TimeRange::ALL, masks),
            ..part.clone()
        }
    }

    fn over(
        &self,
        source: Arc<dyn SeriesSource>,
        range: TimeRange,
        masks: impl Fn(&Tombstone) -> bool,
    ) -> Arc<dyn SeriesSource> {
        let touching = self.touching.iter().filter(|one| masks(one));
        let deletions: Vec<_> = touching
            .map(|one| Arc::clone(&one.asked.deletion))
            .collect();

        match deletions.is_empty() {
            true => source,
            false => Arc::new(MaskedSource::new(source, deletions, range)),
        }
    }
}

#[async_trait]
impl Views for Storage {
    /// Makes only the requests for the manifests, once for all reads of the view.
    async fn view(
        &self,
        tenants: &[TenantId],
        as_of: Option<&AsOf>,
        left_out: Option<&Arc<LeftOut>>,
    ) -> Result<Arc<dyn SeriesSource>, Error> {
        let mut moments = Vec::with_capacity(tenants.len());
        for &tenant in tenants {
            moments.push(self.tenant_at(tenant, as_of).await?);
        }

        let blocks = Arc::clone(&self.blocks);
        let metrics = self.metrics.clone();

        Ok(Arc::new(StorageView {
            tenants: moments,
            blocks,
            metrics,
            left_out: left_out.cloned(),
            gets: GetLimit::new(GetLimit::QUERY),
            rollups: Arc::clone(&self.rollups),
        }))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for StorageView {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        match request.columns {
            Columns::Labels => self.series(request).await?.select(request).await,
            _ => self.complete(request).await?.select(request).await,
        }
    }

    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        match request.columns {
            Columns::Labels => self.series(request).await?.select_undecoded(request).await,
            _ => {
                self.complete(request)
                    .await?
                    .select_undecoded(request)
                    .await
            }
        }
    }

    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        self.samples(request)
            .await?
            .presence(request, from_ms)
            .await
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.merged(Wanted::Exemplars(request), &request.reads)
            .await?
            .exemplars(request)
            .await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.merged(Wanted::Metadata, &Reads::default())
            .await?
            .metadata()
            .await
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        self.series(request).await?.summaries(request).await
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        self.series(request).await?.label_names(request).await
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        self.series(request)
            .await?
            .label_values(request, name)
            .await
    }

    /// Does not open blocks, because their entries in the manifest have it.
    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        let mut longest = 0;

        for moment in &self.tenants {
            let of_blocks = moment
                .state
                .blocks
                .values()
                .map(|entry| entry.stats.ttl_max_ms)
                .max()
                .unwrap_or(0);

            let heads = moment.heads.iter().map(|head| head.part.clone());
            let heads = self.merge(heads.collect());
            longest = longest.max(of_blocks).max(heads.ttl_max_ms().await?);
        }

        Ok(longest)
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        Some(self)
    }
}

#[async_trait]
impl RollupSource for StorageView {
    /// Makes no request: the manifest tells. Samples of several tenants are merged, and their
    /// rollups cannot be, so a view of several has no rollups; it tells of which times the samples
    /// are gone.
    async fn coverage(&self) -> Result<Vec<Coverage>, Error> {
        let of_tenants = self.tenants.iter().map(|moment| {
            let rollups = self.rollups_of(moment);
            rollups.coverage().to_vec()
        });

        let mut all: Vec<Coverage> = of_tenants.flatten().collect();

        if self.tenants.len() > 1 {
            for coverage in &mut all {
                coverage.covered.clear();
            }
        }

        Ok(all)
    }

    /// Opens the blocks of rollups side by side, as [`SeriesSource::select`] does with those of
    /// samples, and reads samples where there are no rollups.
    async fn rows(
        &self,
        request: &SeriesRequest,
        wanted: WantedRollups,
    ) -> Result<RollupStream, Error> {
        let mut streams = Vec::new();

        for moment in &self.tenants {
            let rollups = self.rollups_of(moment);
            let parts = rollups.parts(wanted.resolution_ms, request.range);
            streams.extend(self.rolled(moment, parts, request, wanted.parts).await?);

            let covered = rollups.covered(wanted.resolution_ms);
            for range in uncovered(request.range, covered) {
                let request = SeriesRequest {
                    range,
                    columns: Columns::Samples,
                    ..request.clone()
                };
                let samples = self.samples(&request).await?.select(&request).await?;
                streams.push(made(samples, range, wanted.resolution_ms));
            }
        }

        Ok(joined(streams))
    }
}
