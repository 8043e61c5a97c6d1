//! Which days rollups stand for. Pure.
//!
//! A rollup says of each of its days which raw blocks it was made of, by their contents. Samples
//! that come later are in blocks with other contents, so the rollup does not stand for the day any
//! more until it is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId, Content, RolledDay, TimeRange};

use crate::state::{RESOLUTIONS_MAX, State, Violation};

/// The rollups of one resolution, and the days that they stand for.
#[derive(Clone, Debug, Default)]
pub struct RolledDays {
    /// The blocks of each day: siblings.
    pub days: BTreeMap<i64, Vec<Arc<BlockEntry>>>,
}

/// The days that hold a range of time, by their starts.
pub fn days_of(range: TimeRange) -> impl Iterator<Item = i64> {
    let last = day_number(range.last_ms());
    (day_number(range.start_ms())..=last).map(start_of)
}

/// The start of the day that holds a time.
pub fn day_of(ts_ms: i64) -> i64 {
    start_of(day_number(ts_ms))
}

fn day_number(ts_ms: i64) -> i64 {
    ts_ms.div_euclid(RolledDay::LENGTH_MS)
}

/// The first day that 64 bits can name starts before the first time that they can, so its start is
/// that time.
fn start_of(day_number: i64) -> i64 {
    day_number.saturating_mul(RolledDay::LENGTH_MS)
}

/// The raw blocks of a state, by the days that they may have samples of.
#[derive(Debug, Default)]
pub struct RawDays<'s> {
    days: BTreeMap<i64, Vec<&'s Arc<BlockEntry>>>,
    /// The blocks of more than [`WIDE_DAYS`] days. No day lists them.
    wide: Vec<&'s Arc<BlockEntry>>,
}

/// A block of more days is compared with a day, and not listed for each of its own.
const WIDE_DAYS: i64 = 4_000;

impl<'s> RawDays<'s> {
    pub fn of(blocks: impl IntoIterator<Item = &'s Arc<BlockEntry>>) -> Self {
        let mut all = Self::default();

        for entry in blocks.into_iter().filter(|entry| has_samples(entry)) {
            let range = entry.stats.range();
            let days = day_number(range.last_ms()) - day_number(range.start_ms());

            if days > WIDE_DAYS {
                all.wide.push(entry);
                continue;
            }

            for day_ms in days_of(range) {
                all.days.entry(day_ms).or_default().push(entry);
            }
        }

        all
    }

    /// The starts of the days that a block lists, ascending.
    pub fn listed(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.days.keys().copied()
    }

    /// The starts of the listed days from one time to another, which is not in it, ascending.
    pub fn listed_in(&self, range_ms: Range<i64>) -> impl Iterator<Item = i64> {
        self.days.range(range_ms).map(|(day_ms, _)| *day_ms)
    }

    /// Whether there may be samples of a day.
    pub fn has(&self, day_ms: i64) -> bool {
        self.blocks_of(day_ms).next().is_some()
    }

    /// The blocks that may have samples of a day.
    pub fn blocks_of(&self, day_ms: i64) -> impl Iterator<Item = &'s Arc<BlockEntry>> {
        let listed = self.days.get(&day_ms).into_iter().flatten();
        let is_of_day = move |entry: &&&Arc<BlockEntry>| {
            let range = entry.stats.range();
            (day_of(range.start_ms())..=day_of(range.last_ms())).contains(&day_ms)
        };
        let wide = self.wide.iter().filter(is_of_day);

        listed.chain(wide).copied()
    }

    /// The contents of the blocks of a day.
    pub fn contents_of(&self, day_ms: i64) -> BTreeSet<Content> {
        self.blocks_of(day_ms).map(|entry| entry.content).collect()
    }
}

/// Whether a block has raw floats or histograms.
pub fn has_samples(entry: &BlockEntry) -> bool {
    entry.resolution_ms.is_none() && entry.stats.samples + entry.stats.histograms > 0
}

impl RolledDays {
    /// Returns the days of the resolution for which a rollup stands. `is_fit` says which rollups may
    /// be used.
    ///
    /// If several rollups stand for a day, the one that was made last counts.
    pub fn of<'a>(
        blocks: impl IntoIterator<Item = &'a Arc<BlockEntry>>,
        raw: &RawDays<'_>,
        resolution_ms: i64,
        is_fit: impl Fn(&BlockEntry) -> bool,
    ) -> Self {
        let rollups = blocks
            .into_iter()
            .filter(|entry| entry.resolution_ms == Some(resolution_ms));

        let mut outputs: BTreeMap<i64, BTreeMap<Content, Vec<Arc<BlockEntry>>>> = BTreeMap::new();

        for entry in rollups {
            for day in &entry.rolled {
                if day.stands_for(&raw.contents_of(day.start_ms)) {
                    let of_day = outputs.entry(day.start_ms).or_default();
                    let siblings = of_day.entry(entry.content).or_default();
                    siblings.push(Arc::clone(entry));
                }
            }
        }

        let days = outputs.into_iter().filter_map(|(day, outputs)| {
            let newest = outputs
                .into_values()
                .max_by_key(|siblings| siblings.iter().map(|entry| entry.id).max())?;

            newest
                .iter()
                .all(|entry| is_fit(entry))
                .then_some((day, newest))
        });

        Self {
            days: days.collect(),
        }
    }
}

