//! The samples of one series in one generation: floats and histograms. Each time has one of the
//! two.

use duramen_model::Life;

use super::chunk::{Chunk, ChunkAt, Length, Pushed};
use super::histograms::{Histograms, StoredHistogram};
use super::moments::MomentNumber;
#[cfg(test)]
use super::moments::NOW;

/// The floats and histograms of one series in one generation.
#[derive(Debug, Default)]
pub(crate) struct SeriesSamples {
    /// The floats, and beside them the histograms.
    floats: Chunk,
}

const _: () = assert!(
    size_of::<SeriesSamples>() == 56,
    "what a series of plain floats takes beside its bytes"
);

/// A series as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesAt<'a> {
    floats: ChunkAt<'a>,
    histograms: Option<&'a Histograms>,
    moment: MomentNumber,
}

impl SeriesSamples {
    /// Pushes a float, which moments up to `since` do not see.
    pub(crate) fn push(
        &mut self,
        ts_ms: i64,
        value: f64,
        life: Life,
        since: MomentNumber,
    ) -> Pushed {
        if let Some(histograms) = self.floats.histograms()
            && histograms.by_time.contains_key(&ts_ms)
        {
            return Pushed::Conflict;
        }
        self.floats.push(ts_ms, value, life, since)
    }

    /// Pushes a histogram, which moments up to `since` do not see. Equal bytes are the same
    /// histogram, whatever its life: the first life stays.
    pub(crate) fn push_histogram(
        &mut self,
        ts_ms: i64,
        life: Life,
        bytes: Vec<u8>,
        since: MomentNumber,
    ) -> Pushed {
        if self.floats.find(ts_ms).is_some() {
            return Pushed::Conflict;
        }

        let histograms = self.floats.histograms_mut();
        if let Some(stored) = histograms.by_time.get(&ts_ms) {
            return if *stored.bytes == *bytes {
                Pushed::Repeated
            } else {
                Pushed::Conflict
            };
        }

        histograms.bytes += bytes.len();
        histograms.by_time.insert(
            ts_ms,
            StoredHistogram {
                life,
                bytes: bytes.into_boxed_slice(),
                since,
            },
        );

        Pushed::Stored
    }

    /// Returns the number of floats that came in order, with the time of the last one. It is saved
    /// for moments before more floats come.
    pub(crate) const fn length(&self) -> Length {
        self.floats.length()
    }

    /// Returns the series with all its samples.
    #[cfg(test)]
    pub(crate) fn now(&self) -> SeriesAt<'_> {
        SeriesAt {
            floats: self.floats.now(),
            histograms: self.floats.histograms(),
            moment: NOW,
        }
    }

    /// Returns the series as it was at `moment`, when its floats had this length.
    pub(crate) fn at(&self, length: Length, moment: MomentNumber) -> SeriesAt<'_> {
        SeriesAt {
            floats: self.floats.at(length, moment),
            histograms: self.floats.histograms(),
            moment,
        }
    }

    /// Returns the memory of the series in bytes, roughly.
    pub(crate) fn memory(&self) -> usize {
        self.floats.memory()
    }
}

