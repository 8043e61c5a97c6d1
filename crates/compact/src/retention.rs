//! Which blocks are beyond their retention. Pure.

use std::collections::BTreeMap;

use duramen_manifest::State;
use duramen_manifest::rollups::{has_samples, raw_contents};
use duramen_model::{BlockEntry, BlockId};
use duramen_source::Retention;

use crate::rollups::is_rolled;

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
    let mut raw = None;

    for entry in state.blocks.values() {
        if !is_expired(entry, retention) {
            continue;
        }

        let kept = match has_samples(entry) {
            true => retention.rollups_kept_of(entry.stats.max_ts_ms),
            false => Vec::new(),
        };

        let may_go = kept.is_empty() || {
            let raw = raw.get_or_insert_with(|| raw_contents(state.blocks.values()));
            is_rolled(state, raw, entry, &kept)
        };

        if may_go {
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
