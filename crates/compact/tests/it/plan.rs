//! What is planned, as properties of random manifests and as examples.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duramen_compact::{Job, Level, Policy, Span, Window, plan};
use duramen_model::BlockId;
use proptest::prelude::*;

use crate::entries::{At, DAY_MS, HOUR_MS, LATER_MS, NOW_MS, World};

/// The samples of a flush: when its generation was opened, by whom, and what it got.
#[derive(Clone, Debug)]
struct Sent {
    opened_ms: i64,
    writer: u128,
    samples: Vec<At>,
    /// Windows before the newest so many share a block.
    windows_max: usize,
    is_cut: bool,
}

/// Times that are recent, late, or in the future. Few of them, so that flushes overlap.
fn time() -> impl Strategy<Value = i64> {
    let step = HOUR_MS / 2;
    prop_oneof![
        6 => (0..12_i64).prop_map(move |n| NOW_MS - n * step),
        2 => (0..60_i64).prop_map(move |n| NOW_MS - n * 2 * step),
        1 => (0..6_i64).prop_map(move |n| NOW_MS - n * DAY_MS),
        1 => (1..6_i64).prop_map(move |n| NOW_MS + n * 5 * HOUR_MS),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let samples = prop::collection::vec((0..3_u8, time()), 1..12);
    let opened = (0..200_i64).prop_map(|n| NOW_MS - n * HOUR_MS / 4);

    (opened, 1..4_u128, samples, 1..6_usize, any::<bool>()).prop_map(
        |(opened_ms, writer, samples, windows_max, is_cut)| Sent {
            opened_ms,
            writer,
            samples,
            windows_max,
            is_cut,
        },
    )
}

fn worlds() -> impl Strategy<Value = World> {
    prop::collection::vec(sent(), 1..24).prop_map(|flushes| {
        let mut world = World::default();
        for sent in &flushes {
            flush(&mut world, sent);
        }

        world
    })
}

/// Cuts the samples of a flush as an ingester does: windows of 2 h in its last day, of a day before
/// that, and one block for the oldest.
fn flush(world: &mut World, sent: &Sent) {
    let mut windows: BTreeMap<i64, Vec<At>> = BTreeMap::new();
    for at in &sent.samples {
        let is_recent = at.1 >= sent.opened_ms - DAY_MS;
        let length = if is_recent { 2 * HOUR_MS } else { DAY_MS };
        let start = at.1.div_euclid(length) * length;
        windows.entry(start).or_default().push(*at);
    }

    while windows.len() > sent.windows_max {
        let (_, oldest) = windows.pop_first().unwrap();
        let (start, mut next) = windows.pop_first().unwrap();
        next.extend(oldest);
        windows.insert(start, next);
    }

    let groups: Vec<_> = windows.into_iter().collect();
    world.flush(sent.opened_ms, sent.writer, &groups, sent.is_cut);
}

fn policy() -> impl Strategy<Value = Policy> {
    let sizes = (2..5_usize, 1..9_u64, 2..8_usize);
    sizes.prop_map(|(fragments_min, growth_max, inputs_max)| Policy {
        fragments_min,
        growth_max,
        inputs_max,
        ..Policy::default()
    })
}

/// Does jobs until there is none. After each, `check` sees the world.
fn drain(
    world: &mut World,
    policy: &Policy,
    now_ms: i64,
    mut pick: impl FnMut(usize) -> usize,
    mut check: impl FnMut(&World),
) {
    let mut left = world.state.blocks.len() * 2 + 1;
    let mut done = BTreeSet::new();

    loop {
        let jobs = world.plan(policy, now_ms);
        if jobs.is_empty() {
            return;
        }

        assert!(left > 0, "the plan does not end");
        left -= 1;

        let job = &jobs[pick(jobs.len()) % jobs.len()];
        assert!(done.insert(job.digest()), "a job is planned twice");
        world.apply(job, job.inputs.len().is_multiple_of(2));
        check(world);
    }
}

/// Whether the jobs take blocks of one window, each once, and no sibling alone.
fn check_jobs(world: &World, jobs: &[Job]) {
    let mut taken = BTreeSet::new();

    for job in jobs {
        for entry in &job.inputs {
            assert!(taken.insert(entry.id), "a block is in two jobs");

            for ts_ms in [entry.stats.min_ts_ms, entry.stats.max_ts_ms] {
                assert_eq!(Window::of(job.window.span, ts_ms), job.window);
            }
        }

        let contents: BTreeSet<_> = job.inputs.iter().map(|entry| entry.content).collect();
        let siblings = world.state.blocks.values();
        let siblings = siblings.filter(|entry| contents.contains(&entry.content));
        assert_eq!(siblings.count(), job.inputs.len(), "a sibling stays");
        assert!(contents.len() >= 2, "nothing to merge");
    }

    assert!(jobs.is_sorted_by(|one, next| one.window >= next.window));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn queries_answer_the_same_whatever_is_merged_in_which_order(
        world in worlds(),
        policy in policy(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 64),
        hours in prop_oneof![Just(0_i64), 0..40_i64],
    ) {
        let expected = world.answer();
        let mut world = world;
        let mut at = 0;
        let pick = |jobs: usize| { at += 1; picks[at % picks.len()].index(jobs) };

        drain(&mut world, &policy, NOW_MS + hours * HOUR_MS, pick, |world| {
            assert_eq!(world.answer(), expected);
        });
        drain(&mut world, &policy, LATER_MS, |_| 0, |world| {
            assert_eq!(world.answer(), expected);
        });
    }

    #[test]
    fn all_jobs_of_one_plan_can_be_done(world in worlds(), policy in policy(), reverse in any::<bool>()) {
        let expected = world.answer();
        let mut world = world;
        let mut jobs = world.plan(&policy, NOW_MS);
        check_jobs(&world, &jobs);

        if reverse {
            jobs.reverse();
        }

        for job in &jobs {
            world.apply(job, false);
        }

        prop_assert_eq!(world.answer(), expected);
    }

    #[test]
    fn the_order_of_the_input_changes_nothing(world in worlds(), policy in policy(), seed in any::<u64>()) {
        let blocks = world.blocks();
        let mut shuffled = blocks.clone();
        shuffled.sort_by_key(|entry| entry.id.0.0 ^ u128::from(seed));

        let held = BTreeSet::new();
        let one = plan(&blocks, &held, &policy, NOW_MS);
        prop_assert_eq!(one, plan(&shuffled, &held, &policy, NOW_MS));
    }

    #[test]
    fn a_block_that_is_held_stays_and_the_rest_is_merged_rightly(
        world in worlds(),
        policy in policy(),
        held in any::<prop::sample::Index>(),
    ) {
        let expected = world.answer();
        let mut world = world;
        let ids: Vec<BlockId> = world.state.blocks.keys().copied().collect();
        let held = BTreeSet::from([*held.get(&ids)]);

        loop {
            let jobs = plan(world.state.blocks.values(), &held, &policy, LATER_MS);
            let Some(job) = jobs.first() else { break };
            assert!(job.ids().all(|id| !held.contains(&id)));
            world.apply(job, false);
        }

        prop_assert_eq!(world.answer(), expected);
    }

    #[test]
    fn when_all_is_over_a_day_of_one_writer_is_one_output(
        times in prop::collection::vec((0..3_u8, 0..48_i64), 1..40),
    ) {
        let mut world = World::default();
        for (at, (series, half_hour)) in times.iter().enumerate() {
            let ts_ms = half_hour * HOUR_MS / 2;
            let opened_ms = ts_ms + i64::try_from(at).unwrap();
            world.flush(opened_ms, 1, &[(ts_ms, vec![(*series, ts_ms)])], false);
        }

        drain(&mut world, &Policy::default(), LATER_MS, |_| 0, |_| {});
        let blocks = world.state.blocks.values();
        let outputs: BTreeSet<_> = blocks.map(|entry| entry.content).collect();
        prop_assert_eq!(outputs.len(), 1);
    }
}

/// A flush with a block of `samples` samples in the window of two hours that begins at `start_ms`.
fn block(world: &mut World, opened_ms: i64, start_ms: i64, samples: i64) {
    let times = (0..samples).map(|at| (0, start_ms + at)).collect();
    world.flush(opened_ms, 1, &[(start_ms, times)], false);
}

fn levels(jobs: &[Job]) -> Vec<(Level, Span, usize)> {
    let level = |job: &Job| (job.level, job.window.span, job.inputs.len());
    jobs.iter().map(level).collect()
}

#[test]
fn fragments_are_merged_when_four_stand_and_windows_when_they_are_over() {
    let day = 20_000 * DAY_MS;
    let policy = Policy::default();
    let mut world = World::default();

    for at in 0..3 {
        block(&mut world, day + at, day, 10);
    }
    assert_eq!(world.plan(&policy, day + HOUR_MS), []);

    block(&mut world, day + 3, day, 10);
    let jobs = world.plan(&policy, day + HOUR_MS);
    assert_eq!(levels(&jobs), [(Level::Fragments, Span::Hours, 4)]);
    world.apply(&jobs[0], false);

    // Four fragments of one level, not four blocks.
    for at in 4..7 {
        block(&mut world, day + at, day, 10);
    }
    assert_eq!(world.plan(&policy, day + 2 * HOUR_MS), []);

    let over = day + 2 * HOUR_MS + HOUR_MS / 2;
    let jobs = world.plan(&policy, over);
    assert_eq!(levels(&jobs), [(Level::Hours, Span::Hours, 4)]);
    world.apply(&jobs[0], false);
    assert_eq!(world.plan(&policy, over), []);

    block(&mut world, day + 4 * HOUR_MS, day + 4 * HOUR_MS, 50);
    let over = day + DAY_MS + HOUR_MS / 2;
    assert_eq!(world.plan(&policy, over - 1), []);
    assert_eq!(
        levels(&world.plan(&policy, over)),
        [(Level::Day, Span::Day, 2)]
    );
}

#[test]
fn a_few_late_samples_do_not_write_a_day_again_until_they_have_waited() {
    let day = 20_000 * DAY_MS;
    let over = day + 2 * DAY_MS;
    let policy = Policy::default();
    let mut world = World::default();

    block(&mut world, day, day, 1000);
    block(&mut world, over, day, 2);
    assert_eq!(world.plan(&policy, over), []);

    // Four of them are merged among each other.
    for at in 1..4 {
        block(&mut world, over + at, day, 2);
    }
    assert_eq!(
        levels(&world.plan(&policy, over)),
        [(Level::Day, Span::Day, 4)]
    );

    let waited = over + i64::try_from(policy.late_wait.as_millis()).unwrap();
    assert_eq!(
        levels(&world.plan(&policy, waited)),
        [(Level::Day, Span::Day, 5)]
    );

    // Many late samples are worth a merge at once.
    block(&mut world, over + 4, day, 120);
    assert_eq!(
        levels(&world.plan(&policy, over)),
        [(Level::Day, Span::Day, 6)]
    );
}

#[test]
fn a_block_between_two_others_that_it_overlaps_keeps_them_apart() {
    let day = 20_000 * DAY_MS;
    let late = |samples: &[i64]| samples.iter().map(|ts_ms| (0, *ts_ms)).collect::<Vec<At>>();
    let mut world = World::default();

    block(&mut world, 1, day, 10);
    // Times of two days, so no merge takes it.
    world.flush(2, 1, &[(0, late(&[day - 1, day + 5]))], false);
    block(&mut world, 3, day, 10);
    block(&mut world, 4, day, 10);

    let jobs = world.plan(&Policy::default(), LATER_MS);
    let opened = |job: &Job| {
        job.inputs
            .iter()
            .map(|entry| entry.order.min.opened >> 16)
            .collect()
    };
    let opened: Vec<Vec<u64>> = jobs.iter().map(opened).collect();
    assert_eq!(opened, [[3, 4]]);
}

#[test]
fn a_year_of_flushes_is_planned_by_days_with_the_newest_first() {
    let mut world = World::default();
    for day in 0..365 {
        for flush in 0..8 {
            block(
                &mut world,
                NOW_MS + day * 8 + flush,
                day * DAY_MS + flush,
                10,
            );
        }
    }

    let jobs = world.plan(&Policy::default(), LATER_MS);
    assert_eq!(jobs.len(), 365);
    assert!(jobs.is_sorted_by(|one, next| one.window > next.window));
    check_jobs(&world, &jobs);
}

#[test]
fn a_merge_takes_a_bounded_number_of_blocks() {
    let mut world = World::default();
    for flush in 0..100 {
        block(&mut world, flush, flush, 10);
    }

    let policy = Policy {
        inputs_max: 30,
        settle: Duration::ZERO,
        ..Policy::default()
    };
    let sizes: Vec<usize> = world
        .plan(&policy, LATER_MS)
        .iter()
        .map(|job| job.inputs.len())
        .collect();
    assert_eq!(sizes, [30, 30, 30, 10]);
}
