//! Idle series leave memory, and no sample is ever given to another series.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_block::{Block, BlockSource, OpenOptions};
use duramen_bucket::keys;
use duramen_ingest::Config;
use duramen_model::Labels;
use duramen_source::{Columns, Part, Reads, SeriesSource};
use duramen_testkit::prompb::v1::TimeSeries;
use futures::TryStreamExt;

use crate::body::{family, labels, of, of_metadata, one, sample};
use crate::system::{NOW_MS, System, tenant};

const SERIES: &str = "duramen_head_series{tenant=\"anonymous\"}";

/// Samples by the name of their series and their time.
pub(crate) type Samples = BTreeMap<(String, i64), f64>;

async fn read(system: &System, source: &Arc<dyn SeriesSource>, into: &mut Samples) {
    let mut batches = source
        .select(&system.request(Columns::Everything))
        .await
        .unwrap();

    while let Some(batch) = batches.try_next().await.unwrap() {
        for row in 0..batch.len() {
            let name = Labels::from_encoded(batch.labels_at(row))
                .unwrap()
                .metric_name()
                .to_owned();

            let (ts_ms, values) = batch.samples_at(row);
            for (ts_ms, value) in ts_ms.iter().zip(values) {
                assert_eq!(
                    into.insert((name.clone(), *ts_ms), *value),
                    None,
                    "a sample of {name} stands twice"
                );
            }
        }
    }
}

async fn in_parts(system: &System, parts: &[Part]) -> Samples {
    let mut found = Samples::new();
    for part in parts {
        read(system, &part.source, &mut found).await;
    }

    found
}