/// Checks that rollups of these resolutions stand for all samples of the raw blocks that an edit
/// removes.
pub(crate) fn check_expiry(
    state: &State,
    removed: &BTreeSet<BlockId>,
    resolutions: &[i64],
) -> Result<(), Violation> {
    if resolutions.is_empty() {
        return Ok(());
    }

    if resolutions.len() > RESOLUTIONS_MAX {
        return Err(Violation::TooManyResolutions);
    }

    let raw = RawDays::of(state.blocks.values());
    let gone = removed.iter().filter_map(|id| state.blocks.get(id));
    let gone: Vec<_> = gone.filter(|entry| has_samples(entry)).collect();

    if let Some(entry) = gone.iter().find(|entry| entry.stats.histograms > 0) {
        return Err(Violation::HistogramsNotRolled { block: entry.id });
    }

    for resolution_ms in resolutions.iter().copied() {
        let stays = |entry: &BlockEntry| !removed.contains(&entry.id);
        let rolled = RolledDays::of(state.blocks.values(), &raw, resolution_ms, stays);

        for entry in &gone {
            let mut days = days_of(entry.stats.range());

            if let Some(day_ms) = days.find(|day| !rolled.days.contains_key(day)) {
                return Err(Violation::NotRolled {
                    block: entry.id,
                    day_ms,
                    resolution_ms,
                });
            }
        }
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use duramen_model::{BlockStats, Order, WriterId};
    use ulid::Ulid;

    use super::*;

    const DAY_MS: i64 = RolledDay::LENGTH_MS;

    /// A raw block with samples of the days from `first` to `last`.
    fn raw(id: u128, first: i64, last: i64) -> Arc<BlockEntry> {
        let order = Order {
            opened: 1,
            writer: WriterId(Ulid(1)),
            flush: 1,
        };
        let stats = BlockStats {
            series: 1,
            samples: 1,
            histograms: 0,
            exemplars: 0,
            families: 0,
            ttl_max_ms: 0,
            min_ts_ms: first * DAY_MS,
            max_ts_ms: last * DAY_MS + 5,
            names: None,
            files: Vec::new(),
            meta_bytes: 0,
            meta_crc32c: 0,
        };

        Arc::new(BlockEntry::of_flush(
            BlockId(Ulid(id)),
            order,
            Content(id),
            stats,
        ))
    }

    /// A rollup of a day, made of blocks with these contents.
    fn rollup(id: u128, day: i64, contents: &[u128]) -> Arc<BlockEntry> {
        let mut entry = BlockEntry::clone(&raw(id, day, day));
        entry.resolution_ms = Some(300_000);
        entry.rolled = vec![RolledDay {
            start_ms: day * DAY_MS,
            contents: contents.iter().copied().map(Content).collect(),
        }];
        Arc::new(entry)
    }

    fn rolled_days(blocks: &[Arc<BlockEntry>]) -> Vec<i64> {
        let raw = RawDays::of(blocks);
        let rolled = RolledDays::of(blocks, &raw, 300_000, |_| true);
        rolled.days.keys().map(|day_ms| day_ms / DAY_MS).collect()
    }

    #[test]
    fn days_are_named_by_their_starts_up_to_the_ends_of_time() {
        let range = TimeRange::new(-1, DAY_MS + 1).expect("a range");
        assert_eq!(days_of(range).collect::<Vec<_>>(), [-DAY_MS, 0, DAY_MS]);

        assert_eq!(days_of(TimeRange::ALL).next(), Some(i64::MIN));
        assert_eq!(day_of(i64::MIN), i64::MIN);
    }

    #[test]
    fn a_rollup_does_not_stand_for_late_samples() {
        let blocks = [raw(1, 3, 3), rollup(2, 3, &[1])];
        assert_eq!(rolled_days(&blocks), [3]);

        let late = [&blocks[..], &[raw(9, 3, 3)]].concat();
        assert_eq!(rolled_days(&late), [0; 0]);
    }

    #[test]
    fn samples_in_a_block_of_very_many_days_count_for_each() {
        let wide = raw(9, 0, 3 * WIDE_DAYS);
        let day = 2 * WIDE_DAYS;
        let blocks = [
            raw(1, day, day),
            rollup(2, day, &[1]),
            raw(3, -5, -5),
            rollup(4, -5, &[3]),
            wide,
        ];

        assert_eq!(rolled_days(&blocks), [-5]);

        let days = RawDays::of(&blocks);
        assert!(days.has(3 * WIDE_DAYS * DAY_MS) && !days.has((3 * WIDE_DAYS + 1) * DAY_MS));
        assert_eq!(days.contents_of(day * DAY_MS).len(), 2);
    }

    #[test]
    fn an_edit_names_few_resolutions() {
        let state = State::default();
        let check = |count: i64| {
            let resolutions: Vec<i64> = (1..=count).collect();
            check_expiry(&state, &BTreeSet::new(), &resolutions)
        };

        assert_eq!(check(8), Ok(()));
        assert_eq!(check(9), Err(Violation::TooManyResolutions));
    }
}
