use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use duramen_model::{
    Counts, FamilyMetadata, Histogram, Labels, Life, Order, ResetHint, STALE_NAN, WriterId,
};
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt, stream};
use ulid::Ulid;

use super::*;
use crate::{
    Columns, HistogramRef, MergeSource, Part, SeriesExemplars, SeriesRequest, SeriesSource,
    SeriesStream, UndecodedBatch, UndecodedStream,
};

/// The bits of a float, or a histogram.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Float(u64),
    Histogram(Vec<u8>),
}

type Samples = BTreeMap<i64, Value>;
type Series = BTreeMap<u16, Samples>;

/// A part that decodes on demand, and counts the series that it decodes.
#[derive(Clone, Debug)]
struct Lazy {
    batches: Vec<SeriesBatch>,
    decoded: Arc<AtomicU64>,
}

#[derive(Debug)]
struct LazyBatch {
    batch: Arc<SeriesBatch>,
    decoded: Arc<AtomicU64>,
}

struct LazyDecoder {
    of: Arc<LazyBatch>,
    next: usize,
}

impl UndecodedSeries for LazyBatch {
    fn labels(&self) -> &BinaryArray {
        self.batch.labels()
    }

    fn weight(&self, row: usize) -> u64 {
        self.batch.weight(row)
    }

    fn untaken_bytes(&self) -> usize {
        0
    }

    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder> {
        Box::new(LazyDecoder { of: self, next: 0 })
    }
}

impl SeriesDecoder for LazyDecoder {
    fn decode(&mut self, rows: Range<usize>, _: bool) -> Result<SeriesBatch, Error> {
        assert!(rows.start >= self.next, "series are decoded in their order");
        self.next = rows.end;
        self.of
            .decoded
            .fetch_add(rows.len() as u64, Ordering::Relaxed);
        Ok(self.of.batch.slice(rows))
    }
}

#[async_trait]
impl SeriesSource for Lazy {
    async fn select(&self, _: &SeriesRequest) -> Result<SeriesStream, Error> {
        unreachable!("a merge asks for batches that are not decoded")
    }

    async fn select_undecoded(&self, _: &SeriesRequest) -> Result<UndecodedStream, Error> {
        let decoded = Arc::clone(&self.decoded);
        let batch = move |batch| {
            let batch = LazyBatch {
                batch: Arc::new(batch),
                decoded: Arc::clone(&decoded),
            };
            Ok(UndecodedBatch::new(Arc::new(batch)))
        };

        Ok(Box::pin(stream::iter(self.batches.clone()).map(batch)))
    }

    async fn exemplars(&self, _: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        Ok(Vec::new())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Ok(Vec::new())
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(0)
    }
}

fn labels(of: u16) -> Labels {
    Labels::from_pairs([("__name__", format!("m{of:04}").as_str())]).unwrap()
}

/// Makes a part of `series`, in batches of so many.
fn lazy(series: &Series, batch_series: usize) -> Lazy {
    let mut batches = Vec::new();
    let mut builder = SeriesBatchBuilder::default();

    for (of, samples) in series {
        for (ts_ms, value) in samples {
            match value {
                Value::Float(bits) => {
                    builder.push_sample(*ts_ms, f64::from_bits(*bits), Life::NONE);
                }
                Value::Histogram(bytes) => builder.push_histogram(HistogramRef {
                    ts_ms: *ts_ms,
                    life: Life::NONE,
                    bytes,
                }),
            }
        }

        builder.end_series(labels(*of).encoded());
        if builder.len() == batch_series {
            batches.push(builder.finish());
        }
    }

    batches.push(builder.finish());

    Lazy {
        batches,
        decoded: Arc::default(),
    }
}

fn request(range: TimeRange) -> SeriesRequest {
    SeriesRequest {
        matchers: Arc::new([]),
        range,
        columns: Columns::Everything,
        batch_series_max: 1000,
        reads: Arc::default(),
    }
}

