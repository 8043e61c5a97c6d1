//! Every kind of damage is found, and the error names the object. Damage never leads to a wrong
//! value or a panic.

use std::sync::Arc;

use bytes::Bytes;
use duramen_block::{
    Block, BlockChecks, EXEMPLARS_FILE, Error, HISTOGRAMS_FILE, META_FILE, METADATA_FILE,
    OpenOptions, SAMPLES_FILE, SeriesIndexPool,
};
use duramen_model::{
    BlockStats, Counts, ErrorKind, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType,
    ResetHint, Span,
};
use duramen_source::{Columns, Reads, SeriesRequest, SeriesSource};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::fixture::{
    Series, collect, collect_all, in_memory, in_memory_with, key, names, open, request, sorted,
    source,
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

/// A small block with all files, in a store whose objects can be damaged.
struct Subject {
    store: Arc<InMemory>,
    stats: BlockStats,
    /// The block, opened before the damage, with its index in memory.
    open: Arc<Block>,
    checks: BlockChecks,
    contents: Contents,
}

impl Subject {
    async fn new() -> Self {
        let some = series().into_iter().step_by(9).collect::<Vec<_>>();
        let contents = (some, families().split_off(45));
        let (store, stats) = in_memory_with(&contents.0, contents.1.clone(), small()).await;
        assert_eq!(names(&stats).len(), 6);

        let options = OpenOptions {
            indexes: Some(Arc::new(SeriesIndexPool::new(1 << 20))),
            ..OpenOptions::default()
        };

        let reads = Reads::default();
        let shared = Arc::clone(&store) as Arc<dyn ObjectStore>;
        let open = Block::open(shared, key(), &stats, options, &reads);
        let open = open.await.unwrap();
        assert_eq!(collect_all(&open).await.unwrap(), contents);

        let meta = store.get(&key().join(META_FILE)).await.unwrap();
        let checks = BlockChecks::new(&meta.bytes().await.unwrap(), &stats).unwrap();

        Self {
            store,
            stats,
            open,
            checks,
            contents,
        }
    }

    /// Reads what is in the file `name`, and what is needed for that. Returns whether the answer is
    /// an error; if not, it must be right.
    async fn read(&self, name: &str) -> Result<(), duramen_source::Error> {
        let all = &self.contents.0;
        let everything = SeriesRequest {
            columns: Columns::Everything,
            ..request(vec![])
        };

        match name {
            EXEMPLARS_FILE => {
                let found = source(&self.open).exemplars(&everything).await?;
                let found = found.iter().map(|of| (&of.labels, &of.exemplars));
                let right = all.iter().filter(|series| !series.exemplars.is_empty());

                assert!(found.eq(right.map(|series| (&series.labels, &series.exemplars))));
            }
            METADATA_FILE => {
                let found = source(&self.open).metadata().await?;
                assert!(found == self.contents.1);
            }
            SAMPLES_FILE | HISTOGRAMS_FILE => {
                let found = collect(&self.open, &everything).await?;
                let found = found.iter().map(|s| (&s.labels, &s.samples, &s.histograms));

                assert!(found.eq(all.iter().map(|s| (&s.labels, &s.samples, &s.histograms))));
            }
            _ => {
                let shared = Arc::clone(&self.store) as Arc<dyn ObjectStore>;
                let block = open(shared, &self.stats).await;
                let block = block.map_err(|e| e.of_block(&key()))?;
                let labels = SeriesRequest {
                    columns: Columns::Labels,
                    ..request(vec![])
                };

                let found = collect(&block, &labels).await?;
                let found = found.iter().map(|series| &series.labels);
                assert!(found.eq(all.iter().map(|series| &series.labels)));
            }
        }

        Ok(())
    }

    /// Replaces the file `name`, reads it, and puts it back. Returns whether the reader met the
    /// damage.
    async fn is_met(&self, name: &str, good: &Bytes, bad: Vec<u8>) -> bool {
        let at = key().join(name);
        self.store.put(&at, bad.into()).await.unwrap();
        let answer = self.read(name).await;
        self.store.put(&at, good.clone().into()).await.unwrap();

        if let Err(error) = &answer {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
            assert!(error.to_string().contains(key().as_ref()), "{error}");

            let error = Error::in_source(error).expect("the error is of a block");
            assert!(error.to_string().contains(at.as_ref()), "{error}");
        }

        answer.is_err()
    }

    async fn file(&self, name: &str) -> Bytes {
        let got = self.store.get(&key().join(name)).await.unwrap();
        got.bytes().await.unwrap()
    }

    /// Reads everything in the block that was open all along, and in one that is opened now.
    async fn is_right_again(&self) {
        let shared = Arc::clone(&self.store) as Arc<dyn ObjectStore>;
        let opened_now = open(shared, &self.stats).await.unwrap();

        for block in [&self.open, &opened_now] {
            assert!(collect_all(block).await.unwrap() == self.contents);
            block.verify().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_any_byte_of_any_file_is_found() {
    let subject = Subject::new().await;
    let mut unread = 0;
    let mut tried = 0;

    for name in names(&subject.stats) {
        let good = subject.file(&name).await;

        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1 << (at % 8);

            let checked = match subject.checks.file(&name) {
                Some(mut check) => check.push(&bad),
                None => BlockChecks::new(&bad, &subject.stats).map(drop),
            };

            let error = checked.expect_err("an upload finds every flipped bit");
            assert!(matches!(error, Error::Checksum { .. }), "{error}");
            assert!(error.to_string().contains(&name), "{error}");

            // A reader does not read the footer and the column `sref`.
            unread += u32::from(!subject.is_met(&name, &good, bad).await);
            tried += 1;
        }

        subject.is_right_again().await;
    }

    println!("{tried} bytes, {unread} of them are not read");
    assert!(
        tried > 5000 && unread < tried * 3 / 4,
        "{unread} of {tried}"
    );
}

#[tokio::test]
async fn a_file_that_was_cut_anywhere_or_grew_is_found() {
    let subject = Subject::new().await;

    for name in names(&subject.stats) {
        let good = subject.file(&name).await;
        let grown = [&good[..], b"x"].concat();

        for length in 0..good.len() {
            let cut = good[..length].to_vec();
            assert!(subject.is_met(&name, &good, cut).await, "{name}: {length}");
        }

        assert!(subject.is_met(&name, &good, grown).await, "{name}");
        subject.is_right_again().await;
    }
}

#[tokio::test]
async fn the_full_check_finds_what_no_query_reads() {
    let subject = Subject::new().await;

    for file in &subject.stats.files {
        let good = subject.file(&file.name).await;
        let mut bad = good.to_vec();
        *bad.last_mut().unwrap() ^= 1;

        let at = key().join(file.name.as_str());
        subject.store.put(&at, bad.into()).await.unwrap();
        let error = subject.open.verify().await.unwrap_err();
        subject.store.put(&at, good.into()).await.unwrap();

        assert!(matches!(error, Error::Checksum { .. }), "{error}");
        assert!(error.to_string().contains(at.as_ref()), "{error}");
    }
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
