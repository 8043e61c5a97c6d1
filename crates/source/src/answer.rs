//! The answers of a source.

use std::pin::Pin;

use duramen_model::{Exemplar, Labels};
use futures::Stream;

use crate::batch::SeriesBatch;
use crate::error::Error;

/// A stream of batches. Series strictly ascend over the whole stream, in the order of
/// [`duramen_model::Labels::cmp_in_block`], so no label set occurs twice. A batch may be empty.
pub type SeriesStream = Pin<Box<dyn Stream<Item = Result<SeriesBatch, Error>> + Send>>;

/// What labels take in memory besides their bytes: the counts of their owners, and rounding.
const LABELS_BYTES: usize = 24;

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesExemplars {
    pub labels: Labels,
    pub exemplars: Vec<Exemplar>,
}

/// The number of samples of one series, and their time range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesSummary {
    pub labels: Labels,
    pub floats: u64,
    pub histograms: u64,
    /// The time of the first and the last sample, both inclusive.
    pub first_ms: i64,
    pub last_ms: i64,
}

impl SeriesExemplars {
    /// Roughly what a series takes besides its encoded labels and its exemplars.
    pub const BYTES: usize = size_of::<Self>() + LABELS_BYTES;
    /// Roughly what an exemplar takes besides its encoded labels.
    pub const EXEMPLAR_BYTES: usize = size_of::<Exemplar>() + LABELS_BYTES;

    /// Roughly what the series takes.
    pub fn bytes(&self) -> usize {
        let labels: usize = self
            .exemplars
            .iter()
            .map(|exemplar| exemplar.labels.encoded().len())
            .sum();

        Self::BYTES
            + self.labels.encoded().len()
            + self.exemplars.len() * Self::EXEMPLAR_BYTES
            + labels
    }
}

impl SeriesSummary {
    /// Roughly what a summary takes besides its encoded labels.
    pub const BYTES: usize = size_of::<Self>() + LABELS_BYTES;

    /// The summary of series `row`; `None` for a series without samples.
    pub(crate) fn of(batch: &SeriesBatch, row: usize) -> Option<Self> {
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
