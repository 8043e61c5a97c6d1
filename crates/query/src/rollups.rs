//! Which days of a tenant can be answered from rollups, as its manifest says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_manifest::rollups::raw_contents;
use duramen_manifest::{RolledDays, State};
use duramen_model::{BlockEntry, RolledDay, TenantId, TimeRange};
use duramen_source::Coverage;
use parking_lot::Mutex;

/// The rollups of a tenant, in one state of its manifest.
#[derive(Debug, Default)]
pub(crate) struct TenantRollups {
    /// The days that may be answered from rollups, by resolution.
    resolutions: BTreeMap<i64, RolledDays>,
    /// The days of which there are raw samples.
    raw: BTreeSet<i64>,
}

/// A block of rollups, and the days that are read of it.
pub(crate) struct RollupPart {
    pub(crate) entry: Arc<BlockEntry>,
    pub(crate) days: BTreeSet<i64>,
}

impl TenantRollups {
    fn of(state: &State) -> Self {
        let blocks = || state.blocks.values();
        let resolutions: BTreeSet<i64> = blocks()
            .filter(|entry| !entry.rolled.is_empty())
            .filter_map(|entry| entry.resolution_ms)
            .collect();

        if resolutions.is_empty() {
            return Self::default();
        }

        let raw = raw_contents(blocks());
        // A rollup that has deleted samples is used only if its samples are gone. Its rows are
        // masked then.
        let is_fit = |entry: &BlockEntry| {
            let mut days = entry.rolled.iter();
            let is_alone = !days.any(|day| raw.contains_key(&day.start_ms));
            is_alone || state.deletions.touching(entry).next().is_none()
        };

        let rolled = resolutions.into_iter().map(|resolution_ms| {
            let days = RolledDays::of(blocks(), &raw, resolution_ms, is_fit);
            (resolution_ms, days)
        });

        Self {
            resolutions: rolled.collect(),
            raw: raw.into_keys().collect(),
        }
    }

    pub(crate) fn coverage(&self) -> Vec<Coverage> {
        let resolutions = self.resolutions.iter();

        resolutions
            .map(|(resolution_ms, rolled)| {
                let is_alone = |day: &&i64| !self.raw.contains(*day);

                Coverage {
                    resolution_ms: *resolution_ms,
                    covered: ranges(rolled.days.keys()),
                    alone: ranges(rolled.days.keys().filter(is_alone)),
                }
            })
            .collect()
    }

    /// Returns the times of a range that rollups of the resolution stand for.
    pub(crate) fn covered(&self, resolution_ms: i64, range: TimeRange) -> Vec<TimeRange> {
        let rolled = self.resolutions.get(&resolution_ms);
        let days = rolled.into_iter().flat_map(|rolled| rolled.days.keys());
        let in_range = days.filter(|day| day_range(**day).overlaps(range));
        ranges(in_range)
    }

    /// Returns the blocks to read for a range, and the days of each.
    pub(crate) fn parts(&self, resolution_ms: i64, range: TimeRange) -> Vec<RollupPart> {
        let rolled = self.resolutions.get(&resolution_ms);
        let days = rolled.into_iter().flat_map(|rolled| &rolled.days);
        let in_range = days.filter(|(day, _)| day_range(**day).overlaps(range));

        let mut parts = BTreeMap::new();

        for (day, blocks) in in_range {
            for entry in blocks {
                let part = parts.entry(entry.id).or_insert_with(|| RollupPart {
                    entry: Arc::clone(entry),
                    days: BTreeSet::new(),
                });
                part.days.insert(*day);
            }
        }

        parts.into_values().collect()
    }

    /// Returns rollups of the days in a range of which the samples are gone. They name the series
    /// that these had.
    pub(crate) fn alone(&self, range: TimeRange) -> Vec<Arc<BlockEntry>> {
        let mut alone = BTreeMap::new();

        for rolled in self.resolutions.values() {
            let days = rolled.days.iter();
            let gone = days
                .filter(|(day, _)| !self.raw.contains(*day) && day_range(**day).overlaps(range));

            // Of several resolutions the last one is kept for the longest time.
            for (day, blocks) in gone {
                alone.insert(*day, blocks);
            }
        }

        let blocks = alone.into_values().flatten();
        let distinct: BTreeMap<_, _> = blocks.map(|entry| (entry.id, entry)).collect();
        distinct.into_values().cloned().collect()
    }
}

fn day_range(start_ms: i64) -> TimeRange {
    let day = RolledDay {
        start_ms,
        contents: Vec::new(),
    };
    day.range()
}

/// Joins days, ascending, to ranges that are apart.
fn ranges<'a>(days: impl IntoIterator<Item = &'a i64>) -> Vec<TimeRange> {
    let mut ranges: Vec<TimeRange> = Vec::new();

    for day in days {
        let day = day_range(*day);

        match ranges.last_mut() {
            Some(last) if last.end_ms() == day.start_ms() => *last = last.union(day),
            _ => ranges.push(day),
        }
    }

    ranges
}

/// Keeps what was found for the last state of each tenant.
#[derive(Debug, Default)]
pub(crate) struct KnownRollups(Mutex<BTreeMap<TenantId, (u64, Arc<TenantRollups>)>>);

impl KnownRollups {
    /// Returns the rollups of a tenant in `state`. A past state is not kept.
    pub(crate) fn of(&self, tenant: TenantId, state: &State, is_past: bool) -> Arc<TenantRollups> {
        if is_past {
            return Arc::new(TenantRollups::of(state));
        }

        if let Some((sequence, known)) = self.0.lock().get(&tenant)
            && *sequence == state.sequence
        {
            return Arc::clone(known);
        }

        let found = Arc::new(TenantRollups::of(state));
        let known = (state.sequence, Arc::clone(&found));
        self.0.lock().insert(tenant, known);
        found
    }
}
