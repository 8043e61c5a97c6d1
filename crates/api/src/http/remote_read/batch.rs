//! The samples of one series of a batch, within the range of the request.

use duramen_model::{Histogram, Labels, TimeRange};
use duramen_query::Error;
use duramen_source::{HistogramRef, SeriesBatch};

/// One sample of a series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sample<'a> {
    Float(i64, f64),
    Histogram(HistogramRef<'a>),
}

/// One series of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series<'a> {
    batch: &'a SeriesBatch,
    row: usize,
    range: TimeRange,
}

impl<'a> Series<'a> {
    /// Returns all series of a batch, limited to their samples in `range`.
    pub(super) fn all(batch: &'a SeriesBatch, range: TimeRange) -> impl Iterator<Item = Self> {
        (0..batch.len()).map(move |row| Self { batch, row, range })
    }

    /// Returns the labels in their encoded form.
    pub(super) fn labels(self) -> &'a [u8] {
        self.batch.labels_at(self.row)
    }

    pub(super) fn floats(self) -> impl Iterator<Item = (i64, f64)> + use<'a> {
        let (ts, values) = self.batch.samples_at(self.row);
        let first = ts.partition_point(|ts_ms| *ts_ms < self.range.start_ms());
        let end = ts.partition_point(|ts_ms| *ts_ms < self.range.end_ms());

        ts[first..end]
            .iter()
            .copied()
            .zip(values[first..end].iter().copied())
    }

    pub(super) fn histograms(self) -> impl Iterator<Item = HistogramRef<'a>> + use<'a> {
        let range = self.range;
        self.batch
            .histograms_at(self.row)
            .filter(move |histogram| range.contains(histogram.ts_ms))
    }

    /// Returns floats and histograms in the order of time.
    pub(super) fn samples(self) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        let mut floats = self.floats().peekable();
        let mut histograms = self.histograms().peekable();

        std::iter::from_fn(move || {
            let float_is_next = match (floats.peek(), histograms.peek()) {
                (Some((ts_ms, _)), Some(histogram)) => *ts_ms <= histogram.ts_ms,
                (float, _) => float.is_some(),
            };

            if float_is_next {
                floats
                    .next()
                    .map(|(ts_ms, value)| Sample::Float(ts_ms, value))
            } else {
                histograms.next().map(Sample::Histogram)
            }
        })
    }

    /// Decodes a histogram of the batch.
    pub(super) fn histogram(self, held: HistogramRef<'_>) -> Result<Histogram, Error> {
        Histogram::from_bytes(held.bytes).ok_or_else(|| self.misfit(held.ts_ms))
    }

    /// Returns the error for a stored histogram that cannot be decoded.
    pub(super) fn misfit(self, ts_ms: i64) -> Error {
        Error::Histogram {
            series: Labels::from_encoded_trusted(self.labels()).to_string(),
            ts_ms,
        }
    }
}
