//! Which blocks are to become one. Pure: live blocks, a policy and the time come in, jobs go out.
//!
//! A job takes blocks of one window and one class. Its inputs are next to each other in
//! the order that decides between two values of one time. The output ranks by its smallest order,
//! as in queries. So a block between them that may have the same series and times would change
//! sides: then the run ends before it (`runs`).
//!
//! What is merged, of each run:
//!
//! - In an open window of two hours: fragments of one level, next to each other, once there are
//!   [`Policy::fragments_min`].
//! - In a window of two hours that is over, and in a day that is over: all, unless that writes a
//!   large output again for a few late samples ([`Policy::growth_max`]). Then the fragments are
//!   merged among each other, and all of it when a fragment has stood for [`Policy::late_wait`].
//!
//! A block with times of several days is in no window. It stays as it is.
//!
//! The same state gives the same jobs, and no block is in two of them. Each job leaves fewer
//! outputs than it takes. So a plan whose jobs are done again and again ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId};

use crate::job::{Job, Level};
use crate::policy::Policy;
use crate::unit::Unit;
use crate::window::{Span, Window};

/// Returns the jobs that can be done now, at the same time or one after the other: those of the
/// newest window first. `held` are blocks that no job may take.
pub fn plan<'a>(
    blocks: impl IntoIterator<Item = &'a Arc<BlockEntry>>,
    held: &BTreeSet<BlockId>,
    policy: &Policy,
    now_ms: i64,
) -> Vec<Job> {
    let units = Unit::all(blocks, held);
    let mut days: BTreeMap<Window, Vec<&Unit<'_>>> = BTreeMap::new();
    let mut wide = Vec::new();

    for unit in &units {
        match unit.window(Span::Day) {
            Some(day) => days.entry(day).or_default().push(unit),
            None => wide.push(unit),
        }
    }

    let planner = Planner { policy, now_ms };
    let jobs = days.into_iter();
    let mut jobs: Vec<Job> = jobs
        .flat_map(|(day, units)| planner.day(day, &units, &wide))
        .collect();

    jobs.sort_by_key(|job| std::cmp::Reverse(job.window));
    jobs
}

struct Planner<'p> {
    policy: &'p Policy,
    now_ms: i64,
}

