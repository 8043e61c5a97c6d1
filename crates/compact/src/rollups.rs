//! Which rollups are made and merged. Pure.
//!
//! A day is rolled up when it is over: in the pass that merges it, or alone if it is one block
//! already. It is rolled up again when late samples have come, or when some of its samples were
//! deleted. Rollups of days become rollups of 10 days, and those of an hour of 30 days.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_manifest::rollups::RawDays;
use duramen_manifest::{RolledDays, State};
use duramen_model::{BlockEntry, BlockId, Content, RolledDay};

use crate::job::{Job, Level, Rolling};
use crate::policy::Policy;
use crate::window::{Span, Window};

/// What the manifest says of rollups.
pub(crate) struct Rollups<'s> {
    state: &'s State,
    raw: RawDays<'s>,
    /// The days that rollups without deleted samples stand for, by resolution.
    rolled: BTreeMap<i64, RolledDays>,
    /// The days that a rollup was made of, whether it stands for them or not. With each are the
    /// rollups of this day alone.
    made: BTreeMap<i64, Vec<&'s Arc<BlockEntry>>>,
}

impl<'s> Rollups<'s> {
    pub(crate) fn of(state: &'s State, policy: &Policy) -> Self {
        if policy.rollups_ms.is_empty() {
            return Self {
                state,
                raw: RawDays::default(),
                rolled: BTreeMap::new(),
                made: BTreeMap::new(),
            };
        }

        let raw = RawDays::of(state.blocks.values());

        let is_clean = |entry: &BlockEntry| state.deletions.touching(entry).next().is_none();
        let resolutions = policy.rollups_ms.iter().copied();
        let rolled = resolutions.map(|resolution_ms| {
            let days = RolledDays::of(state.blocks.values(), &raw, resolution_ms, is_clean);
            (resolution_ms, days)
        });

        Self {
            state,
            rolled: rolled.collect(),
            raw,
            made: made_of(state),
        }
    }

    /// Whether a rollup of this resolution stands for the day.
    fn has(&self, resolution_ms: i64, day_ms: i64) -> bool {
        let rolled = self.rolled.get(&resolution_ms);
        rolled.is_some_and(|rolled| rolled.days.contains_key(&day_ms))
    }

    /// The rollups of this day alone, of these resolutions.
    fn of_day_alone(&self, day_ms: i64, resolutions_ms: &[i64]) -> Vec<BlockId> {
        let of_day = self.made.get(&day_ms).into_iter().flatten();
        let is_asked = |entry: &&&Arc<BlockEntry>| {
            let resolution_ms = entry.resolution_ms;
            resolution_ms.is_some_and(|one| resolutions_ms.contains(&one))
        };

        of_day.filter(is_asked).map(|entry| entry.id).collect()
    }