fn merge(parts: &[Lazy], conflicts: &Counter) -> MergeSource {
    let part = |(opened, source): (u64, &Lazy)| Part {
        order: Order {
            opened,
            writer: WriterId(Ulid::nil()),
            flush: opened,
        },
        source: Arc::new(source.clone()),
        holds_samples: true,
    };

    let parts = (0..).zip(parts).map(part).collect();
    MergeSource::new(parts, conflicts.clone())
}

fn batches(source: &MergeSource, range: TimeRange) -> Vec<UndecodedBatch> {
    let batches = async {
        let stream = source.select_undecoded(&request(range)).await.unwrap();
        stream.try_collect().await.unwrap()
    };

    block_on(batches)
}

fn pieces(batches: Vec<UndecodedBatch>) -> Vec<SeriesBatch> {
    let mut pieces = Vec::new();

    for mut batch in batches {
        while let Some(piece) = batch.next_piece() {
            pieces.push(piece.unwrap());
        }
    }

    pieces
}

/// Returns all series of `pieces`, which must ascend.
fn contents(pieces: &[SeriesBatch]) -> Series {
    let mut all = Series::new();

    for piece in pieces {
        for row in 0..piece.len() {
            let name = Labels::from_encoded(piece.labels_at(row)).unwrap();
            let of: u16 = name.get("__name__").unwrap()[1..].parse().unwrap();
            assert!(all.last_key_value().is_none_or(|(last, _)| *last < of));

            let (ts, values) = piece.samples_at(row);
            let floats = ts
                .iter()
                .zip(values)
                .map(|(ts, v)| (*ts, Value::Float(v.to_bits())));
            let histograms = piece
                .histograms_at(row)
                .map(|h| (h.ts_ms, Value::Histogram(h.bytes.to_vec())));

            all.insert(of, floats.chain(histograms).collect());
        }
    }

    all
}

/// Returns what the parts are together, and how many values lose.
fn model(parts: &[Series], range: TimeRange) -> (Series, u64) {
    let mut all = Series::new();
    let mut lost = 0;

    for part in parts {
        for (of, samples) in part {
            let merged = all.entry(*of).or_default();

            for (ts_ms, value) in samples.iter().filter(|(ts_ms, _)| range.contains(**ts_ms)) {
                match merged.get(ts_ms) {
                    Some(first) => lost += u64::from(first != value),
                    None => {
                        merged.insert(*ts_ms, value.clone());
                    }
                }
            }
        }
    }

    (all, lost)
}

fn floats(times: Range<i64>, value: f64) -> Samples {
    let float = |ts_ms: i64| Value::Float((value + ts_ms as f64).to_bits());
    times.map(|ts_ms| (ts_ms, float(ts_ms))).collect()
}

fn histogram(count: u64) -> Value {
    let counts = Counts::Integer {
        count,
        zero_count: count,
        positive: vec![],
        negative: vec![],
    };

    let histogram = Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: 0.0,
        zero_threshold: 0.0,
        counts,
        positive_spans: vec![],
        negative_spans: vec![],
        custom_values: vec![],
    };

    Value::Histogram(histogram.to_bytes())
}

/// Merges `parts` and compares the result with the model, for several sizes of their batches.
fn check(parts: &[Series], range: TimeRange) {
    let (expected, lost) = model(parts, range);

    for batch_series in [1, 7, 1000] {
        let conflicts = Counter::default();
        let parts: Vec<Lazy> = parts.iter().map(|part| lazy(part, batch_series)).collect();
        let found = pieces(batches(&merge(&parts, &conflicts), range));

        let samples = |piece: &SeriesBatch| piece.samples();
        let expected_samples = expected.values().map(Samples::len).sum::<usize>();

        assert_eq!(contents(&found), expected, "in batches of {batch_series}");
        assert_eq!(found.iter().map(samples).sum::<usize>(), expected_samples);
        assert_eq!(conflicts.get(), lost);
    }
}

