//! Which blocks are beyond their retention. Pure.

use std::collections::BTreeMap;

use duramen_manifest::rollups::{RawDays, days_of, has_samples};
use duramen_manifest::{RolledDays, State};
use duramen_model::{BlockEntry, BlockId};
use duramen_source::Retention;

/// Blocks that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    pub blocks: Vec<BlockId>,
    /// The resolutions of the rollups that are kept for longer, and stand for all samples of the
    /// blocks.
    pub rolled_at: Vec<i64>,
}

/// Returns the blocks whose last sample is not kept any more, whatever series it belongs to, and
/// which may go.
///
/// If series are kept for different times, the longest one that a series of the block may have
/// counts: its samples lie beside those of others. Samples whose rollups are kept for longer go
/// when there are rollups of all of them. So a block with native histograms, of which there are no
/// rollups, is kept as long as these.
pub fn expired(state: &State, retention: &Retention) -> Vec<Expired> {
    let mut all: BTreeMap<Vec<i64>, Vec<BlockId>> = BTreeMap::new();
    let mut rolled = Rolled::of(state);

    for entry in state.blocks.values() {
        if !is_expired(entry, retention) {
            continue;
        }

        let kept = match has_samples(entry) {
            true => retention.rollups_kept_of(entry.stats.max_ts_ms),
            false => Vec::new(),
        };

        if kept.is_empty() || rolled.has_all(entry, &kept) {
            all.entry(kept).or_default().push(entry.id);
        }
    }

    let all = all.into_iter();
    all.map(|(rolled_at, blocks)| Expired { blocks, rolled_at })
        .collect()
}

fn is_expired(entry: &BlockEntry, retention: &Retention) -> bool {
    let names = entry.stats.names.as_ref();

    let earliest_ms = match entry.resolution_ms {
        None => retention.earliest_within_ms(names),
        Some(resolution_ms) => retention.rollups_earliest_ms(names, resolution_ms),
    };

    entry.stats.max_ts_ms < earliest_ms
}

/// The days that rollups stand for, found when somebody asks.
struct Rolled<'s> {
    state: &'s State,
    raw: Option<RawDays<'s>>,
    days: BTreeMap<i64, RolledDays>,
}

impl<'s> Rolled<'s> {
    const fn of(state: &'s State) -> Self {
        Self {
            state,
            raw: None,
            days: BTreeMap::new(),
        }
    }

    /// Whether rollups of each of these resolutions stand for all samples of a raw block.
    fn has_all(&mut self, entry: &BlockEntry, resolutions_ms: &[i64]) -> bool {
        let mut resolutions = resolutions_ms.iter();

        entry.stats.histograms == 0
            && resolutions.all(|resolution_ms| {
                let rolled = self.at(*resolution_ms);
                let mut days = days_of(entry.stats.range());
                days.all(|day_ms| rolled.days.contains_key(&day_ms))
            })
    }

    fn at(&mut self, resolution_ms: i64) -> &RolledDays {
        let blocks = || self.state.blocks.values();
        let raw = self.raw.get_or_insert_with(|| RawDays::of(blocks()));

        self.days
            .entry(resolution_ms)
            .or_insert_with(|| RolledDays::of(blocks(), raw, resolution_ms, |_| true))
    }
}