impl Planner<'_> {
    /// Plans a day. `units` are all of the day, and `wide` those that are in no day; both ascend by
    /// order.
    fn day(&self, day: Window, units: &[&Unit<'_>], wide: &[&Unit<'_>]) -> Vec<Job> {
        if day.is_over(self.now_ms, self.policy.settle) {
            return self.window(day, Level::Day, units, units, wide);
        }

        let mut windows: BTreeMap<Window, Vec<&Unit<'_>>> = BTreeMap::new();
        for unit in units {
            if let Some(window) = unit.window(Span::Hours) {
                windows.entry(window).or_default().push(unit);
            }
        }

        let windows = windows.into_iter();
        let jobs = windows.flat_map(|(window, inside)| {
            let level = match window.is_over(self.now_ms, self.policy.settle) {
                true => Level::Hours,
                false => Level::Fragments,
            };

            self.window(window, level, &inside, units, wide)
        });

        jobs.collect()
    }

    /// Plans a window. `inside` are the units that are in it, `day` all of its day.
    fn window(
        &self,
        window: Window,
        level: Level,
        inside: &[&Unit<'_>],
        day: &[&Unit<'_>],
        wide: &[&Unit<'_>],
    ) -> Vec<Job> {
        let mut classes: BTreeMap<&str, Vec<&Unit<'_>>> = BTreeMap::new();
        for unit in inside.iter().filter(|unit| unit.is_free) {
            classes.entry(unit.retention).or_default().push(unit);
        }

        let mut jobs = Vec::new();
        for (retention, free) in classes {
            let is_free = |unit: &Unit<'_>| {
                unit.is_free
                    && unit.retention == retention
                    && unit.window(window.span) == Some(window)
            };

            let stays = day.iter().chain(wide).filter(|unit| !is_free(unit));
            let mut others: Vec<&Unit<'_>> = stays.copied().collect();
            others.sort_by_key(|unit| unit.order);

            for run in runs(&free, &others) {
                let parts = match level {
                    Level::Fragments => self.of_open(run),
                    _ => self.of_over(run),
                };

                let portions = parts.into_iter().flat_map(|part| self.portions(part));
                jobs.extend(portions.map(|portion| job(window, level, portion)));
            }
        }

        jobs
    }

    /// Returns the parts of a run to merge while its window is open.
    fn of_open<'s, 'u>(&self, run: &'s [&'u Unit<'u>]) -> Vec<&'s [&'u Unit<'u>]> {
        let levels = run.chunk_by(|one, next| one.level == next.level || one.order == next.order);
        levels
            .filter(|part| part.len() >= self.policy.fragments_min)
            .collect()
    }

    /// Returns the parts of a run to merge when its window is over.
    fn of_over<'s, 'u>(&self, run: &'s [&'u Unit<'u>]) -> Vec<&'s [&'u Unit<'u>]> {
        let Some(largest) = (0..run.len()).max_by_key(|at| (run[*at].bytes, *at)) else {
            return Vec::new();
        };

        let rest = || {
            let others = run.iter().enumerate().filter(|(at, _)| *at != largest);
            others.map(|(_, unit)| *unit)
        };

        let bytes = rest().fold(0, |sum: u64, unit| sum.saturating_add(unit.bytes));
        let is_worth = bytes.saturating_mul(self.policy.growth_max) >= run[largest].bytes;

        if is_worth || rest().any(|unit| self.has_waited(unit)) {
            return vec![run];
        }

        // Fragments with the order of the largest stay with it.
        let order = run[largest].order;
        let before = run.partition_point(|unit| unit.order < order);
        let behind = run.partition_point(|unit| unit.order <= order);

        [&run[..before], &run[behind..]]
            .into_iter()
            .filter(|part| part.len() >= self.policy.fragments_min)
            .collect()
    }

    fn has_waited(&self, unit: &Unit<'_>) -> bool {
        unit.id()
            .is_some_and(|id| self.policy.has_waited(id, self.now_ms))
    }

    /// Cuts a part into portions of a size that one merge can take, each of at least two units.
    fn portions<'s, 'u>(&self, part: &'s [&'u Unit<'u>]) -> Vec<&'s [&'u Unit<'u>]> {
        let mut portions = Vec::new();
        let mut start = 0;
        let mut blocks = 0;

        for at in 0..part.len() {
            let next = part[at].blocks.len();
            let is_full = blocks + next > self.policy.inputs_max && at - start >= 2;

            // Units of one order stay together: their outputs would have one order too.
            if is_full && part[at].order != part[at - 1].order {
                portions.push(&part[start..at]);
                start = at;
                blocks = 0;
            }

            blocks += next;
        }

        portions.push(&part[start..]);
        portions.retain(|portion| portion.len() >= 2);
        portions
    }
}

/// Splits units of one class, ascending by order, into runs that may be merged. `others` are the
/// units that stay as they are, ascending by order too.
///
/// A merge gives all its inputs the smallest order among them. This changes which value counts if
/// a unit that stays meets an input, and its order is between that and the smallest one.
fn runs<'s, 'u>(free: &'s [&'u Unit<'u>], others: &[&'u Unit<'u>]) -> Vec<&'s [&'u Unit<'u>]> {
    let mut runs = Vec::new();
    let mut start = 0;

    for at in 1..=free.len() {
        if at == free.len() || is_cut(free, start, at, others) {
            runs.push(&free[start..at]);
            start = at;
        }
    }

    runs.retain(|run| run.len() >= 2);
    runs
}

/// Whether a unit that would stay ranks between the run that begins at `start` and the unit at
/// `at`, which it meets.
fn is_cut(free: &[&Unit<'_>], start: usize, at: usize, others: &[&Unit<'_>]) -> bool {
    let first = free[start].order;
    let unit = free[at];

    if first == unit.order {
        return false;
    }

    let from = others.partition_point(|other| other.order < first);
    let between = others[from..]
        .iter()
        .take_while(|other| other.order < unit.order);

    // Of the runs before, only units with the order of this run can be between.
    let before = free[..start].iter().rev();
    let before = before.take_while(|other| other.order == first);

    between.chain(before).any(|other| other.meets(unit))
}

fn job(window: Window, level: Level, units: &[&Unit<'_>]) -> Job {
    let blocks = units.iter().flat_map(|unit| unit.blocks.iter().copied());

    Job {
        level,
        window,
        inputs: blocks.cloned().collect(),
        rolling: None,
        days: BTreeMap::new(),
    }
}