/// Returns all samples of the heads and of the blocks in the bucket.
pub(crate) async fn everything(system: &System) -> Samples {
    let mut found = in_parts(system, &system.parts().await).await;
    let tenant = system.tenant_id();

    for entry in system
        .manifests
        .refresh(tenant)
        .await
        .unwrap()
        .blocks
        .values()
    {
        let directory = keys::block(tenant, entry);
        let options = OpenOptions::default();

        let block = Block::open(
            system.bucket.store(),
            directory,
            &entry.stats,
            options,
            &Reads::default(),
        )
        .await;

        let source: Arc<dyn SeriesSource> = Arc::new(BlockSource::new(block.unwrap()));
        read(system, &source, &mut found).await;
    }

    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_idle_for_a_flush_makes_room_under_the_limits_and_what_is_written_stays() {
    let system = System::start().await;
    system.limit(|limits| limits.series_max = 2);
    system.store(&one("stays", NOW_MS, 1.0)).await;
    system.store(&one("goes", NOW_MS, 1.0)).await;

    assert!(
        !system
            .write(&one("new", NOW_MS, 1.0))
            .await
            .unwrap()
            .rejected
            .is_empty()
    );

    assert_eq!(system.metric(SERIES), 2.0);

    system.ingester.flush(&tenant()).await.unwrap();
    assert_eq!(
        system.metric(SERIES),
        2.0,
        "both were written since the flush before"
    );

    system.store(&one("stays", NOW_MS + 1, 1.0)).await;
    system.ingester.flush(&tenant()).await.unwrap();

    assert_eq!(system.metric(SERIES), 1.0);
    assert_eq!(system.metric("duramen_head_forgotten_series_total"), 1.0);

    system.store(&one("new", NOW_MS, 1.0)).await;
    system.store(&one("stays", NOW_MS + 2, 1.0)).await;

    assert!(
        !system
            .write(&one("goes", NOW_MS + 1, 1.0))
            .await
            .unwrap()
            .rejected
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_of_a_metric_are_counted_while_they_are_active() {
    let system = System::start().await;
    system.limit(|limits| limits.series_per_metric_max = Some(1));

    let pod = |pod: &str, ts_ms| {
        let labels = labels(&[("__name__", "m"), ("pod", pod)]);
        of([TimeSeries {
            labels,
            samples: vec![sample(ts_ms, 1.0)],
            ..TimeSeries::default()
        }])
    };

    system.store(&pod("a", NOW_MS)).await;
    assert!(
        !system
            .write(&pod("b", NOW_MS))
            .await
            .unwrap()
            .rejected
            .is_empty()
    );

    system.ingester.flush(&tenant()).await.unwrap();
    system.ingester.flush(&tenant()).await.unwrap();
    system.store(&pod("b", NOW_MS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_labels_comes_back_with_the_series() {
    let system = System::start().await;
    let long = "x".repeat(2000);

    let body = of((0..200).map(|at| {
        let labels = labels(&[("__name__", "m"), ("value", &format!("{at}{long}"))]);
        TimeSeries {
            labels,
            samples: vec![sample(NOW_MS, 1.0)],
            ..TimeSeries::default()
        }
    }));

    system.store(&body).await;

    let held = system.metric("duramen_head_bytes");
    assert!(held > 400_000.0, "{held}");

    system.ingester.flush(&tenant()).await.unwrap();
    system.ingester.flush(&tenant()).await.unwrap();

    let left = system.metric("duramen_head_bytes");
    assert!(left < 50_000.0, "{left}");
    assert_eq!(system.memory.used_by(duramen_qos::Use::Head) as f64, left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_has_stopped_is_forgotten_by_itself() {
    let system = System::start().await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    let forgotten = async {
        while system.metric(SERIES) > 0.0 {
            system.clock.advance(Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
    };

    tokio::time::timeout(Duration::from_secs(60), forgotten)
        .await
        .unwrap();
    assert_eq!(everything(&system).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_from_before_reads_what_was_forgotten_since() {
    let config = Config {
        wal_segment_bytes_max: 1,
        ..Config::default()
    };

    let system = System::with(config).await;
    for name in ["a", "b", "c"] {
        system.store(&one(name, NOW_MS, 1.0)).await;
    }

    let parts = system.parts().await;
    let before = in_parts(&system, &parts).await;

    assert_eq!(before.len(), 3);

    for round in 0..4 {
        system.ingester.flush(&tenant()).await.unwrap();
        system
            .store(&one(&format!("other_{round}"), NOW_MS, 2.0))
            .await;
    }

    assert_eq!(in_parts(&system, &parts).await, before);

    drop(parts);
    system.ingester.flush(&tenant()).await.unwrap();
    system.ingester.flush(&tenant()).await.unwrap();

    assert_eq!(system.metric(SERIES), 0.0);
    assert_eq!(everything(&system).await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_nobody_tells_any_more_makes_room_when_there_is_too_much() {
    let system = System::start().await;
    system.limit(|limits| limits.metadata_families_max = 10);

    system
        .store(&of_metadata(
            (0..10).map(|at| family(&format!("old_{at}"), "Help.")),
        ))
        .await;

    assert!(
        !system
            .write(&of_metadata([family("new", "")]))
            .await
            .unwrap()
            .lost_metadata
            .is_empty()
    );

    system.clock.advance(Duration::from_secs(2 * 15 * 60 + 1));
    system.ingester.flush(&tenant()).await.unwrap();
    system.store(&of_metadata([family("new", "")])).await;

    // The ingester also flushes by itself when the clock moves. It forgets once more, before the
    // family came or after it.
    let left: Vec<String> = system
        .families()
        .await
        .into_iter()
        .map(|family| family.family)
        .collect();

    assert!(left.contains(&"new".to_owned()), "{left:?}");
    assert!((9..=10).contains(&left.len()), "{left:?}");
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);

        (self.0 >> 33) % end
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_sample_is_of_its_series_however_series_come_and_go() {
    for seed in 0..6 {
        let mut dice = Dice(seed);

        // The segments are small, so that numbers are given again, and several flushes happen
        // within one.
        let config = Config {
            wal_segment_bytes_max: 600 + 400 * seed,
            ..Config::default()
        };

        let mut system = System::with(config).await;
        let mut acknowledged = Samples::new();

        for round in 0..60 {
            let names: Vec<String> = (0..dice.below(6))
                .map(|_| format!("m{}", dice.below(24)))
                .collect();
            for (at, name) in names.iter().enumerate() {
                let ts_ms = NOW_MS + round * 100 + i64::try_from(at).unwrap();
                let value = f64::from(u32::try_from(dice.below(1000)).unwrap());
                system.store(&one(name, ts_ms, value)).await;
                acknowledged.insert((name.clone(), ts_ms), value);
            }

            match dice.below(8) {
                0..=3 => _ = system.ingester.flush(&tenant()).await.unwrap(),
                4 => system = system.crash().await,
                _ => {}
            }

            if round % 20 == 19 && !acknowledged.is_empty() {
                assert_eq!(
                    everything(&system).await,
                    acknowledged,
                    "seed {seed}, round {round}"
                );
            }
        }
    }
}