impl<'a> SeriesAt<'a> {
    pub(crate) const fn floats(self) -> ChunkAt<'a> {
        self.floats
    }

    /// Returns the histograms by ascending time.
    pub(crate) fn histograms(self) -> impl DoubleEndedIterator<Item = (i64, &'a StoredHistogram)> {
        let all = self
            .histograms
            .into_iter()
            .flat_map(|histograms| histograms.by_time.iter());

        all.filter(move |(_, stored)| stored.since < self.moment)
            .map(|(ts_ms, stored)| (*ts_ms, stored))
    }

    pub(crate) fn histogram_count(self) -> usize {
        self.histograms().count()
    }

    /// Returns the first and the last time, or `None` if there are no samples.
    pub(crate) fn span(self) -> Option<(i64, i64)> {
        let first = self.histograms().next();
        let last = self.histograms().next_back();
        let of_histograms = first.zip(last).map(|(first, last)| (first.0, last.0));

        match (self.floats.span(), of_histograms) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn push(series: &mut SeriesSamples, ts_ms: i64, byte: u8) -> Pushed {
        series.push_histogram(ts_ms, Life::NONE, vec![byte; 3], 0)
    }

    #[test]
    fn a_time_is_held_by_a_float_or_by_a_histogram() {
        let mut series = SeriesSamples::default();
        assert_eq!(push(&mut series, 0, 1), Pushed::Stored);
        assert_eq!(series.push(0, 0.0, Life::NONE, 0), Pushed::Conflict);
        assert_eq!(series.push(20, 2.0, Life::NONE, 0), Pushed::Stored);
        assert_eq!(series.push(10, 1.0, Life::NONE, 0), Pushed::Stored);

        for ts_ms in [10, 20] {
            assert_eq!(push(&mut series, ts_ms, 1), Pushed::Conflict);
        }

        assert_eq!(push(&mut series, 30, 1), Pushed::Stored);
        assert_eq!(push(&mut series, 30, 1), Pushed::Repeated);
        assert_eq!(push(&mut series, 30, 2), Pushed::Conflict);
        assert_eq!(series.push(30, 2.0, Life::NONE, 0), Pushed::Conflict);

        assert_eq!(
            (
                series.now().floats().len(),
                series.now().histogram_count(),
                series.now().span()
            ),
            (2, 2, Some((0, 30)))
        );
    }

    #[test]
    fn another_life_is_no_other_sample_and_the_first_stays() {
        let mut series = SeriesSamples::default();
        let life = |ttl_ms| Life {
            start_ms: 1,
            ttl_ms,
        };

        assert_eq!(
            series.push_histogram(5, life(2), vec![7], 0),
            Pushed::Stored
        );

        assert_eq!(
            series.push_histogram(5, life(3), vec![7], 0),
            Pushed::Repeated
        );

        assert_eq!(series.push(6, 1.0, life(4), 0), Pushed::Stored);
        assert_eq!(series.push(6, 1.0, life(5), 0), Pushed::Repeated);

        let held: Vec<_> = series
            .now()
            .histograms()
            .map(|(ts_ms, held)| (ts_ms, held.life))
            .collect();

        assert_eq!(held, [(5, life(2))]);

        series
            .now()
            .floats()
            .for_each(|ts_ms, _, held| assert_eq!((ts_ms, held), (6, life(4))));
    }

    proptest! {
        #[test]
        fn the_first_of_a_time_stays_whatever_its_kind(offered in prop::collection::vec((0..40i64, 0..3u8, any::<bool>()), 0..200)) {
            let mut series = SeriesSamples::default();
            let mut model = BTreeMap::new();

            for (ts_ms, value, is_float) in offered {
                let expected = match model.get(&ts_ms) {
                    None => Pushed::Stored,
                    Some(held) if *held == (value, is_float) => Pushed::Repeated,
                    Some(_) => Pushed::Conflict,
                };

                model.entry(ts_ms).or_insert((value, is_float));

                let before = series.memory();
                let pushed = if is_float {
                    series.push(ts_ms, f64::from(value), Life::NONE, 0)
                } else {
                    push(&mut series, ts_ms, value)
                };

                prop_assert_eq!(pushed, expected);
                prop_assert!(series.memory() >= before);
            }

            let mut held = BTreeMap::new();
            series.now().floats().for_each(|ts, value, _| assert!(held.insert(ts, (value, true)).is_none()));

            for (ts_ms, histogram) in series.now().histograms() {
                prop_assert!(held.insert(ts_ms, (f64::from(histogram.bytes[0]), false)).is_none());
            }

            let expected: BTreeMap<_, _> = model.into_iter().map(|(ts, (v, kind))| (ts, (f64::from(v), kind))).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