    /// The raw blocks with samples of a day.
    fn raw_of(&self, day_ms: i64) -> Vec<&'s Arc<BlockEntry>> {
        let mut blocks: Vec<_> = self.raw.blocks_of(day_ms).collect();
        blocks.sort_by_key(|entry| (entry.order.min, entry.id));
        blocks
    }

    /// Lets the jobs that merge all of a day make its rollups in the same pass.
    pub(crate) fn attach(&self, jobs: &mut [Job], policy: &Policy) {
        if policy.rollups_ms.is_empty() {
            return;
        }

        for job in jobs.iter_mut().filter(|job| job.level == Level::Day) {
            let day_ms = job.window.start_ms();
            let inputs: BTreeSet<BlockId> = job.ids().collect();
            let is_all = self
                .raw_of(day_ms)
                .iter()
                .all(|entry| inputs.contains(&entry.id));

            if is_all {
                let contents = job.inputs.iter().map(|entry| entry.content);
                let contents = vec![Content::of_merge(contents)];
                job.rolling = Some(self.rolling(day_ms, contents, policy.rollups_ms.clone()));
            }
        }
    }

    fn rolling(&self, day_ms: i64, contents: Vec<Content>, resolutions_ms: Vec<i64>) -> Rolling {
        Rolling {
            day: RolledDay {
                start_ms: day_ms,
                contents,
            },
            replaced: self.of_day_alone(day_ms, &resolutions_ms),
            resolutions_ms,
        }
    }

    /// Returns the jobs that make rollups of samples which stay as they are, the newest day first.
    /// `taken` are blocks that no job may take, or that another job has.
    pub(crate) fn missing(
        &self,
        taken: &BTreeSet<BlockId>,
        policy: &Policy,
        now_ms: i64,
    ) -> Vec<Job> {
        let days = self.raw.listed().rev();
        let over = days.filter(|day_ms| {
            let window = Window::of(Span::Day, *day_ms);
            window.is_over(now_ms, policy.settle)
        });

        over.filter_map(|day_ms| self.missing_of(day_ms, taken, policy, now_ms))
            .collect()
    }

    fn missing_of(
        &self,
        day_ms: i64,
        taken: &BTreeSet<BlockId>,
        policy: &Policy,
        now_ms: i64,
    ) -> Option<Job> {
        let resolutions = policy.rollups_ms.iter().copied();
        let missing: Vec<i64> = resolutions
            .filter(|resolution_ms| !self.has(*resolution_ms, day_ms))
            .collect();

        if missing.is_empty() {
            return None;
        }

        let inputs = self.raw_of(day_ms);
        let contents = self.raw.contents_of(day_ms);
        let is_taken = inputs.iter().any(|entry| taken.contains(&entry.id));
        let is_fresh = |entry: &&Arc<BlockEntry>| !policy.has_waited(entry.id, now_ms);

        // If the day was rolled up before, a few late samples wait until they are merged.
        let was_rolled = self.made.contains_key(&day_ms);
        let waits = contents.len() > 1 && was_rolled && inputs.iter().any(is_fresh);

        if is_taken || waits || inputs.len() > policy.inputs_max {
            return None;
        }

        let contents = contents.into_iter().collect();

        Some(Job {
            level: Level::Rollups,
            window: Window::of(Span::Day, day_ms),
            inputs: inputs.into_iter().cloned().collect(),
            rolling: Some(self.rolling(day_ms, contents, missing)),
            days: BTreeMap::new(),
        })
    }

    /// Returns the jobs that merge rollups of days to longer ones, the newest first.
    pub(crate) fn periods(
        &self,
        taken: &BTreeSet<BlockId>,
        policy: &Policy,
        now_ms: i64,
    ) -> Vec<Job> {
        let mut jobs = Vec::new();

        for (resolution_ms, rolled) in &self.rolled {
            let span = Span::of_rollups(*resolution_ms);
            let mut windows: BTreeMap<Window, Vec<i64>> = BTreeMap::new();

            for day_ms in rolled.days.keys() {
                let window = Window::of(span, *day_ms);
                windows.entry(window).or_default().push(*day_ms);
            }

            for (window, days) in windows.into_iter().rev() {
                let period = Period {
                    window,
                    rolled,
                    resolution_ms: *resolution_ms,
                };

                jobs.extend(match window.is_over(now_ms, policy.settle) {
                    true => self.whole(&period, &days, taken, policy),
                    false => self.fragments(&period, &days, taken, policy),
                });
            }
        }

        jobs
    }

    /// Returns the job that merges all rollups of a period that is over.
    fn whole(
        &self,
        period: &Period<'_>,
        days: &[i64],
        taken: &BTreeSet<BlockId>,
        policy: &Policy,
    ) -> Option<Job> {
        let window = period.window;
        let mut raw_days = self.raw.listed_in(window.start_ms()..window.end_ms());
        let is_rolled = raw_days.all(|day_ms| period.rolled.days.contains_key(&day_ms));

        let mut job = period.job(days);

        // What was made again since is taken along, and nothing of it is used.
        let old = self.state.blocks.values().filter(|entry| {
            let mut days = entry.rolled.iter();
            entry.resolution_ms == Some(period.resolution_ms)
                && !entry.rolled.is_empty()
                && !job.days.contains_key(&entry.id)
                && days.all(|day| window.holds(day.start_ms))
        });
        job.inputs.extend(old.cloned());
        job.inputs.sort_by_key(|entry| (entry.order.min, entry.id));

        let outputs: BTreeSet<Content> = job.inputs.iter().map(|entry| entry.content).collect();
        let is_taken = job.ids().any(|id| taken.contains(&id));
        let fits = job.inputs.len() <= policy.inputs_max;

        (is_rolled && outputs.len() > 1 && !is_taken && fits).then_some(job)
    }

    /// Returns the job that merges rollups of one level in a period that is not over, once there are
    /// enough of them. Those of short buckets wait, because they have many more bytes.
    fn fragments(
        &self,
        period: &Period<'_>,
        days: &[i64],
        taken: &BTreeSet<BlockId>,
        policy: &Policy,
    ) -> Option<Job> {
        if Span::of_rollups(period.resolution_ms) != Span::ThirtyDays {
            return None;
        }

        let mut levels: BTreeMap<u8, (BTreeSet<Content>, Vec<i64>)> = BTreeMap::new();

        for day_ms in days {
            let blocks = period.rolled.days.get(day_ms).into_iter().flatten();
            let free: Vec<_> = blocks.filter(|entry| !taken.contains(&entry.id)).collect();

            if let Some(entry) = free.first() {
                let (outputs, days) = levels.entry(entry.level).or_default();
                outputs.insert(entry.content);
                days.push(*day_ms);
            }
        }

        let enough = levels
            .into_values()
            .find(|(outputs, _)| outputs.len() >= policy.fragments_min)?;
        let job = period.job(&enough.1);
        let is_taken = job.ids().any(|id| taken.contains(&id));
        // A long rollup of which a day was made again waits until its period is over.
        let is_whole = |entry: &Arc<BlockEntry>| {
            let days = job.days.get(&entry.id);
            days.is_some_and(|days| days.len() == entry.rolled.len())
        };
        let are_whole = job.inputs.iter().all(is_whole);

        (!is_taken && are_whole && job.inputs.len() <= policy.inputs_max).then_some(job)
    }

    /// Whether a rollup that has deleted samples is of no use and can be dropped, since all of its
    /// days are made again of samples.
    pub(crate) fn is_made_again(&self, entry: &BlockEntry) -> bool {
        let mut days = entry.rolled.iter();
        days.all(|day| self.raw.has(day.start_ms))
    }
}

