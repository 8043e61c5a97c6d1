//! Which rollups are made and merged. Pure.
//!
//! A day is rolled up when it is over: in the pass that merges it, or alone if it is one block
//! already. It is rolled up again when late samples have come, or when some of its samples were
//! deleted. Rollups of days become rollups of 10 days, and those of an hour of 30 days.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_manifest::rollups::{days_of, has_samples, raw_contents};
use duramen_manifest::{RolledDays, State};
use duramen_model::{BlockEntry, BlockId, Content, RolledDay};

use crate::job::{Job, Level, Rolling};
use crate::policy::Policy;
use crate::window::{Span, Window};

/// What the manifest says of rollups.
pub(crate) struct Rollups<'s> {
    state: &'s State,
    /// The contents of raw blocks, by day.
    raw: BTreeMap<i64, BTreeSet<Content>>,
    /// The days that rollups without deleted samples stand for, by resolution.
    rolled: BTreeMap<i64, RolledDays>,
}

impl<'s> Rollups<'s> {
    pub(crate) fn of(state: &'s State, policy: &Policy) -> Self {
        let raw = match policy.rollups_ms.is_empty() {
            true => BTreeMap::new(),
            false => raw_contents(state.blocks.values()),
        };

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
        }
    }

    /// Whether a rollup of this resolution stands for the day.
    fn has(&self, resolution_ms: i64, day_ms: i64) -> bool {
        let rolled = self.rolled.get(&resolution_ms);
        rolled.is_some_and(|rolled| rolled.days.contains_key(&day_ms))
    }

    /// The rollups of this day alone, of these resolutions.
    fn of_day_alone(&self, day_ms: i64, resolutions_ms: &[i64]) -> Vec<BlockId> {
        let is_of_day = |entry: &&Arc<BlockEntry>| {
            let resolution = entry.resolution_ms;
            let is_asked = resolution.is_some_and(|one| resolutions_ms.contains(&one));
            is_asked && matches!(&entry.rolled[..], [day] if day.start_ms == day_ms)
        };

        let blocks = self.state.blocks.values().filter(is_of_day);
        blocks.map(|entry| entry.id).collect()
    }

    /// The raw blocks with samples of a day.
    fn raw_of(&self, day_ms: i64) -> Vec<&'s Arc<BlockEntry>> {
        let day = RolledDay {
            start_ms: day_ms,
            contents: Vec::new(),
        };
        let blocks = self.state.blocks_overlapping(day.range());
        let mut blocks: Vec<_> = blocks.filter(|entry| has_samples(entry)).collect();

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
        let days = self.raw.iter().rev();
        let days = days.filter(|(day_ms, _)| {
            let window = Window::of(Span::Day, **day_ms);
            window.is_over(now_ms, policy.settle)
        });

        days.filter_map(|(day_ms, contents)| {
            self.missing_of(*day_ms, contents, taken, policy, now_ms)
        })
        .collect()
    }

    fn missing_of(
        &self,
        day_ms: i64,
        contents: &BTreeSet<Content>,
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
        let is_taken = inputs.iter().any(|entry| taken.contains(&entry.id));
        let waits = contents.len() > 1
            && self.was_rolled(day_ms)
            && inputs
                .iter()
                .any(|entry| !policy.has_waited(entry.id, now_ms));

        if is_taken || waits || inputs.len() > policy.inputs_max {
            return None;
        }

        let contents = contents.iter().copied().collect();

        Some(Job {
            level: Level::Rollups,
            window: Window::of(Span::Day, day_ms),
            inputs: inputs.into_iter().cloned().collect(),
            rolling: Some(self.rolling(day_ms, contents, missing)),
            days: BTreeMap::new(),
        })
    }

    /// Whether the day was rolled up before. Then a few late samples wait until they are merged.
    fn was_rolled(&self, day_ms: i64) -> bool {
        let mut blocks = self.state.blocks.values();
        blocks.any(|entry| entry.rolled.iter().any(|day| day.start_ms == day_ms))
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
        let mut raw_days = self.raw.range(window.start_ms()..window.end_ms());
        let is_rolled = raw_days.all(|(day_ms, _)| period.rolled.days.contains_key(day_ms));

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
        days.all(|day| self.raw.contains_key(&day.start_ms))
    }
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

/// Whether rollups of each of these resolutions stand for all samples of a raw block.
pub(crate) fn is_rolled(
    state: &State,
    raw: &BTreeMap<i64, BTreeSet<Content>>,
    entry: &BlockEntry,
    resolutions_ms: &[i64],
) -> bool {
    let is_rolled = |resolution_ms: i64| {
        let rolled = RolledDays::of(state.blocks.values(), raw, resolution_ms, |_| true);
        let mut days = days_of(entry.stats.range());
        days.all(|day_ms| rolled.days.contains_key(&day_ms))
    };

    entry.stats.histograms == 0 && resolutions_ms.iter().all(|one| is_rolled(*one))
}
