//! Which blocks are written again because they have deleted samples. Pure.
//!
//! Every merge leaves out what was deleted of its inputs. A block that no merge takes is written
//! again alone, a while after the deletion, or soon if that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_manifest::{State, Tombstone};
use duramen_model::BlockId;

use crate::job::{Job, Level};
use crate::policy::Policy;
use crate::rollups::{Rollups, all_days};
use crate::window::{Span, Window};

/// Returns a job for each live block that may have deleted samples, the newest window first.
/// `taken` are blocks that no job may take.
///
/// A rollup that is made again of samples is not among them.
pub(crate) fn clean(
    state: &State,
    rollups: &Rollups<'_>,
    taken: &BTreeSet<BlockId>,
    policy: &Policy,
    now_ms: i64,
) -> Vec<Job> {
    let wait_ms = i64::try_from(policy.clean_wait.as_millis()).unwrap_or(i64::MAX);
    let is_due = |tombstone: &&Arc<Tombstone>| {
        tombstone.number <= state.deletions.clean
            || tombstone.asked.at_ms.saturating_add(wait_ms) <= now_ms
    };

    let due: Vec<_> = state.deletions.in_force.values().filter(is_due).collect();
    if due.is_empty() {
        return Vec::new();
    }

    let touched = state.blocks.values().filter(|entry| {
        let mut due = due.iter();
        !taken.contains(&entry.id) && due.any(|one| state.deletions.touches(one, entry))
    });

    let mut jobs: Vec<Job> = touched
        .filter(|entry| entry.rolled.is_empty() || !rollups.is_made_again(entry))
        .map(|entry| {
            let stats = &entry.stats;
            let hours = Window::around(Span::Hours, stats);

            Job {
                level: Level::Clean,
                window: hours.unwrap_or_else(|| Window::of(Span::Day, stats.min_ts_ms)),
                inputs: vec![Arc::clone(entry)],
                rolling: None,
                days: match entry.rolled.is_empty() {
                    true => BTreeMap::new(),
                    false => BTreeMap::from([(entry.id, all_days(entry))]),
                },
            }
        })
        .collect();

    jobs.sort_by_key(|job| std::cmp::Reverse(job.window));
    jobs
}