/// Returns the days that rollups of a state were made of, each with the rollups of it alone.
fn made_of(state: &State) -> BTreeMap<i64, Vec<&Arc<BlockEntry>>> {
    let mut made: BTreeMap<i64, Vec<_>> = BTreeMap::new();

    for entry in state.blocks.values() {
        for day in &entry.rolled {
            let of_day = made.entry(day.start_ms).or_default();

            if entry.rolled.len() == 1 {
                of_day.push(entry);
            }
        }
    }

    made
}

/// The rollups of one resolution in one window.
struct Period<'r> {
    window: Window,
    rolled: &'r RolledDays,
    resolution_ms: i64,
}

impl Period<'_> {
    /// Returns the job that merges the rollups of these days.
    fn job(&self, days: &[i64]) -> Job {
        let mut inputs: BTreeMap<BlockId, Arc<BlockEntry>> = BTreeMap::new();
        let mut of_input: BTreeMap<BlockId, BTreeSet<i64>> = BTreeMap::new();

        for day_ms in days {
            for entry in self.rolled.days.get(day_ms).into_iter().flatten() {
                inputs.insert(entry.id, Arc::clone(entry));
                of_input.entry(entry.id).or_default().insert(*day_ms);
            }
        }

        let mut inputs: Vec<_> = inputs.into_values().collect();
        inputs.sort_by_key(|entry| (entry.order.min, entry.id));

        Job {
            level: Level::Periods,
            window: self.window,
            inputs,
            rolling: None,
            days: of_input,
        }
    }
}

/// The days of a rollup, by their starts.
pub(crate) fn all_days(entry: &BlockEntry) -> BTreeSet<i64> {
    entry.rolled.iter().map(|day| day.start_ms).collect()
}
