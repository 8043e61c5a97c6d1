//! A view of a head at one moment does not change, whatever is written later and wherever the
//! samples go.

use std::collections::BTreeSet;

use duramen_model::{Labels, TenantName};
use duramen_source::{Columns, Part, SeriesExemplars, SeriesRequest, SeriesSummary};
use duramen_testkit::prompb::v1::TimeSeries;
use futures::{StreamExt, TryStreamExt};

use crate::body::{exemplar, histogram, of, sample, series};
use crate::system::{NOW_MS, System};

/// All data of the parts of a snapshot.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    /// The series, with times and bits of their floats.
    floats: Vec<(Labels, Vec<(i64, u64)>)>,
    histograms: Vec<(Labels, i64, Vec<u8>)>,
    exemplars: Vec<SeriesExemplars>,
    summaries: Vec<SeriesSummary>,
    /// The series of a request for labels only.
    series: Vec<Labels>,
    names: BTreeSet<String>,
    values: BTreeSet<String>,
    ttl_max_ms: i64,
}

async fn contents(parts: &[Part], request: &SeriesRequest) -> Contents {
    let mut found = Contents::default();

    for Part { source, .. } in parts {
        let mut batches = source.select(request).await.unwrap();

        while let Some(batch) = batches.try_next().await.unwrap() {
            for row in 0..batch.len() {
                let labels = Labels::from_encoded(batch.labels_at(row)).unwrap();
                let (ts, values) = batch.samples_at(row);
                let floats = ts
                    .iter()
                    .copied()
                    .zip(values.iter().map(|value| value.to_bits()));

                found.floats.push((labels.clone(), floats.collect()));

                let histograms = batch.histograms_at(row);
                found.histograms.extend(
                    histograms.map(|held| (labels.clone(), held.ts_ms, held.bytes.to_vec())),
                );
            }
        }

        let only_labels = SeriesRequest {
            columns: Columns::Labels,
            ..request.clone()
        };

        let mut batches = source.select(&only_labels).await.unwrap();
        while let Some(batch) = batches.try_next().await.unwrap() {
            let labels =
                (0..batch.len()).map(|row| Labels::from_encoded(batch.labels_at(row)).unwrap());
            found.series.extend(labels);
        }

        found
            .exemplars
            .extend(source.exemplars(request).await.unwrap());
        found
            .summaries
            .extend(source.summaries(request).await.unwrap());
        found
            .names
            .extend(source.label_names(request).await.unwrap());
        found
            .values
            .extend(source.label_values(request, "__name__").await.unwrap());
        found.ttl_max_ms = found.ttl_max_ms.max(source.ttl_max_ms().await.unwrap());
    }

    found
}

/// Returns a body with ten series of floats, histograms and exemplars.
fn first() -> Vec<u8> {
    of((0..10).map(|at| TimeSeries {
        samples: vec![sample(NOW_MS - 5000, 1.0), sample(NOW_MS, 2.0)],
        histograms: vec![histogram(NOW_MS - 2500, 3)],
        exemplars: vec![exemplar(NOW_MS, "first")],
        ..series(&format!("m{at}"))
    }))
}

