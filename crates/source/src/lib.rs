//! The contract between storage and query. No DataFusion here: a source answers with Arrow batches
//! of series slices.
//!
//! A [`SeriesRequest`] comes in, and what it takes is counted in its [`Reads`]. A [`SeriesSource`]
//! answers with a stream of [`SeriesBatch`]es, or with less: exemplars, metadata, labels, summaries
//! ([`walk`] has these answers for sources without a faster way).
//!
//! - [`head`], [`view`]: what is written to while it is read; one view is one moment.
//! - [`merge`]: several parts as one source. Queries and compactions merge with it.
//! - [`memory`]: a source for tests.

pub mod batch;
pub mod error;
pub mod head;
pub mod memory;
pub mod merge;
pub mod reads;
pub mod request;
pub mod view;
pub mod walk;

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use duramen_model::{Exemplar, FamilyMetadata, Labels, TenantId};
use futures::Stream;

pub use batch::{Floats, HistogramRef, Histograms, Lives, SeriesBatch, SeriesBatchBuilder};
pub use error::Error;
pub use head::{FlushedPosition, HeadSnapshot, Heads, Part};
pub use memory::MemorySource;
pub use merge::MergeSource;
pub use reads::{Read, Reads};
pub use request::{Columns, SeriesRequest};
pub use view::{Unchanging, Views};

/// Series in the order of [`duramen_model::Labels::cmp_in_block`], strictly ascending over the
/// whole stream: no label set twice. A batch may be empty.
pub type SeriesStream = Pin<Box<dyn Stream<Item = Result<SeriesBatch, Error>> + Send>>;

/// Something that holds series: the blocks of a bucket, a head, a merge of others, or memory for
/// tests.
///
/// An answer is complete or an error: a source that cannot read a part of what it holds fails the
/// request and names the part.
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
        walk::summaries(self, request).await
    }

    /// The names of the labels of the series that [`SeriesSource::select`] finds. `columns` and
    /// `batch_series_max` of the request mean nothing here.
    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        walk::label_names(self, request).await
    }

    /// The values of label `name` in the series that [`SeriesSource::select`] finds; series without
    /// the label add none.
    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        walk::label_values(self, request, name).await
    }

    /// No sample that the source holds of these tenants has a longer life span
    /// ([`duramen_model::Life::ttl_ms`]); 0 when none has any. A query looks so much further back.
    async fn ttl_max_ms(&self, tenants: &[TenantId]) -> Result<i64, Error>;
}

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesExemplars {
    pub labels: Labels,
    pub exemplars: Vec<Exemplar>,
}

/// How much there is of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesSummary {
    pub labels: Labels,
    pub floats: u64,
    pub histograms: u64,
    /// The first and the last time, both inclusive.
    pub first_ms: i64,
    pub last_ms: i64,
}

impl SeriesSummary {
    /// `None` for a series without samples.
    fn of(batch: &SeriesBatch, row: usize) -> Option<Self> {
        let (ts, _) = batch.samples_at(row);
        let floats = ts.len() as u64;
        let histograms = batch.histograms_at(row).len() as u64;

        let times = || {
            ts.iter()
                .copied()
                .chain(batch.histograms_at(row).map(|histogram| histogram.ts_ms))
        };

        let first_ms = times().min()?;
        let last_ms = times().max()?;
        let labels = Labels::from_encoded_trusted(batch.labels_at(row));

        Some(Self {
            labels,
            floats,
            histograms,
            first_ms,
            last_ms,
        })
    }
}
