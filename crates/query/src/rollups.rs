//! Which days of a tenant can be answered from rollups, as its manifest says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_manifest::rollups::{RawDays, day_of};
use duramen_manifest::{RolledDays, State};
use duramen_model::{BlockEntry, RolledDay, TenantId, TimeRange};
use duramen_source::Coverage;
use parking_lot::Mutex;

/// The rollups of a tenant, in one state of its manifest.
#[derive(Debug, Default)]
pub(crate) struct TenantRollups {
    /// The days that may be answered from rollups, by resolution.
    resolutions: BTreeMap<i64, RolledDays>,
    coverage: Vec<Coverage>,
    /// The days of which the samples are gone, with rollups that name their series.
    alone: BTreeMap<i64, Vec<Arc<BlockEntry>>>,
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

        let raw = RawDays::of(blocks());
        // A rollup that has deleted samples is used only if its samples are gone. Its rows are
        // masked then.
        let is_fit = |entry: &BlockEntry| {
            let mut days = entry.rolled.iter();
            let is_alone = !days.any(|day| raw.has(day.start_ms));
            is_alone || state.deletions.touching(entry).next().is_none()
        };

        let mut all = Self::default();

        for resolution_ms in resolutions {
            let rolled = RolledDays::of(blocks(), &raw, resolution_ms, is_fit);
            all.add(resolution_ms, rolled, &raw);
        }

        all
    }

    /// Adds the rollups of the next longer resolution. Of several resolutions the last one is kept
    /// for the longest time, so it names the series.
    fn add(&mut self, resolution_ms: i64, rolled: RolledDays, raw: &RawDays<'_>) {
        let days = rolled.days.iter();
        let alone: BTreeMap<_, _> = days.filter(|(day_ms, _)| !raw.has(**day_ms)).collect();

        self.coverage.push(Coverage {
            resolution_ms,
            covered: ranges(rolled.days.keys()),
            alone: ranges(alone.keys().copied()),
        });

        let alone = alone.into_iter();
        self.alone
            .extend(alone.map(|(day_ms, blocks)| (*day_ms, blocks.clone())));
        self.resolutions.insert(resolution_ms, rolled);
    }

    /// A coverage for each resolution, ascending.
    pub(crate) fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// Returns the blocks to read for a range, and the days of each.
    pub(crate) fn parts(&self, resolution_ms: i64, range: TimeRange) -> Vec<RollupPart> {
        let rolled = self.resolutions.get(&resolution_ms);
        let in_range = rolled
            .into_iter()
            .flat_map(|rolled| within(&rolled.days, range));

        let mut parts = BTreeMap::new();

        for (day_ms, blocks) in in_range {
            for entry in blocks {
                let part = parts.entry(entry.id).or_insert_with(|| RollupPart {
                    entry: Arc::clone(entry),
                    days: BTreeSet::new(),
                });
                part.days.insert(*day_ms);
            }
        }

        parts.into_values().collect()
    }

    /// Returns the times that rollups of a resolution stand for, ascending and apart.
    pub(crate) fn covered(&self, resolution_ms: i64) -> &[TimeRange] {
        let mut all = self.coverage.iter();
        let found = all.find(|coverage| coverage.resolution_ms == resolution_ms);
        found.map_or(&[], |coverage| &coverage.covered)
    }

    /// Returns rollups of the days in a range of which the samples are gone. They name the series
    /// that these had.
    pub(crate) fn alone(&self, range: TimeRange) -> Vec<Arc<BlockEntry>> {
        let blocks = within(&self.alone, range).flat_map(|(_, blocks)| blocks);
        let distinct: BTreeMap<_, _> = blocks.map(|entry| (entry.id, entry)).collect();
        distinct.into_values().cloned().collect()
    }
}

/// Returns the days that a range meets.
fn within<T>(days: &BTreeMap<i64, T>, range: TimeRange) -> impl Iterator<Item = (&i64, &T)> {
    days.range(day_of(range.start_ms())..range.end_ms())
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
