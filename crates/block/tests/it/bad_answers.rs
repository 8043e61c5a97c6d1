//! Stores that answer with other bytes than were asked for. A reader gets the right answer or an
//! error that names the object, and holds no more than it asked for.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use duramen_block::{Block, Error, ExtentCache, GetCost, OpenOptions, WriterOptions};
use duramen_model::{BlockStats, ErrorKind};
use duramen_source::Reads;
use duramen_testkit::store::{Hooked, OnGet};
use futures::StreamExt;
use futures::stream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt, Result as StoreResult,
};

use crate::damage::{families, series};
use crate::fixture::{Series, collect_all, in_memory_with, key, names};
use crate::round_trip::small;

/// What the store does to an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    FlippedBit,
    CutBody,
    NoBody,
    /// The body never ends.
    EndlessBody,
    /// The whole object, whatever range was asked for.
    WholeObject,
    /// The bytes of another object.
    OtherObject,
}

const FAULTS: [Fault; 6] = [
    Fault::FlippedBit,
    Fault::CutBody,
    Fault::NoBody,
    Fault::EndlessBody,
    Fault::WholeObject,
    Fault::OtherObject,
];

/// The length of the pieces of an endless body.
const PIECE: usize = 1000;

/// Spoils the GETs whose number is in a range.
#[derive(Debug)]
struct Spoiled {
    fault: Fault,
    numbers: Range<usize>,
    gets: AtomicUsize,
    /// How many pieces of endless bodies were read.
    pieces: Arc<AtomicUsize>,
}

impl Spoiled {
    fn new(fault: Fault, numbers: Range<usize>) -> Self {
        Self {
            fault,
            numbers,
            gets: AtomicUsize::new(0),
            pieces: Arc::default(),
        }
    }

    fn body(&self, good: Bytes) -> Vec<u8> {
        let mut bytes = good.to_vec();
        match self.fault {
            Fault::FlippedBit => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
            }
            Fault::CutBody => bytes.truncate(bytes.len() - 1),
            Fault::NoBody => bytes.clear(),
            Fault::EndlessBody | Fault::WholeObject | Fault::OtherObject => {}
        }

        bytes
    }
}

#[async_trait]
impl OnGet for Spoiled {
    async fn get(
        &self,
        store: &dyn ObjectStore,
        at: &Path,
        mut options: GetOptions,
    ) -> StoreResult<GetResult> {
        if options.head || !self.numbers.contains(&self.gets.fetch_add(1, Relaxed)) {
            return store.get_opts(at, options).await;
        }

        if self.fault == Fault::WholeObject {
            options.range = None;
            return store.get_opts(at, options).await;
        }

        if self.fault == Fault::OtherObject {
            let other = match at.filename() {
                Some("samples.parquet") => "series.parquet",
                _ => "samples.parquet",
            };

            return store.get_opts(&key().join(other), options).await;
        }

        let answer = store.get_opts(at, options).await?;
        let meta = answer.meta.clone();
        let range = answer.range.clone();
        let body = Bytes::from(self.body(answer.bytes().await?));

        let first = stream::iter([Ok(body)]);
        let pieces = Arc::clone(&self.pieces);
        let endless = self.fault == Fault::EndlessBody;
        let more = stream::repeat_with(move || {
            pieces.fetch_add(1, Relaxed);
            Ok(Bytes::from(vec![7; PIECE]))
        });

        let rest = more.take(if endless { usize::MAX } else { 0 });
        Ok(GetResult {
            payload: GetResultPayload::Stream(first.chain(rest).boxed()),
            meta,
            range,
            attributes: Default::default(),
        })
    }
}

async fn block() -> (Arc<InMemory>, BlockStats) {
    in_memory_with(&series(), families(), small()).await
}

/// Opens and reads everything. The series file comes with `meta`, or not, and extents are cached.
async fn read(
    store: Arc<dyn ObjectStore>,
    stats: &BlockStats,
    prefetch: bool,
) -> Result<bool, (ErrorKind, String)> {
    let options = OpenOptions {
        cost: GetCost {
            prefetch_bytes_max: if prefetch { 1 << 20 } else { 0 },
            ..GetCost::default()
        },
        cache: Some(Arc::new(ExtentCache::new(16 << 20))),
        ..OpenOptions::default()
    };

    let told = |error: Error| (error.kind(), error.to_string());
    let reads = Reads::default();
    let block = Block::open(store, key(), stats, options, &reads).await;
    let block = block.map_err(told)?;
    let expected = (series(), families());

    // The second time, the extents are cached.
    for _ in 0..2 {
        let found = collect_all(&block).await;
        let found = found.map_err(|error| (error.kind(), format!("{error}: {}", error.source)))?;
        assert!(found == expected, "a wrong answer");
    }

    Ok(true)
}

