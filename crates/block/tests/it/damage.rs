//! Every kind of damage is found, and the error names the object. Damage never leads to a wrong
//! value or a panic.

use std::sync::Arc;

use duramen_block::{Block, Error};
use duramen_model::{
    BlockStats, Counts, ErrorKind, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType,
    ResetHint, Span,
};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::fixture::{
    Series, collect, collect_all, in_memory, in_memory_with, key, names, open, request, sorted,
};
use crate::round_trip::small;

pub(crate) fn series() -> Vec<Series> {
    let one = |i: i64| {
        let number = i.to_string();
        let values = (0..40).map(move |t| {
            (
                t * 15_000 + i,
                if i % 3 == 0 {
                    (t as f64).sqrt()
                } else {
                    t as f64 / 10.0
                },
            )
        });

        let mut series = Series::new(&[("__name__", "m"), ("i", &number)], values);

        if i % 10 == 0 {
            let life = Life {
                start_ms: i,
                ttl_ms: 1,
            };

            series.histograms = (40..60)
                .map(|t| (t * 15_000 + i, life, histogram(t)))
                .collect();

            let labels = Labels::from_pairs([("id", number.as_str())]).unwrap();
            series.exemplars = (0..9)
                .map(|ts_ms| Exemplar {
                    ts_ms,
                    value: 0.5,
                    labels: labels.clone(),
                })
                .collect();
        }

        series
    };

    sorted((0..60).map(one).collect())
}

fn histogram(t: i64) -> Vec<u8> {
    let counts = Counts::Integer {
        count: t.unsigned_abs(),
        zero_count: 0,
        positive: (0..8).map(|i| i * t % 5).collect(),
        negative: vec![],
    };

    let histogram = Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: (t as f64).sqrt(),
        zero_threshold: 0.001,
        counts,
        positive_spans: vec![Span {
            offset: 0,
            length: 8,
        }],
        negative_spans: vec![],
        custom_values: vec![],
    };

    histogram.to_bytes()
}

pub(crate) fn families() -> Vec<FamilyMetadata> {
    let family = |i: i64| FamilyMetadata {
        family: format!("family_{i:03}"),
        kind: MetricType::Gauge,
        help: format!("The {i}th."),
        unit: String::new(),
        last_seen_ms: i,
    };

    (0..50).map(family).collect()
}

/// All contents of a block.
type Contents = (Vec<Series>, Vec<FamilyMetadata>);

/// Reads the block by queries and by a full check. Returns its contents, and whether the check
/// passed.
async fn read(
    store: &Arc<InMemory>,
    stats: &BlockStats,
) -> Result<(Contents, Result<(), Error>), ErrorKind> {
    let block: Arc<Block> = open(Arc::clone(store) as Arc<dyn ObjectStore>, stats)
        .await
        .map_err(|e| e.kind())?;
    let found = collect_all(&block).await.map_err(|e| e.kind())?;
    Ok((found, block.verify().await))
}

/// Replaces a file by each of its damaged forms. Each must be found.
async fn check(damage: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let contents = (series(), families());
    let (store, stats) = in_memory_with(&contents.0, contents.1.clone(), small()).await;

    assert_eq!(names(&stats).len(), 6);

    let mut tried = 0;

    for name in names(&stats) {
        let at = key().join(name.as_str());
        let good = store.get(&at).await.unwrap().bytes().await.unwrap();

        for bad in damage(&good) {
            store.put(&at, bad.into()).await.unwrap();

            match read(&store, &stats).await {
                Err(kind) => assert_eq!(kind, ErrorKind::Corrupt, "{name}"),
                Ok((found, verified)) => {
                    assert!(found == contents, "{name}: a wrong answer");

                    let error = verified
                        .expect_err("damage that a query does not touch is found by the check");
                    assert!(
                        matches!(error, Error::Checksum { .. } | Error::Size { .. }),
                        "{error}"
                    );

                    assert!(error.to_string().contains(at.as_ref()), "{error}");
                }
            }

            tried += 1;
        }

        store.put(&at, good.into()).await.unwrap();
    }

    assert!(tried > 30, "{tried}");

    let (found, verified) = read(&store, &stats).await.unwrap();
    assert!(found == contents && verified.is_ok());
}

#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_is() {
    check(|good| {
        let flip = |at: usize, bit: usize| {
            let mut bad = good.to_vec();
            bad[at] ^= 1 << bit;
            bad
        };

        (0..good.len())
            .step_by(97)
            .chain([good.len() - 1])
            .map(|at| flip(at, at % 8))
            .collect()
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_cut_or_grew_is_found() {
    check(|good| {
        let cuts = (0..12).map(|i| good[..good.len() * i / 12].to_vec());
        cuts.chain([good[..good.len() - 1].to_vec(), [good, b"x"].concat()])
            .collect()
    })
    .await;
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let (store, stats) = in_memory(&series(), small()).await;
    store.delete(&key().join("samples.parquet")).await.unwrap();

    let block = open(store, &stats).await.unwrap();
    let error = collect(&block, &request(vec![])).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .contains("block=01J00000000000000000000BXK"),
        "{error}"
    );
}
