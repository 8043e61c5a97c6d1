//! A query opens only the siblings whose metric names its matchers can meet.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_block::BlockLimits;
use duramen_bucket::Bucket;
use duramen_model::{Labels, Matcher, TimeRange};
use duramen_proto::WriteRequestEncoder;
use duramen_runtime::{Clock, SystemClock};
use duramen_source::{Columns, Read, Reads, SeriesRequest};
use duramen_testkit::SimDisk;
use futures::TryStreamExt;

use crate::system::{System, tenant};

/// The names that a query finds, the number of blocks that it opens, and its GETs.
async fn ask(system: &System, matchers: &[Matcher]) -> (BTreeSet<String>, u64, u64) {
    let reads = Arc::new(Reads::default());
    let request = SeriesRequest {
        matchers: Arc::from(matchers),
        range: TimeRange::ALL,
        columns: Columns::Samples,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::clone(&reads),
    };

    // Each query has caches of its own, so that its GETs do not depend on the queries before.
    let storage = system.storage(Arc::new(system.ingester.clone()));
    let view = system.view(&storage).await.unwrap();
    let batches: Vec<_> = view
        .select(&request)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();

    let names = batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(|row| batch.labels_at(row)))
        .map(|labels| {
            let labels = Labels::from_encoded(labels).unwrap();
            labels.metric_name().to_owned()
        })
        .collect();

    let opened = reads.get(Read::BlocksOpened);
    (names, opened, reads.get(Read::Gets))
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_without_a_name_that_matches_cost_no_request() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bucket = Bucket::memory(Arc::clone(&clock));
    let limits = BlockLimits {
        series_max: 2,
        ..BlockLimits::default()
    };

    let disk = Arc::new(SimDisk::new());
    let system = System::start_with(bucket, disk, Arc::clone(&clock), limits)
        .await
        .unwrap();

    // Three siblings: a and b, c and d, e.
    let mut encoder = WriteRequestEncoder::default();
    for name in ["a", "b", "c", "d", "e"] {
        encoder.push([("__name__", name)], [(clock.now_ms(), 1.0)]);
    }

    let body = encoder.finish();
    let version = duramen_proto::Version::One;
    system
        .ingester
        .write(&tenant(), version, &body)
        .await
        .unwrap();
    system.ingester.flush_all().await.unwrap();

    let name = |op: &str, value: &str| match op {
        "=" => Matcher::equal("__name__", value),
        "!=" => Matcher::not_equal("__name__", value),
        _ => Matcher::regex("__name__", value).unwrap(),
    };

    let (_, _, gets_of_one) = ask(&system, &[name("=", "a")]).await;

    for (matchers, names, opened) in [
        (vec![name("=", "a")], vec!["a"], 1),
        (vec![name("=", "e")], vec!["e"], 1),
        (vec![name("=", "bb")], vec![], 0),
        (vec![name("=", "x")], vec![], 0),
        (vec![name("=~", "a|e")], vec!["a", "e"], 2),
        (vec![name("=~", "d.*")], vec!["d"], 1),
        (vec![name("=~", "[cd]"), name("!=", "c")], vec!["d"], 1),
        (vec![name("!=", "c")], vec!["a", "b", "d", "e"], 3),
        (vec![], vec!["a", "b", "c", "d", "e"], 3),
        (
            vec![Matcher::equal("job", "")],
            vec!["a", "b", "c", "d", "e"],
            3,
        ),
    ] {
        let (found, blocks, gets) = ask(&system, &matchers).await;

        assert_eq!(Vec::from_iter(found), names, "{matchers:?}");
        assert_eq!(blocks, opened, "{matchers:?}");
        assert_eq!(gets, opened * gets_of_one, "{matchers:?}");
    }
}
