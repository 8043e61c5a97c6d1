use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The samples of one part: the time, and whether it is a stale marker.
type Part = BTreeMap<i64, bool>;

fn traces(part: &Part) -> Vec<Trace> {
    let mut tracer = Tracer::default();
    part.iter()
        .for_each(|(ts_ms, stale)| tracer.push(*ts_ms, *stale));
    tracer.end_series().to_vec()
}

/// What the samples themselves say. The first part that has a time wins.
fn of_samples(parts: &[Part], start_ms: i64, end_ms: i64) -> Presence {
    let mut all = Part::new();
    for part in parts.iter().rev() {
        all.extend(part);
    }

    match all.range(..=end_ms).next_back() {
        Some((ts_ms, false)) if *ts_ms > start_ms => Presence::Present,
        _ => Presence::Absent,
    }
}

fn part() -> impl Strategy<Value = Part> {
    let minutes = prop::collection::vec((0..3i64, 0..12u8), 0..12);
    let long = prop::collection::vec((0..12i64, 0..12u8), 0..12);

    prop_oneof![minutes, long].prop_map(|steps| {
        let mut ts_ms = 0;
        let samples = steps.into_iter().map(|(gap, kind)| {
            ts_ms += gap * 60_000 + i64::from(kind) * 100;
            (ts_ms, kind == 0)
        });

        samples.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn traces_say_what_the_samples_say_or_nothing(
        parts in prop::collection::vec((part(), any::<bool>()), 1..4),
        lookback_ms in prop_oneof![Just(300_000i64), 1..900_000i64],
    ) {
        // Of some parts only the last sample is known.
        let known = |(part, is_whole): &(Part, bool)| match part.last_key_value() {
            Some((ts_ms, is_stale)) if !is_whole => vec![Trace::last(*ts_ms, *is_stale)],
            _ => traces(part),
        };
        let all: Vec<Trace> = parts.iter().flat_map(known).collect();
        let parts: Vec<Part> = parts.into_iter().map(|(part, _)| part).collect();
        let times = parts.iter().flat_map(|part| part.keys().copied());
        let around = times.flat_map(|ts| [-1, 0, 1, 5_000, lookback_ms - 1, lookback_ms].map(|by| ts + by));

        for end_ms in around {
            let told = presence(&all, end_ms - lookback_ms, end_ms);
            let is = of_samples(&parts, end_ms - lookback_ms, end_ms);
            prop_assert!(told == is || told == Presence::Unknown, "{told:?} {is:?} at {end_ms}");
        }
    }

    #[test]
    fn behind_the_last_sample_that_sample_is_enough(part in part(), behind_ms in 0..600_000i64) {
        let Some((ts_ms, is_stale)) = part.last_key_value() else { return Ok(()) };
        let end_ms = ts_ms + behind_ms;

        let told = presence(&[Trace::last(*ts_ms, *is_stale)], end_ms - 300_000, end_ms);
        prop_assert_eq!(told, of_samples(std::slice::from_ref(&part), end_ms - 300_000, end_ms));
    }

    #[test]
    fn one_part_with_usual_gaps_is_always_known(part in part()) {
        let all = traces(&part);
        for end_ms in part.keys().flat_map(|ts| [-1, 0, 1, 299_999, 300_000].map(|by| ts + by)) {
            let told = presence(&all, end_ms - 300_000, end_ms);
            prop_assert_eq!(told, of_samples(std::slice::from_ref(&part), end_ms - 300_000, end_ms));
        }
    }
}

#[test]
fn a_long_gap_and_a_stale_marker_end_a_run() {
    let part = Part::from([
        (0, false),
        (300_000, false),
        (600_001, false),
        (600_002, true),
        (600_003, true),
    ]);
    let expected = [
        Trace {
            first_ms: 0,
            last_ms: 300_000,
            gap_ms: 300_000,
            stale_ms: Trace::NEVER,
        },
        Trace {
            first_ms: 600_001,
            last_ms: 600_002,
            gap_ms: 1,
            stale_ms: 600_002,
        },
        Trace::stale(600_003),
    ];

    assert_eq!(traces(&part), expected);
}

#[test]
fn many_runs_and_the_last_time_of_all_say_nothing() {
    let many: Part = (0..65).map(|hour| (hour * 3_600_000, false)).collect();
    assert_eq!(traces(&many), [Trace::UNKNOWN]);

    let at_the_end = Part::from([(i64::MAX, true)]);
    assert_eq!(traces(&at_the_end), [Trace::UNKNOWN]);
    assert_eq!(presence(&[Trace::UNKNOWN], 0, i64::MAX), Presence::Unknown);
    assert_eq!(
        presence(&[Trace::UNKNOWN], i64::MIN + 1, i64::MIN + 2),
        Presence::Unknown
    );
    assert_eq!(presence(&[], 0, 1), Presence::Absent);
}