/// Returns bodies to write after a moment: each kind of data for existing series.
fn later() -> [(&'static str, Vec<u8>); 6] {
    let to_all = |change: fn(&mut TimeSeries)| {
        of((0..10).map(|at| {
            let mut series = series(&format!("m{at}"));
            change(&mut series);
            series
        }))
    };

    [
        (
            "in order",
            to_all(|series| series.samples.push(sample(NOW_MS + 1000, 3.0))),
        ),
        (
            "late",
            to_all(|series| series.samples.push(sample(NOW_MS - 1000, 4.0))),
        ),
        (
            "earlier than all",
            to_all(|series| series.samples.push(sample(NOW_MS - 9000, 5.0))),
        ),
        (
            "histograms",
            to_all(|series| {
                series
                    .histograms
                    .extend([histogram(NOW_MS - 4000, 4), histogram(NOW_MS + 500, 4)])
            }),
        ),
        (
            "exemplars",
            to_all(|series| series.exemplars.push(exemplar(NOW_MS + 1000, "second"))),
        ),
        (
            "a life span",
            to_all(|series| {
                let mut sample = sample(NOW_MS + 2000, 6.0);
                sample.ttl_ms = 60_000;
                series.samples.push(sample);
            }),
        ),
    ]
}

#[tokio::test]
async fn a_moment_shows_nothing_that_is_written_after_it() {
    let system = System::start().await;
    system.limit(|limits| limits.exemplars_max = 20);
    system.store(&first()).await;

    let request = system.request(Columns::Everything);
    let moment = system.parts().await;
    let before = contents(&moment, &request).await;

    assert_eq!(
        (
            before.floats.len(),
            before.histograms.len(),
            before.exemplars.len()
        ),
        (10, 10, 10)
    );

    for (kind, body) in later() {
        system.store(&body).await;
        assert_eq!(
            contents(&moment, &request).await,
            before,
            "{kind} to series that are there"
        );

        assert_ne!(
            contents(&system.parts().await, &request).await,
            before,
            "{kind} is read by those who come later"
        );
    }

    // New series, whose exemplars displace old ones.
    let new = (10..40).map(|at| TimeSeries {
        samples: vec![sample(NOW_MS, 1.0)],
        exemplars: vec![exemplar(NOW_MS + 2000, "new")],
        ..series(&format!("m{at}"))
    });

    system.store(&of(new)).await;
    assert_eq!(contents(&moment, &request).await, before, "new series");
}

#[tokio::test]
async fn a_scan_shows_nothing_that_is_written_while_it_runs() {
    for (kind, body) in later() {
        let system = System::start().await;
        system.store(&first()).await;

        let request = system.request(Columns::Everything);
        let parts = system.parts().await;
        let [part] = parts.as_slice() else {
            panic!("there is one generation")
        };

        let mut batches = part.source.select(&request).await.unwrap();
        let half: Vec<_> = batches.by_ref().take(2).try_collect().await.unwrap();
        system.store(&body).await;

        let rest: Vec<_> = batches.try_collect().await.unwrap();

        let all = half.into_iter().chain(rest);
        let counts: Vec<_> = all
            .flat_map(|batch| {
                let of = |row| {
                    (
                        batch.samples_at(row).0.len(),
                        batch.histograms_at(row).count(),
                    )
                };

                (0..batch.len()).map(of).collect::<Vec<_>>()
            })
            .collect();

        assert_eq!(counts, [(2, 1); 10], "{kind}");
    }
}

#[tokio::test]
async fn moments_that_follow_each_other_keep_what_each_of_them_saw() {
    let system = System::start().await;
    system.store(&first()).await;

    let request = system.request(Columns::Everything);
    let mut moments = Vec::new();

    for (_, body) in later() {
        let moment = system.parts().await;
        let before = contents(&moment, &request).await;
        moments.push((moment, before));
        system.store(&body).await;
    }

    // The moments end in another order than they began.
    for last in [3, 0, 2] {
        moments.remove(last);
        system
            .store(&of([TimeSeries {
                samples: vec![sample(NOW_MS + 9000 + last as i64, 0.5)],
                ..series("m3")
            }]))
            .await;

        for (moment, before) in &moments {
            assert_eq!(contents(moment, &request).await, *before);
        }
    }
}

#[tokio::test]
async fn a_moment_stays_while_its_generation_is_frozen_staged_and_committed() {
    let system = System::start().await;
    system.store(&first()).await;

    let request = system.request(Columns::Everything);
    let moment = system.parts().await;
    let before = contents(&moment, &request).await;

    for (kind, body) in later() {
        system.store(&body).await;
        system
            .ingester
            .flush(&TenantName::parse("anonymous").unwrap())
            .await
            .unwrap();

        assert_eq!(contents(&moment, &request).await, before, "{kind}");
    }
}

#[tokio::test]
async fn samples_that_were_there_and_are_sent_again_change_nothing() {
    let system = System::start().await;
    system.store(&first()).await;

    let request = system.request(Columns::Everything);
    let moment = system.parts().await;
    let before = contents(&moment, &request).await;

    system.store(&first()).await;
    assert_eq!(contents(&moment, &request).await, before);
    assert_eq!(contents(&system.parts().await, &request).await, before);
}

#[tokio::test]
async fn a_part_without_samples_says_so() {
    let system = System::start().await;
    let hold = |parts: Vec<Part>| -> Vec<bool> {
        let hold = parts.iter().map(|part| part.holds_samples);
        hold.collect()
    };

    // A write makes the tenant; the open generation has its samples until the flush.
    system.store(&first()).await;
    assert_eq!(hold(system.parts().await), [true]);

    system.ingester.flush_all().await.unwrap();
    assert_eq!(hold(system.parts().await), [false]);

    system.store(&first()).await;
    assert_eq!(hold(system.parts().await), [true]);
}
