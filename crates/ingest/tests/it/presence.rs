//! When the series of a head are present, told without their samples.

use duramen_model::{Labels, STALE_NAN, TimeRange, is_stale};
use duramen_source::presence::presence;
use duramen_source::{Columns, Part, Presence, PresenceBatch, SeriesRequest};
use duramen_testkit::prompb::v1::TimeSeries;
use futures::TryStreamExt;

use crate::body::{histogram, of, sample, series};
use crate::system::{NOW_MS, System};

const LOOKBACK_MS: i64 = 300_000;

/// Series that last, end with a stale marker, have gaps, late samples, or histograms.
fn all() -> Vec<u8> {
    let at = |name: &str, times: &[(i64, f64)]| TimeSeries {
        samples: times
            .iter()
            .map(|(ago_s, value)| sample(NOW_MS - ago_s * 1000, *value))
            .collect(),
        ..series(name)
    };

    of([
        at(
            "lasts",
            &[(60, 1.0), (45, 1.0), (30, 1.0), (15, 1.0), (0, 1.0)],
        ),
        at("ends", &[(60, 1.0), (45, 1.0), (30, STALE_NAN)]),
        at("comes_back", &[(60, 1.0), (45, STALE_NAN), (10, 1.0)]),
        at("has_a_gap", &[(1000, 1.0), (10, 1.0)]),
        at("is_late", &[(10, 1.0), (50, STALE_NAN), (40, 1.0)]),
        TimeSeries {
            histograms: vec![histogram(NOW_MS - 5000, 1)],
            ..series("is_a_histogram")
        },
    ])
}

/// Compares what the only part tells with its samples, for steps from `start_ms` to `end_ms`.
/// Returns how many answers were undecided.
async fn check(parts: &[Part], system: &System, start_ms: i64, end_ms: i64) -> usize {
    assert_eq!(parts.len(), 1, "one generation");
    let source = &parts[0].source;

    let request = SeriesRequest {
        range: TimeRange::new(start_ms - LOOKBACK_MS + 1, end_ms + 1).unwrap(),
        ..system.request(Columns::Samples)
    };

    let batches = source.select(&request).await.unwrap();
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    let rows = batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)));

    let traces = source.presence(&request, start_ms).await.unwrap().unwrap();
    let traces: Vec<_> = traces.try_collect().await.unwrap();
    let mut traced = traces
        .iter()
        .flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)));

    let mut undecided = 0;

    for (batch, row) in rows {
        let (traces, place) = traced.next().unwrap();
        let labels = Labels::from_encoded(batch.labels_at(row)).unwrap();
        assert_eq!(labels.encoded(), traces.labels_at(place));

        for end_ms in (start_ms..=end_ms).step_by(5000) {
            let told = presence(traces.traces_at(place), end_ms - LOOKBACK_MS, end_ms);
            if told == Presence::Unknown {
                undecided += 1;
                continue;
            }

            let (ts, values) = batch.samples_at(row);
            let newest = ts.iter().zip(values).rfind(|(ts_ms, _)| **ts_ms <= end_ms);
            let is = newest
                .is_some_and(|(ts_ms, value)| *ts_ms > end_ms - LOOKBACK_MS && !is_stale(*value));

            assert_eq!(told == Presence::Present, is, "{labels:?} at {end_ms}");
        }
    }

    assert!(traced.next().is_none());
    traces.iter().for_each(check_names);
    undecided
}

/// Compares the labels with some names to all labels.
fn check_names(batch: &PresenceBatch) {
    for names in [
        vec![],
        vec!["__name__"],
        vec!["__name__", "absent"],
        vec!["absent", "job"],
    ] {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let kept = batch.labels_with(&names);

        for row in 0..batch.len() {
            let all = Labels::from_encoded(batch.labels_at(row)).unwrap();
            let wanted = all
                .iter()
                .filter(|(name, _)| names.iter().any(|n| n == name));

            assert_eq!(
                Labels::from_encoded(kept.value(row)).unwrap(),
                Labels::from_pairs(wanted).unwrap()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_tells_what_its_samples_say_at_each_moment() {
    let system = System::start().await;
    system.store(&all()).await;
    let moment = system.parts().await;

    let steps = [
        (NOW_MS, NOW_MS, 1),
        (NOW_MS - 40_000, NOW_MS + 20_000, 13),
        (NOW_MS - 90_000, NOW_MS, 19),
    ];

    for (start_ms, end_ms, of_the_histogram) in steps {
        let undecided = check(&moment, &system, start_ms, end_ms).await;
        assert_eq!(undecided, of_the_histogram);
    }

    let later = TimeSeries {
        samples: vec![sample(NOW_MS + 1000, STALE_NAN)],
        ..series("lasts")
    };

    system.store(&of([later])).await;

    for (start_ms, end_ms, _) in steps {
        check(&moment, &system, start_ms, end_ms).await;
        check(&system.parts().await, &system, start_ms, end_ms + 5000).await;
    }
}