#[tokio::test]
async fn after_one_bad_answer_the_next_is_right() {
    let (store, stats) = block().await;

    for prefetch in [true, false] {
        for fault in FAULTS {
            for number in 0..8 {
                let spoiled = Spoiled::new(fault, number..number + 1);
                let spoiled = Hooked::new(Arc::clone(&store) as _, spoiled);
                let spoiled = Arc::new(spoiled);
                let read = read(Arc::clone(&spoiled) as _, &stats, prefetch).await;

                assert_eq!(read, Ok(true), "{fault:?} {number} {prefetch}");
                assert!(spoiled.hook().pieces.load(Relaxed) <= 2, "{fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_always_answers_badly_gives_errors_that_name_the_block() {
    let (store, stats) = block().await;

    for prefetch in [true, false] {
        for fault in FAULTS {
            // From the first GET on, and from the first after `meta`.
            for first in [0, 2] {
                let spoiled = Spoiled::new(fault, first..usize::MAX);
                let spoiled = Arc::new(Hooked::new(Arc::clone(&store) as _, spoiled));
                let read = read(Arc::clone(&spoiled) as _, &stats, prefetch).await;

                // `meta` is read whole in any case, so this store does nothing wrong there.
                let (kind, text) = read.expect_err("no byte is right");
                let known = matches!(kind, ErrorKind::Corrupt | ErrorKind::Unavailable);
                assert!(known, "{fault:?}: {text}");
                assert!(text.contains("block=01J"), "{fault:?}: {text}");

                let gets = spoiled.hook().gets.load(Relaxed);
                let pieces = spoiled.hook().pieces.load(Relaxed);
                assert!(
                    pieces <= 2 * gets,
                    "{fault:?}: {pieces} pieces, {gets} GETs"
                );
            }
        }
    }
}

#[tokio::test]
async fn two_objects_that_were_swapped_are_found() {
    let (store, stats) = block().await;
    let names = names(&stats);

    for (i, one) in names.iter().enumerate() {
        for other in names.iter().skip(i + 1) {
            let swapped = Arc::new(InMemory::new());

            for name in &names {
                let from = match name {
                    name if name == one => other,
                    name if name == other => one,
                    name => name,
                };

                let bytes = store.get(&key().join(from.as_str())).await.unwrap();
                let bytes = bytes.bytes().await.unwrap();
                let at = key().join(name.as_str());
                swapped.put(&at, bytes.into()).await.unwrap();
            }

            for prefetch in [true, false] {
                let read = read(Arc::clone(&swapped) as _, &stats, prefetch).await;
                let (kind, text) = read.expect_err("two files are swapped");
                assert_eq!(kind, ErrorKind::Corrupt, "{one} and {other}: {text}");
                assert!(text.contains("block=01J"), "{one} and {other}: {text}");
            }
        }
    }
}

/// A block of one series with a sample every second.
async fn block_of(instance: &str, values: &[f64]) -> (Arc<InMemory>, BlockStats) {
    let labels = [("__name__", "up"), ("instance", instance)];
    let times = (1_000..).step_by(1_000);
    let series = Series::new(&labels, times.zip(values.iter().copied()));

    in_memory_with(&[series], vec![], WriterOptions::default()).await
}

#[tokio::test]
async fn a_file_of_another_block_is_found_even_if_it_is_as_long() {
    let (store, stats) = block_of("a", &[1.0, 2.0, 3.0]).await;
    let (other, other_stats) = block_of("b", &[4.0, 5.0, 6.0]).await;

    for (file, other_file) in stats.files.iter().zip(&other_stats.files) {
        assert_eq!(file.bytes, other_file.bytes, "{}", file.name);

        let exchanged = Arc::new(InMemory::new());

        for name in names(&stats) {
            let from = if name == file.name { &other } else { &store };
            let at = key().join(name);
            let bytes = from.get(&at).await.unwrap().bytes().await.unwrap();
            exchanged.put(&at, bytes.into()).await.unwrap();
        }

        let reads = Reads::default();
        let options = OpenOptions::default();
        let block = Block::open(exchanged as _, key(), &stats, options, &reads).await;
        let error = collect_all(&block.unwrap()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(format!("{error}: {}", error.source).contains(&file.name));
    }
}