#[test]
fn a_merge_decodes_nothing_and_its_receiver_decodes_each_series_once() {
    let blocks = [0, 1000, 2000].map(|start| {
        let series = (0..50).map(|of| (of, floats(start..start + 900, f64::from(of))));
        series.collect::<Series>()
    });

    let parts = blocks.map(|block| lazy(&block, 20));
    let decoded = || {
        parts
            .each_ref()
            .map(|part| part.decoded.load(Ordering::Relaxed))
    };
    let batches = batches(&merge(&parts, &Counter::default()), TimeRange::ALL);
    assert_eq!(decoded(), [0, 0, 0]);

    let pieces = pieces(batches);
    assert_eq!(decoded(), [50, 50, 50]);
    assert!(pieces.len() > 1, "the batch comes in pieces");
}

#[test]
fn samples_of_one_part_alone_are_passed_on_without_a_copy() {
    let block: Series = (0..8).map(|of| (of, floats(0..8_000, 0.5))).collect();
    let head: Series = (8..12).map(|of| (of, floats(0..8_000, 0.5))).collect();
    let parts = [lazy(&block, 100), lazy(&head, 100)];

    let pieces = pieces(batches(&merge(&parts, &Counter::default()), TimeRange::ALL));
    let of_part = |part: &Lazy, piece: &SeriesBatch| {
        let all = part.batches[0].values().as_ptr_range();
        all.contains(&piece.samples_at(0).1.as_ptr())
    };

    let alone: Vec<bool> = pieces
        .iter()
        .map(|piece| parts.iter().any(|part| of_part(part, piece)))
        .collect();

    assert_eq!(alone, [true, true, true]);
}

#[test]
fn series_of_a_head_of_a_block_and_of_both_are_complete() {
    let only = |of: u16, times| Series::from([(of, floats(times, 0.5))]);

    check(&[only(1, 0..10), Series::new()], TimeRange::ALL);
    check(&[Series::new(), only(1, 0..10)], TimeRange::ALL);
    check(&[only(1, 0..10), only(2, 0..10)], TimeRange::ALL);
    check(&[only(1, 0..10), only(1, 10..20)], TimeRange::ALL);
    check(&[only(1, 10..20), only(1, 0..10)], TimeRange::ALL);

    let differs = Series::from([(1, floats(5..15, 0.25))]);
    check(&[only(1, 0..10), differs.clone()], TimeRange::ALL);
    check(&[differs, only(1, 0..10)], TimeRange::ALL);
}

#[test]
fn three_parts_with_stale_markers_and_histograms_are_complete() {
    let mut parts = [0, 500, 1000].map(|start| {
        let series = (0..30).map(|of| (of, floats(start..start + 500, f64::from(of))));
        series.collect::<Series>()
    });

    let stale = Value::Float(STALE_NAN.to_bits());
    parts[0].get_mut(&3).unwrap().insert(499, stale.clone());
    parts[1].get_mut(&3).unwrap().insert(480, stale.clone());
    parts[2].get_mut(&3).unwrap().insert(480, stale);

    for (part, count) in parts.iter_mut().zip(0..) {
        part.get_mut(&5).unwrap().insert(700, histogram(count));
        part.insert(40, Samples::from([(count as i64, histogram(count))]));
    }

    parts[1].remove(&7);
    parts[0].insert(50, floats(0..3, 0.5));

    check(&parts, TimeRange::ALL);
    check(&parts, TimeRange::new(490, 1200).unwrap());
}

#[test]
fn series_longer_than_pieces_and_decoded_runs_are_complete() {
    // Series of different lengths, so that the parts are decoded to different ends.
    let part = |start: i64, skipped: u16| -> Series {
        let is_there = |of: &u16| skipped == 0 || !of.is_multiple_of(skipped);
        let length = |of: u16| 100 + 900 * i64::from(of % 7) + if of == 20 { 60_000 } else { 0 };

        (0..60)
            .filter(is_there)
            .map(|of| (of, floats(start..start + length(of), f64::from(of))))
            .collect()
    };

    let parts = [part(0, 0), part(2_000, 3), part(70_000, 5)];
    check(&parts, TimeRange::ALL);
    check(&parts, TimeRange::new(1_000, 71_000).unwrap());
}
