//! Life spans: a sample with a life span stands that long, and the look-back does not apply to it.

use duramen_model::{Life, STALE_NAN, Sample, is_stale};
use duramen_promql::{QueryTimes, Value};
use duramen_source::MemorySource;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::engine::{context, engine, labels};

const LOOKBACK_MS: i64 = 300_000;

/// Returns the value at a time, directly by the documented rule.
fn naive(samples: &[(i64, f64, i64)], time_ms: i64) -> Option<f64> {
    let (ts_ms, value, ttl_ms) = *samples.iter().rev().find(|(ts_ms, ..)| *ts_ms <= time_ms)?;
    let end_ms = if ttl_ms > 0 {
        ts_ms + ttl_ms
    } else {
        ts_ms + LOOKBACK_MS
    };

    (!is_stale(value) && time_ms < end_ms).then_some(value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_stands_for_its_life_span_instead_of_the_look_back() {
    let query = duramen_syntax::parse("up offset 7s").unwrap();
    let mut longer = 0;
    let mut shorter = 0;

    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut samples = Vec::new();
        let mut ts_ms = 0;

        for at in 0..random.random_range(1..12) {
            ts_ms += random.random_range(1_000..200_000);

            let value = if random.random_range(0..5) == 0 {
                STALE_NAN
            } else {
                f64::from(at)
            };

            let ttl_ms = [0, 0, 1, 20_000, 299_999, 300_000, 900_000][random.random_range(0..7)];
            samples.push((ts_ms, value, ttl_ms));
        }

        let mut source = MemorySource::default();

        for &(ts_ms, value, ttl_ms) in &samples {
            let life = Life {
                start_ms: 0,
                ttl_ms,
            };

            source.push_with_life(labels("up"), Sample::new(ts_ms, value), life);
        }

        let context = context(source);
        let start_ms = 7_000;
        let end_ms = 3_000_000;
        let step_ms = 7_919;
        let answer = engine(2)
            .range(
                &context,
                &query,
                QueryTimes::range(start_ms, end_ms, step_ms).unwrap(),
            )
            .await
            .unwrap();

        let Value::Matrix(series) = answer.value else {
            panic!("no matrix")
        };
        let got: Vec<(i64, f64)> = series
            .iter()
            .flat_map(|series| series.points.clone())
            .collect();

        let steps = (0..=(end_ms - start_ms) / step_ms).map(|step| start_ms + step * step_ms);
        let wanted: Vec<_> = steps
            .filter_map(|time| Some((time, naive(&samples, time - 7_000)?)))
            .collect();

        assert_eq!(got, wanted, "seed {seed}: {samples:?}");

        longer += samples
            .iter()
            .filter(|sample| sample.2 > LOOKBACK_MS)
            .count();

        shorter += samples
            .iter()
            .filter(|sample| sample.2 > 0 && sample.2 < LOOKBACK_MS)
            .count();
    }

    assert!(longer > 20 && shorter > 20, "{longer} {shorter}");
}
