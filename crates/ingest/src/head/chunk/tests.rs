use std::collections::BTreeMap;

use proptest::prelude::*;

use super::codec::WHOLE_MAX;
use super::*;

fn samples(chunk: &Chunk) -> Vec<(i64, u64)> {
    let mut out = Vec::new();
    chunk
        .now()
        .for_each(|ts, value, _| out.push((ts, value.to_bits())));
    out
}

#[test]
fn the_first_value_for_a_time_stays() {
    let mut chunk = Chunk::default();
    assert_eq!(chunk.push(10, 1.0, Life::NONE, 0), Pushed::Stored);
    assert_eq!(chunk.push(20, 2.0, Life::NONE, 0), Pushed::Stored);
    assert_eq!(chunk.push(10, 1.0, Life::NONE, 0), Pushed::Repeated);
    assert_eq!(chunk.push(10, 3.0, Life::NONE, 0), Pushed::Conflict);
    assert_eq!(chunk.push(15, 4.0, Life::NONE, 0), Pushed::Stored);
    assert_eq!(chunk.push(15, 5.0, Life::NONE, 0), Pushed::Conflict);
    assert_eq!(chunk.push(5, 6.0, Life::NONE, 0), Pushed::Stored);
    assert_eq!(chunk.now().span(), Some((5, 20)));

    let expected = [(5, 6.0f64), (10, 1.0), (15, 4.0), (20, 2.0)];
    assert_eq!(samples(&chunk), expected.map(|(ts, v)| (ts, v.to_bits())));
}

#[test]
fn zeros_of_both_signs_and_all_nans_are_values_of_their_own() {
    let mut chunk = Chunk::default();
    let bits = [
        0.0f64.to_bits(),
        (-0.0f64).to_bits(),
        0x7ff0_0000_0000_0002,
        0x7ff8_0000_0000_0001,
        0,
        u64::MAX,
    ];

    for (ts, bits) in (0..).zip(bits) {
        chunk.push(ts, f64::from_bits(bits), Life::NONE, 0);
    }

    assert_eq!(
        samples(&chunk).iter().map(|s| s.1).collect::<Vec<_>>(),
        bits
    );

    assert_eq!(chunk.push(0, -0.0, Life::NONE, 0), Pushed::Conflict);
}

#[test]
fn a_steady_counter_takes_two_bytes_a_sample() {
    let mut chunk = Chunk::default();

    for i in 0..1_000 {
        chunk.push(
            1_700_000_000_000 + i * 15_000,
            1e6 + i as f64 * 17.0,
            Life::NONE,
            0,
        );
    }

    assert!(chunk.bytes.len() < 2_100, "{}", chunk.bytes.len());
    assert!(chunk.rare.is_none());
}

#[test]
fn a_life_that_does_not_change_takes_bytes_once() {
    let mut plain = Chunk::default();
    let mut chunk = Chunk::default();
    let life = Life {
        start_ms: 1_700_000_000_000,
        ttl_ms: 60_000,
    };

    for i in 0..1_000 {
        let ts = 1_700_000_000_000 + i * 15_000;
        let value = i as f64;
        plain.push(ts, value, Life::NONE, 0);
        chunk.push(ts, value, life, 0);
    }

    let extra = chunk.bytes.len() - plain.bytes.len();
    assert!((1..10).contains(&extra), "{extra}");

    assert!(
        chunk.memory() < plain.memory() + 200,
        "{} against {}",
        chunk.memory(),
        plain.memory()
    );
}

#[test]
fn late_samples_are_found_among_many_without_reading_them_all() {
    let mut chunk = Chunk::default();
    for i in 0..10_000 {
        assert_eq!(chunk.push(i * 2, i as f64, Life::NONE, 0), Pushed::Stored);
    }

    for i in (0..10_000).rev() {
        assert_eq!(chunk.push(i * 2, i as f64, Life::NONE, 0), Pushed::Repeated);
        assert_eq!(chunk.push(i * 2, -1.0, Life::NONE, 0), Pushed::Conflict);
        assert_eq!(chunk.push(i * 2 - 1, 0.5, Life::NONE, 0), Pushed::Stored);

        assert!(
            chunk
                .in_order_near(i * 2)
                .position(|held| held.0 >= i * 2)
                .unwrap()
                <= MARK_EVERY as usize
        );
    }

    assert_eq!(samples(&chunk).len(), 20_000);
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<i32>().prop_map(|v| f64::from(v).to_bits()),
        (0..100i32).prop_map(|v| (f64::from(v) / 10.0).to_bits()),
        Just((-0.0f64).to_bits()),
        Just((WHOLE_MAX as f64).to_bits()),
        Just((-(WHOLE_MAX as f64)).to_bits()),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let number = prop_oneof![3 => Just(0i64), 1 => 0..3i64, 1 => any::<i64>()];
    (number.clone(), number).prop_map(|(start_ms, ttl_ms)| Life { start_ms, ttl_ms })
}

proptest! {
    #[test]
    fn a_chunk_holds_the_first_value_and_life_of_each_time(
        offered in prop::collection::vec(
            (prop_oneof![any::<i64>(), 0..50i64, 0..100_000i64], value(), life()), 0..400
        )
    ) {
        let mut chunk = Chunk::default();
        let mut model = BTreeMap::new();

        for (ts, bits, life) in offered {
            let expected = match model.get(&ts) {
                None => Pushed::Stored,
                Some((held, _)) if *held == bits => Pushed::Repeated,
                Some(_) => Pushed::Conflict,
            };

            model.entry(ts).or_insert((bits, life));
            prop_assert_eq!(chunk.push(ts, f64::from_bits(bits), life, 0), expected);
        }

        let mut held = Vec::new();
        chunk.now().for_each(|ts, value, life| held.push((ts, (value.to_bits(), life))));

        prop_assert_eq!(chunk.now().len(), held.len());
        prop_assert_eq!(held, model.into_iter().collect::<Vec<_>>());
    }
}
