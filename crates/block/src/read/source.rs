//! A block as a source of series.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::FamilyMetadata;
use duramen_qos::Exceeded;
use duramen_source::merge::exemplars::ExemplarStream;
use duramen_source::rollup::RowParts;
use duramen_source::undecoded::decoded;
use duramen_source::{
    Columns, PresenceStream, Reads, RollupSource, RollupStream, SeriesExemplars, SeriesRequest,
    SeriesSource, SeriesStream, SeriesSummary, UndecodedStream, walk,
};
use futures::{TryStreamExt, stream};

use crate::error::Error;
use crate::layout::rows::Wanted;
use crate::read::block::Block;
use crate::read::select::{self, Place};
use crate::read::{batch, metadata, presence, rollups};
use crate::series::file::SeriesFile;
use crate::series::found::FoundSeries;
use crate::series::index::SeriesIndex;

/// One block.
#[derive(Clone, Debug)]
pub struct BlockSource {
    block: Arc<Block>,
}

impl BlockSource {
    pub const fn new(block: Arc<Block>) -> Self {
        Self { block }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SeriesSource for BlockSource {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, duramen_source::Error> {
        self.select_undecoded(request).await.map(decoded)
    }

    async fn select_undecoded(
        &self,
        request: &SeriesRequest,
    ) -> Result<UndecodedStream, duramen_source::Error> {
        let file = self.block.series.clone();
        let Some(file) = file.filter(|_| self.may_hold(request)) else {
            return Ok(Box::pin(stream::empty()));
        };

        let block = Arc::clone(&self.block);
        let batches = select::stream(Arc::clone(&block), file, request.clone());
        Ok(Box::pin(batches.map_err(move |e| e.of_block(block.dir()))))
    }

    /// Makes no request for series whose traces are known, and reads the samples of the others
    /// once.
    async fn presence(
        &self,
        request: &SeriesRequest,
        _: i64,
    ) -> Result<Option<PresenceStream>, duramen_source::Error> {
        let file = self.block.series.as_ref();
        let may_pass = |file: &SeriesFile| !file.groups(&request.matchers).is_empty();
        let file = file.filter(|file| self.may_hold(request) && may_pass(file));
        let Some(file) = file else {
            return Ok(Some(Box::pin(stream::empty())));
        };

        let block = Arc::clone(&self.block);
        let batches = presence::stream(Arc::clone(&block), file, request.clone()).await;
        let batches = batches.map_err(|e| e.of_block(block.dir()))?;

        Ok(batches.map(|batches| {
            let batches = batches.map_err(move |e| e.of_block(block.dir()));
            Box::pin(batches) as PresenceStream
        }))
    }

    async fn exemplars(
        &self,
        request: &SeriesRequest,
    ) -> Result<Vec<SeriesExemplars>, duramen_source::Error> {
        if self.block.exemplars.is_none() || !self.may_hold(request) {
            return Ok(Vec::new());
        }

        self.read_exemplars(request)
            .await
            .map_err(|e| e.of_block(self.block.dir()))
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, duramen_source::Error> {
        self.read_metadata()
            .await
            .map_err(|e| e.of_block(self.block.dir()))
    }

    async fn summaries(
        &self,
        request: &SeriesRequest,
    ) -> Result<Vec<SeriesSummary>, duramen_source::Error> {
        if !self.may_hold(request) {
            return Ok(Vec::new());
        }

        self.read_summaries(request)
            .await
            .map_err(|e| e.of_block(self.block.dir()))
    }

    async fn label_names(
        &self,
        request: &SeriesRequest,
    ) -> Result<BTreeSet<String>, duramen_source::Error> {
        let Some(index) = self.index(request).await else {
            let labels = request.with_columns(Columns::Labels);
            return walk::label_names(self.select(&labels).await?, &request.reads).await;
        };

        let wanted = Wanted::Samples(request.range);
        let series = select::pass(&self.block, &index, request, wanted).await;
        let names = index.names(&series, &request.reads);
        names.map_err(|e| self.no_memory(e))
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, duramen_source::Error> {
        let Some(index) = self.index(request).await else {
            let labels = request.with_columns(Columns::Labels);
            return walk::label_values(self.select(&labels).await?, name, &request.reads).await;
        };

        let wanted = Wanted::Samples(request.range);
        let series = select::pass(&self.block, &index, request, wanted).await;
        let values = index.values(&series, name, &request.reads);
        values.map_err(|e| self.no_memory(e))
    }

    async fn ttl_max_ms(&self) -> Result<i64, duramen_source::Error> {
        Ok(self.block.stats().ttl_max_ms)
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}

impl BlockSource {
    fn no_memory(&self, exceeded: Exceeded) -> duramen_source::Error {
        duramen_source::Error::memory(format!("block {}", self.block.dir()), exceeded)
    }

    /// Returns what [`SeriesSource::exemplars`] does, a few series at a time.
    ///
    /// This takes one round trip for the series pages, and one for each batch of 4,096 exemplars.
    pub fn exemplar_stream(&self, request: &SeriesRequest) -> ExemplarStream {
        let file = self.block.series.clone();
        let has_any = self.block.exemplars.is_some() && self.may_hold(request);
        let Some(file) = file.filter(|_| has_any) else {
            return Box::pin(stream::empty());
        };

        let block = Arc::clone(&self.block);
        let batches = select::exemplars(Arc::clone(&block), file, request.clone());
        Box::pin(batches.map_err(move |e| e.of_block(block.dir())))
    }

    /// Returns the rows of the series that pass, in the order of the block. Rows of buckets outside
    /// of the range of the request may be among them. Parts that are not wanted are 0. A block of
    /// samples has none.
    ///
    /// This takes one round trip for the series pages, and one for each batch of series.
    pub fn rollup_stream(&self, request: &SeriesRequest, parts: RowParts) -> RollupStream {
        let file = self.block.series.clone();
        let has_any = self.block.rollups.is_some() && self.may_hold(request);
        let Some(file) = file.filter(|_| has_any) else {
            return Box::pin(stream::empty());
        };

        let block = Arc::clone(&self.block);
        let batches = rollups::stream(Arc::clone(&block), file, request.clone(), parts);
        Box::pin(batches.map_err(move |e| e.of_block(block.dir())))
    }

    /// Whether the range of the request overlaps the block.
    fn may_hold(&self, request: &SeriesRequest) -> bool {
        self.block.stats.range().overlaps(request.range)
    }

    /// Returns the index of the block if [`BlockSource::may_hold`] and the index is in memory or
    /// worth building.
    async fn index(&self, request: &SeriesRequest) -> Option<Arc<SeriesIndex>> {
        let file = self.block.series.as_ref();
        let file = file.filter(|_| self.may_hold(request))?;

        match select::look_up(&self.block, file, request).await {
            Place::Index(index) => Some(index),
            Place::File(_) => None,
        }
    }

    /// Returns the exemplars of the series that pass, within the range. One round trip for the
    /// series pages, one for the exemplars.
    async fn read_exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        let series = select::find_all(&self.block, request, Wanted::Exemplars).await?;
        let mut all = batch::exemplars(&self.block, series, &request.reads).await?;

        select::keep_in(request.range, &mut all);
        Ok(all)
    }

    /// Returns all metric families, in the order of their names.
    async fn read_metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        let Some(file) = &self.block.metadata else {
            return Ok(Vec::new());
        };

        let groups = file.all();
        let bytes = file.fetch_groups(&groups, &Reads::default()).await?;
        let mut families = Vec::new();

        file.decode(&bytes, &groups, |batch| {
            metadata::append(batch, &mut families)
        })?;
        Ok(families)
    }

    /// Returns what the series file says about the series that pass. No sample is read.
    async fn read_summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let wanted = Wanted::Samples(request.range);
        let series = select::find_all(&self.block, request, wanted).await?;

        let summary = |series: FoundSeries| SeriesSummary {
            labels: series.labels(),
            floats: series.rows.samples.end - series.rows.samples.start,
            histograms: series.rows.histograms.end - series.rows.histograms.start,
            first_ms: series.rows.min_ts_ms,
            last_ms: series.rows.max_ts_ms,
        };

        Ok(series.into_iter().map(summary).collect())
    }
}
