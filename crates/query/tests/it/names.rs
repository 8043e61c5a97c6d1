//! Label names and values: the indexes of heads and blocks must give the same as a walk through all
//! series.

use std::sync::Arc;
use std::time::Instant;

use duramen_bucket::Bucket;
use duramen_model::{Matcher, TimeRange};
use duramen_runtime::{Clock, SystemClock};
use duramen_source::{Columns, SeriesRequest, SeriesSource, walk};
use duramen_testkit::SimDisk;

use crate::system::System;

const SERIES: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_indices_of_head_and_blocks_know_what_a_walk_finds() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bucket = Bucket::memory(Arc::clone(&clock));
    let system = System::start(bucket, Arc::new(SimDisk::new()), Arc::clone(&clock))
        .await
        .unwrap();
    let now_ms = clock.now_ms();
    let samples: Vec<_> = (0..SERIES)
        .map(|n| (format!("{n:05}"), now_ms, 1.0))
        .collect();

    system.write(&samples).await.unwrap();

    let storage = system.storage(Arc::new(system.ingester.clone()));

    for place in ["head", "blocks", "head and blocks"] {
        match place {
            "blocks" => system.ingester.flush_all().await.unwrap(),
            "head and blocks" => {
                let more: Vec<_> = (0..10).map(|n| (format!("new {n}"), now_ms, 1.0)).collect();
                system.write(&more).await.unwrap();
            }
            _ => {}
        }

        for matchers in [
            vec![],
            vec![Matcher::equal("series", "00007")],
            vec![Matcher::regex("series", ".*[37]").unwrap()],
            vec![Matcher::equal("__name__", "nothing")],
        ] {
            let request = |range| SeriesRequest {
                matchers: Arc::from(matchers.as_slice()),
                range,
                columns: Columns::Labels,
                batch_series_max: SeriesRequest::BATCH_SERIES,
                reads: Arc::default(),
            };

            for range in [TimeRange::ALL, TimeRange::new(0, 1).unwrap()] {
                let request = request(range);
                let view = system.view(&storage).await.unwrap();
                let names = view.label_names(&request).await.unwrap();

                let batches = view.select(&request).await.unwrap();
                assert_eq!(
                    names,
                    walk::label_names(batches, &request.reads).await.unwrap(),
                    "{place}: {matchers:?}"
                );

                for name in ["series", "__name__", "nothing"] {
                    let values = view.label_values(&request, name).await.unwrap();
                    let batches = view.select(&request).await.unwrap();
                    let walked = walk::label_values(batches, name, &request.reads)
                        .await
                        .unwrap();

                    assert_eq!(values, walked, "{place}: {name} of {matchers:?}");
                }
            }
        }

        measure(&*system.view(&storage).await.unwrap(), place).await;
    }
}

/// Prints how long both ways take for few values of many series. Asserts nothing.
#[expect(clippy::disallowed_methods, reason = "a measurement for people")]
async fn measure(view: &dyn SeriesSource, place: &str) {
    let request = SeriesRequest {
        matchers: Arc::new([]),
        range: TimeRange::ALL,
        columns: Columns::Labels,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::default(),
    };

    for _ in 0..2 {
        let started = Instant::now();
        view.label_values(&request, "__name__").await.unwrap();

        let indexed = started.elapsed();
        let started = Instant::now();
        let batches = view.select(&request).await.unwrap();
        walk::label_values(batches, "__name__", &request.reads)
            .await
            .unwrap();
        println!(
            "{place}: {SERIES} series, values of __name__: {indexed:?} by index, {:?} by walk",
            started.elapsed()
        );
    }
}
