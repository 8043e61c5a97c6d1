//! The contract: the trait of all sources.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use duramen_model::FamilyMetadata;

use crate::answer::{SeriesExemplars, SeriesStream, SeriesSummary};
use crate::error::Error;
use crate::presence::PresenceStream;
use crate::request::{Columns, SeriesRequest};
use crate::rollup::RollupSource;
use crate::undecoded::{UndecodedStream, as_undecoded};
use crate::walk;

/// A source of series: the blocks of a bucket, a head, a merge of other sources, or memory for
/// tests.
///
/// A source does not know tenants. Whoever takes a view ([`crate::Views`]) says whose data is in
/// it; nothing that is read through the view can reach another tenant.
///
/// An answer is complete or an error. If a source cannot read a part of its data, the request fails
/// and the error names the part. The only exception are the blocks that a view notes in its
/// [`crate::LeftOut`].
///
/// Methods with a default use [`SeriesSource::select`], at its cost. A source that has a faster
/// way, or passes requests on, implements all methods: its `impl` denies
/// `clippy::missing_trait_methods`.
#[async_trait]
pub trait SeriesSource: Send + Sync + fmt::Debug {
    /// The series that pass all matchers and have at least one sample in the range, with the
    /// samples in the range. A stale marker is a sample.
    ///
    /// A source may also return samples outside the range if leaving them out would cost work; the
    /// reader must skip them. So a series may appear although all its samples are outside.
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error>;

    /// What [`SeriesSource::select`] returns, in the same batches. The receiver decodes them.
    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        self.select(request).await.map(as_undecoded)
    }

    /// Traces of the series that [`SeriesSource::select`] finds. They tell whether a series is
    /// present at a time of `from_ms` or later, by its samples in the range: they describe all of
    /// these that matter for such a time, and maybe others. Series without samples in the range may
    /// appear. `columns` of the request is ignored.
    ///
    /// Returns `None` if a part of the source has no traces and would have to read all samples.
    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        let _ = (request, from_ms);
        Ok(None)
    }

    /// The exemplars in the range, for the series that pass all matchers. Series without exemplars
    /// are left out. Series are in block order, each once. The exemplars of a series ascend by
    /// time, and no two are equal. `columns` and `batch_series_max` of the request are ignored.
    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error>;

    /// The metadata of the metric families, sorted by name. Each family occurs once, with
    /// the metadata that was sent last.
    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error>;

    /// Summaries of the series that pass all matchers and whose time range overlaps the requested
    /// range, in block order, each once. A count may include samples outside the range, if a part
    /// overlaps it. A sample in two parts counts twice.
    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let batches = self.select(&request.with_columns(Columns::Samples)).await?;
        walk::summaries(batches, &request.reads).await
    }

    /// The label names of the series that [`SeriesSource::select`] finds. `columns` and
    /// `batch_series_max` of the request are ignored.
    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        let batches = self.select(&request.with_columns(Columns::Labels)).await?;
        walk::label_names(batches, &request.reads).await
    }

    /// The values of label `name` in the series that [`SeriesSource::select`] finds. Series without
    /// the label are skipped.
    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        let batches = self.select(&request.with_columns(Columns::Labels)).await?;
        walk::label_values(batches, name, &request.reads).await
    }

    /// An upper bound of the life spans ([`duramen_model::Life::ttl_ms`]) of all samples; 0 when no
    /// sample has one. A query must look that much further back.
    async fn ttl_max_ms(&self) -> Result<i64, Error>;

    /// The rollups that the source has. A source of samples alone has none.
    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}
