//! Which days rollups stand for. Pure.
//!
//! A rollup says of each of its days which raw blocks it was made of, by their contents. Samples
//! that come later are in blocks with other contents, so the rollup does not stand for the day any
//! more until it is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId, Content, RolledDay, TimeRange};

use crate::state::{State, Violation};

/// The rollups of one resolution, and the days that they stand for.
#[derive(Clone, Debug, Default)]
pub struct RolledDays {
    /// The blocks of each day: siblings.
    pub days: BTreeMap<i64, Vec<Arc<BlockEntry>>>,
}

/// The days that hold a range of time, by their starts.
pub fn days_of(range: TimeRange) -> impl Iterator<Item = i64> {
    let day = |ts_ms: i64| ts_ms.div_euclid(RolledDay::LENGTH_MS);
    (day(range.start_ms())..=day(range.last_ms())).map(|day| day * RolledDay::LENGTH_MS)
}

/// The contents of the raw blocks that have samples of each day. A block with times of very many
/// days counts for the first and the last [`WIDE_DAYS_MAX`] of them.
pub fn raw_contents<'a>(
    blocks: impl IntoIterator<Item = &'a Arc<BlockEntry>>,
) -> BTreeMap<i64, BTreeSet<Content>> {
    let mut days: BTreeMap<i64, BTreeSet<Content>> = BTreeMap::new();

    for entry in blocks {
        if has_samples(entry) {
            for day in days_of(entry.stats.range()).take(WIDE_DAYS_MAX) {
                days.entry(day).or_default().insert(entry.content);
            }
        }
    }

    days
}

/// A raw block with times of more days is never a source of rollups of the days behind.
pub const WIDE_DAYS_MAX: usize = 4_000;

/// Whether a block has raw floats or histograms.
pub fn has_samples(entry: &BlockEntry) -> bool {
    entry.resolution_ms.is_none() && entry.stats.samples + entry.stats.histograms > 0
}

impl RolledDays {
    /// Returns the days of the resolution for which a rollup stands. `raw` are the contents of
    /// the raw blocks, by day. `is_fit` says which rollups may be used.
    ///
    /// If several rollups stand for a day, the one that was made last counts.
    pub fn of<'a>(
        blocks: impl IntoIterator<Item = &'a Arc<BlockEntry>>,
        raw: &BTreeMap<i64, BTreeSet<Content>>,
        resolution_ms: i64,
        is_fit: impl Fn(&BlockEntry) -> bool,
    ) -> Self {
        let none = BTreeSet::new();
        let rollups = blocks
            .into_iter()
            .filter(|entry| entry.resolution_ms == Some(resolution_ms));

        let mut outputs: BTreeMap<i64, BTreeMap<Content, Vec<Arc<BlockEntry>>>> = BTreeMap::new();

        for entry in rollups {
            for day in &entry.rolled {
                let contents = raw.get(&day.start_ms).unwrap_or(&none);

                if day.stands_for(contents) {
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

    let raw = raw_contents(state.blocks.values());
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
