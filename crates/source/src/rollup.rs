//! Rollups: what buckets of time tell of the floats of a series, in place of the samples.
//!
//! A bucket of the resolution R is `(kR, (k + 1)R]`: open at its start, closed at its end, as the
//! ranges of PromQL are. It is named by its end.
//!
//! - [`RollupSource`]: a source that has rollups.
//! - [`row`]: one bucket of one series, made of samples. Pure.
//! - [`batch`]: series with their rows.
//! - [`made`]: rows that are made of the samples of a source while they are read.
//! - [`joined`]: the rows of several sources of different times as one stream.
//! - [`hidden`]: rows without those that deletions hide, or that are of other days.

pub mod batch;
pub mod hidden;
pub mod joined;
pub mod made;
pub mod row;

use std::pin::Pin;

use async_trait::async_trait;
use duramen_model::TimeRange;
use futures::Stream;

use crate::error::Error;
use crate::request::SeriesRequest;
use batch::RollupBatch;

/// The resolution of 5 minutes.
pub const FIVE_MINUTES_MS: i64 = 5 * 60 * 1000;

/// The resolution of an hour.
pub const HOUR_MS: i64 = 60 * 60 * 1000;

/// The resolutions of the rollups that are made, ascending.
pub const RESOLUTIONS_MS: [i64; 2] = [FIVE_MINUTES_MS, HOUR_MS];

/// What a [`crate::SeriesSource`] has beside its samples.
#[async_trait]
pub trait RollupSource: Send + Sync {
    /// A coverage for each resolution, ascending.
    async fn coverage(&self) -> Result<Vec<Coverage>, Error>;

    /// The rows of the series that pass all matchers, of the resolution, in the order of a block:
    /// those of rollups where there are some, and elsewhere rows that are made of the samples. They
    /// stand for all floats in the range. A row whose bucket the range cuts may stand for floats
    /// outside of it, too. Only the parts that are wanted need be there, the others may be 0.
    /// `columns` and `batch_series_max` of the request are ignored.
    async fn rows(
        &self,
        request: &SeriesRequest,
        wanted: WantedRollups,
    ) -> Result<RollupStream, Error>;
}

/// Batches of series with their rows, in the order of a block. Each series comes once.
pub type RollupStream = Pin<Box<dyn Stream<Item = Result<RollupBatch, Error>> + Send>>;

/// Which rows of rollups are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedRollups {
    pub resolution_ms: i64,
    pub parts: RowParts,
}

/// Which parts of a row are used: besides its end, its number of floats and of histograms, and the
/// times of the first float and of the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowParts {
    /// The first and the last value.
    pub ends: bool,
    /// The smallest and the largest value.
    pub extremes: bool,
    pub sum: bool,
    pub corrections: bool,
    /// The numbers of resets and changes.
    pub steps: bool,
    /// The time of the stale marker.
    pub stale: bool,
}

impl RowParts {
    pub const ALL: Self = Self {
        ends: true,
        extremes: true,
        sum: true,
        corrections: true,
        steps: true,
        stale: true,
    };

    pub const NONE: Self = Self {
        ends: false,
        extremes: false,
        sum: false,
        corrections: false,
        steps: false,
        stale: false,
    };
}

/// Which times a source can answer from rollups of one resolution, and from which it has nothing
/// else any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub resolution_ms: i64,
    /// The times of the samples that the rollups stand for, ascending and apart.
    pub covered: Vec<TimeRange>,
    /// Those of which the samples are gone, ascending.
    pub alone: Vec<TimeRange>,
}

impl Coverage {
    /// Whether any of `range` can be answered from these rollups.
    pub fn touches(&self, range: TimeRange) -> bool {
        self.covered.iter().any(|covered| covered.overlaps(range))
    }

    /// Leaves out the times that are not kept. Rollups are kept from `rollups_ms` on, and samples
    /// from `samples_ms` on, which is not earlier.
    pub(crate) fn keep(&mut self, rollups_ms: i64, samples_ms: i64) {
        let from = |from_ms: i64| {
            move |range: &TimeRange| TimeRange::new(range.start_ms().max(from_ms), range.end_ms())
        };
        let expired = TimeRange::new(i64::MIN, samples_ms);
        let is_gone = |range: &TimeRange| expired.and_then(|expired| range.intersect(expired));

        self.covered = self.covered.iter().filter_map(from(rollups_ms)).collect();
        let gone: Vec<TimeRange> = self.covered.iter().filter_map(is_gone).collect();

        self.alone = self.alone.iter().filter_map(from(rollups_ms)).collect();
        self.alone.extend(gone);
        self.alone.sort_by_key(|range| range.start_ms());
    }

    /// Whether the samples of a part of `range` are gone.
    pub fn is_alone_in(&self, range: TimeRange) -> bool {
        self.alone.iter().any(|alone| alone.overlaps(range))
    }
}

/// The parts of `range` that none of `covered` holds, ascending. `covered` ascend and are apart.
pub fn uncovered(range: TimeRange, covered: &[TimeRange]) -> Vec<TimeRange> {
    let mut rest = Vec::new();
    let mut start_ms = range.start_ms();

    for one in covered {
        let end_ms = one.start_ms().min(range.end_ms());
        rest.extend(TimeRange::new(start_ms, end_ms));
        start_ms = start_ms.max(one.end_ms());
    }

    let end_ms = range.end_ms();
    rest.extend(TimeRange::new(start_ms, end_ms));
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_covered_is_the_rest() {
        let range = |start, end| TimeRange::new(start, end).expect("a range");
        let covered = [range(10, 20), range(20, 30), range(50, 60)];

        assert_eq!(
            uncovered(range(0, 100), &covered),
            [range(0, 10), range(30, 50), range(60, 100)]
        );
        assert_eq!(uncovered(range(12, 28), &covered), []);
        assert_eq!(uncovered(range(55, 70), &covered), [range(60, 70)]);
        assert_eq!(uncovered(range(0, 5), &[]), [range(0, 5)]);
    }

    #[test]
    fn rollups_that_are_not_kept_cover_nothing() {
        let range = |start, end| TimeRange::new(start, end).expect("a range");
        let mut coverage = Coverage {
            resolution_ms: 10,
            covered: vec![range(0, 100), range(200, 300)],
            alone: vec![range(0, 20), range(30, 50)],
        };

        coverage.keep(40, 250);

        assert_eq!(coverage.covered, [range(40, 100), range(200, 300)]);
        assert_eq!(
            coverage.alone,
            [range(40, 50), range(40, 100), range(200, 250)]
        );

        coverage.keep(400, 400);
        assert_eq!((coverage.covered.len(), coverage.alone.len()), (0, 0));
    }
}
