//! The contract: what a source is asked.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use duramen_model::{FamilyMetadata, TenantId};

use crate::answer::{SeriesExemplars, SeriesStream, SeriesSummary};
use crate::error::Error;
use crate::request::{Columns, SeriesRequest};
use crate::walk;

/// Something that holds series: the blocks of a bucket, a head, a merge of others, or memory for
/// tests.
///
/// An answer is complete or an error: a source that cannot read a part of what it holds fails the
/// request and names the part.
///
/// The methods with a default are those that every source can answer through
/// [`SeriesSource::select`], at its cost. Whoever passes questions on, or has a faster way, writes
/// all of them: its `impl` denies `clippy::missing_trait_methods`.
#[async_trait]
pub trait SeriesSource: Send + Sync + fmt::Debug {
    /// The series that pass all matchers and have at least one sample (a stale marker is one) in
    /// the range, with those samples.
    ///
    /// A source may add samples outside of the range when leaving them out would cost it work; the
    /// reader cuts. A series all of whose samples lie outside may therefore appear as well.
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error>;

    /// The exemplars in the range of the series that pass all matchers; series without any are left
    /// out. Series in block order, each once; the exemplars of one ascend by time, no two of them
    /// equal. `columns` and `batch_series_max` of the request mean nothing here.
    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error>;

    /// What is known of the tenants' metric families, in the order of their names. One family comes
    /// once: as it was last sent.
    async fn metadata(&self, tenants: &[TenantId]) -> Result<Vec<FamilyMetadata>, Error>;

    /// The series that pass all matchers and whose span touches the range, in block order, each
    /// once. Counts may be of everything that the touched parts hold of the series, within the
    /// range or not, and a sample that two parts hold counts twice.
    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        let batches = self.select(&request.with_columns(Columns::Samples)).await?;
        walk::summaries(batches).await
    }

    /// The names of the labels of the series that [`SeriesSource::select`] finds. `columns` and
    /// `batch_series_max` of the request mean nothing here.
    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        let batches = self.select(&request.with_columns(Columns::Labels)).await?;
        walk::label_names(batches).await
    }

    /// The values of label `name` in the series that [`SeriesSource::select`] finds; series without
    /// the label add none.
    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        let batches = self.select(&request.with_columns(Columns::Labels)).await?;
        walk::label_values(batches, name).await
    }

    /// No sample that the source holds of these tenants has a longer life span
    /// ([`duramen_model::Life::ttl_ms`]); 0 when none has any. A query looks so much further back.
    async fn ttl_max_ms(&self, tenants: &[TenantId]) -> Result<i64, Error>;
}
