//! What a writer takes for one series.

use duramen_model::{Exemplar, Life};
use duramen_source::rollup::row::RollupRow;
use duramen_source::{HistogramRef, SeriesBatch};

/// The labels of a series or of an exemplar, or a text of a metric family, have at most so many
/// bytes. A value is never cut over two pages, so this bounds what a reader must accept.
pub(crate) const LABELS_BYTES_MAX: usize = 16 << 20;
/// A histogram has at most so many bytes, and each of its counts takes at least one.
const HISTOGRAM_BYTES_MAX: usize = 4 << 20;

/// Everything that a block holds of one series. There must be a float, a histogram or an exemplar.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeriesContents<'a> {
    /// The times of the floats, strictly ascending.
    pub ts_ms: &'a [i64],
    /// The values of the floats, one for each time.
    pub values: &'a [f64],
    /// The life span of each float; empty if no float has one.
    pub lives: &'a [Life],
    /// The histograms. Their times ascend strictly, and none of them is in `ts_ms`.
    pub histograms: &'a [HistogramRef<'a>],
    /// The exemplars. Their times ascend, and no two are equal.
    pub exemplars: &'a [Exemplar],
    /// What buckets of time tell of samples, in place of the samples themselves.
    pub rollups: &'a [RollupRow],
}

impl<'a> SeriesContents<'a> {
    /// Returns contents with floats only, without life spans.
    pub fn floats(ts_ms: &'a [i64], values: &'a [f64]) -> Self {
        Self {
            ts_ms,
            values,
            ..Self::default()
        }
    }

    /// Returns contents with rows of rollups only, in the order of time.
    pub fn rollups(rows: &'a [RollupRow]) -> Self {
        Self {
            rollups: rows,
            ..Self::default()
        }
    }

    /// Returns the first rule that the contents break.
    pub(crate) fn broken_rule(&self) -> Option<&'static str> {
        let Self {
            ts_ms,
            values,
            lives,
            histograms,
            exemplars,
            rollups,
        } = self;

        let rules = [
            (
                ts_ms.len() == values.len(),
                "times and values differ in number",
            ),
            (
                lives.is_empty() || lives.len() == ts_ms.len(),
                "times and life spans differ in number",
            ),
            (
                ts_ms.is_sorted_by(|a, b| a < b),
                "times of floats do not ascend",
            ),
            (
                histograms.is_sorted_by(|a, b| a.ts_ms < b.ts_ms),
                "times of histograms do not ascend",
            ),
            (
                !self.shares_a_time(),
                "a time has both a float and a histogram",
            ),
            (
                exemplars.is_sorted_by(|a, b| a.ts_ms <= b.ts_ms && a != b),
                "exemplars do not ascend, or one comes twice",
            ),
            (
                histograms
                    .iter()
                    .all(|histogram| histogram.bytes.len() <= HISTOGRAM_BYTES_MAX),
                "a histogram has more than 4 MiB",
            ),
            (
                exemplars
                    .iter()
                    .all(|exemplar| exemplar.labels.encoded().len() <= LABELS_BYTES_MAX),
                "the labels of an exemplar have more than 16 MiB",
            ),
            (
                rollups.is_sorted_by_key(RollupRow::place),
                "buckets do not ascend",
            ),
            (
                rollups.is_empty() || ts_ms.is_empty() && histograms.is_empty(),
                "the series has both samples and buckets",
            ),
            (
                i32::try_from(ts_ms.len() + histograms.len() + rollups.len()).is_ok(),
                "the series has 2^31 samples",
            ),
        ];

        rules
            .into_iter()
            .find(|(holds, _)| !holds)
            .map(|(_, rule)| rule)
    }

    /// The first and the last time of floats and histograms, those in buckets too. `None` if there
    /// are only exemplars.
    pub(crate) fn span_ms(&self) -> Option<(i64, i64)> {
        let ends = |first: Option<i64>, last: Option<i64>| first.zip(last);
        let floats = ends(self.ts_ms.first().copied(), self.ts_ms.last().copied());
        let time = |histogram: &HistogramRef<'_>| histogram.ts_ms;

        let histograms = ends(
            self.histograms.first().map(time),
            self.histograms.last().map(time),
        );
        let rollups = self.rollups.iter().map(RollupRow::span_ms);

        join(join(floats, histograms), rollups.fold(None, join))
    }

    /// The first and the last time of the exemplars.
    pub(crate) fn exemplars_span_ms(&self) -> Option<(i64, i64)> {
        Some((self.exemplars.first()?.ts_ms, self.exemplars.last()?.ts_ms))
    }

    /// Whether any histogram has the time of a float. Both lists must ascend.
    fn shares_a_time(&self) -> bool {
        self.histograms
            .iter()
            .any(|histogram| self.ts_ms.binary_search(&histogram.ts_ms).is_ok())
    }
}

/// The columns of a series of a batch that [`SeriesContents`] has in another form.
pub(crate) struct OwnedContents<'a> {
    lives: Vec<Life>,
    histograms: Vec<HistogramRef<'a>>,
}

impl<'a> OwnedContents<'a> {
    /// Reads series `row` of `batch`.
    pub(crate) fn of(batch: &'a SeriesBatch, row: usize) -> Self {
        Self {
            lives: lives_at(batch, row),
            histograms: batch.histograms_at(row).collect(),
        }
    }

    /// Returns the contents of the same series. A batch has no exemplars.
    pub(crate) fn contents(
        &'a self,
        batch: &'a SeriesBatch,
        row: usize,
        exemplars: &'a [Exemplar],
    ) -> SeriesContents<'a> {
        let (ts_ms, values) = batch.samples_at(row);

        SeriesContents {
            ts_ms,
            values,
            lives: &self.lives,
            histograms: &self.histograms,
            exemplars,
            rollups: &[],
        }
    }
}

/// Returns the life span of each float of series `row`. Empty if no float of the batch has one.
fn lives_at(batch: &SeriesBatch, row: usize) -> Vec<Life> {
    let starts = batch.starts_at(row);
    let ttls = batch.ttls_at(row);

    if starts.is_none() && ttls.is_none() {
        return Vec::new();
    }

    let (ts_ms, _) = batch.samples_at(row);
    let value = |column: Option<&[i64]>, at: usize| column.map_or(0, |column| column[at]);

    (0..ts_ms.len())
        .map(|at| Life {
            start_ms: value(starts, at),
            ttl_ms: value(ttls, at),
        })
        .collect()
}

/// Returns the span that covers both.
pub(crate) fn join(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}
