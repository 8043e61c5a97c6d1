//! A query of a head does not hold up writes.

use std::sync::Arc;

use duramen_model::Matcher;
use duramen_runtime::Workers;
use duramen_source::{Columns, SeriesRequest};
use duramen_testkit::prompb::v1::TimeSeries;

use crate::body::{labels, of, one, sample};
use crate::system::{NOW_MS, System};

/// Returns a text of `a` and `b` that is slow to match with a pattern that counts them.
fn text(length: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;

        if state.is_multiple_of(2) { 'a' } else { 'b' }
    };

    (0..length).map(|_| next()).collect()
}

fn one_with(value: &str) -> TimeSeries {
    let labels = labels(&[("__name__", "hard"), ("value", value)]);
    TimeSeries {
        labels,
        samples: vec![sample(NOW_MS, 1.0)],
        ..TimeSeries::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_new_series_go_on_while_a_pattern_is_held_against_values() {
    let system = System::start().await;
    system
        .store(&of((0..150).map(|seed| one_with(&text(1000, seed)))))
        .await;

    let pattern = Matcher::regex("value", ".*a[ab]{80}b[ab]{80}a.*z").unwrap();
    let request = SeriesRequest {
        matchers: Arc::from([pattern]),
        ..system.request(Columns::Samples)
    };

    let part = system.parts().await.remove(0);
    let workers = Workers::start("queries").unwrap();
    let matching = workers.spawn(async move { part.source.select(&request).await.map(drop) });

    let mut written = 0;
    while !matching.is_finished() {
        system
            .store(&one(&format!("new_{written}"), NOW_MS, 1.0))
            .await;
        written += 1;
    }

    matching.await.unwrap().unwrap();
    assert!(
        written >= 10,
        "{written} writes were done while the pattern was held against values"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_was_given_up_matches_no_more() {
    let system = System::start().await;
    system
        .store(&of((0..150).map(|seed| one_with(&text(1000, seed)))))
        .await;

    let pattern = Matcher::regex("value", ".*a[ab]{80}b[ab]{80}a.*z").unwrap();
    let request = SeriesRequest {
        matchers: Arc::from([pattern]),
        ..system.request(Columns::Samples)
    };

    let part = system.parts().await.remove(0);
    let (ended, end) = tokio::sync::oneshot::channel();
    let workers = Workers::start("queries").unwrap();
    let matching = workers.spawn(async move {
        let selected = part.source.select(&request).await.map(drop);
        let _ = ended.send(selected.is_ok());
    });

    system.store(&one("meanwhile", NOW_MS, 1.0)).await;
    drop(matching);

    assert!(end.await.is_err(), "it was matched to the end");
}
