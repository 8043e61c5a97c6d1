//! Data, and ways out and in for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use duramen_block::{
    Block, BlockLimits, BlockSource, BlockWriter, OpenOptions, Sibling, WriterOptions,
};
use duramen_model::{
    BlockId, Counts, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType, ResetHint,
    STALE_NAN, Sample, Span, TimeRange,
};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_source::{Columns, MemorySource, Reads, SeriesRequest, SeriesSource};
use duramen_transfer::csv::{CsvForm, CsvReader, Mapping};
use duramen_transfer::openmetrics::{OpenMetricsForm, OpenMetricsReader};
use duramen_transfer::parquet::ParquetForm;
use duramen_transfer::tsdb::TsdbForm;
use duramen_transfer::{
    Error, Export, Form, LabelsAs, Output, Reader, Run, RunLimits, RunReport, SortedRun, Written,
};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use ulid::Ulid;

pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

/// A sample, by its bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Float(u64),
    Histogram(Vec<u8>),
}

/// Series with their samples.
pub(crate) type World = BTreeMap<Vec<(String, String)>, BTreeMap<i64, Value>>;

pub(crate) fn source(world: &World) -> MemorySource {
    let mut source = MemorySource::default();

    for (pairs, samples) in world {
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        let labels = Labels::from_pairs(pairs).unwrap();

        for (ts_ms, value) in samples {
            match value {
                Value::Float(bits) => {
                    let sample = Sample::new(*ts_ms, f64::from_bits(*bits));
                    source.push(labels.clone(), [sample]);
                }
                Value::Histogram(bytes) => {
                    let histogram = Histogram::from_bytes(bytes).unwrap();
                    source.push_histogram(labels.clone(), *ts_ms, Life::NONE, &histogram);
                }
            }
        }
    }

    source
}

/// Writes all of a source into a form.
pub(crate) fn export(source: MemorySource, form: Box<dyn Form>) -> Result<Written, Error> {
    let export = Export {
        source: Arc::new(source),
        matchers: Arc::from([]),
        range: TimeRange::ALL,
        held: vec![TimeRange::new(NOW_MS - 10_000_000, NOW_MS + 200_000_000).unwrap()],
        batch_series_max: 3,
        reads: Arc::new(Reads::default()),
    };

    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(export.run(form, |_| {}))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    OpenMetrics,
    Csv(LabelsAs),
    Parquet(LabelsAs),
    Tsdb,
}

/// Writes all of a source to `path`.
pub(crate) fn written(source: MemorySource, to: To, path: &Path) -> Written {
    let output = || Output::file(&disk(), path, Ulid::nil()).unwrap();

    let form: Box<dyn Form> = match to {
        To::OpenMetrics => Box::new(OpenMetricsForm::new(output())),
        To::Csv(labels) => Box::new(CsvForm::new(output(), labels)),
        To::Parquet(labels) => Box::new(ParquetForm::new(output(), labels)),
        To::Tsdb => {
            std::fs::create_dir_all(path).unwrap();
            Box::new(TsdbForm::new(disk(), clock(), path.to_owned()))
        }
    };

    export(source, form).unwrap()
}

/// Runs that have a few samples each.
pub(crate) const SMALL: RunLimits = RunLimits {
    bytes_max: 1000,
    samples_max: 20,
};

pub(crate) fn openmetrics(text: &[u8], limits: RunLimits) -> Result<Vec<Run>, Error> {
    let input = Box::new(std::io::Cursor::new(text.to_vec()));
    runs(OpenMetricsReader::new(input, limits, NOW_MS))
}

pub(crate) fn csv(text: &[u8], limits: RunLimits, mapping: Mapping) -> Result<Vec<Run>, Error> {
    let input = Box::new(std::io::Cursor::new(text.to_vec()));
    runs(CsvReader::new(input, limits, mapping))
}

fn runs(mut reader: impl Reader) -> Result<Vec<Run>, Error> {
    let mut all = Vec::new();

    while let Some(run) = reader.next_run()? {
        all.push(run);
    }

    Ok(all)
}

/// A histogram with bits that forms lose easily.
pub(crate) fn histogram(count: u64, hint: ResetHint) -> Histogram {
    Histogram {
        schema: 2,
        hint,
        sum: -0.1,
        zero_threshold: 2.938_735_877_055_719e-39,
        counts: Counts::Integer {
            count: count + 3,
            zero_count: 1,
            positive: vec![1, count.cast_signed()],
            negative: Vec::new(),
        },
        positive_spans: vec![Span {
            offset: -1,
            length: 2,
        }],
        negative_spans: Vec::new(),
        custom_values: Vec::new(),
    }
}

pub(crate) fn float_histogram(count: f64) -> Histogram {
    Histogram {
        counts: Counts::Float {
            count: count + 1.0,
            zero_count: 1.0,
            positive: vec![0.0, count],
            negative: Vec::new(),
        },
        ..histogram(1, ResetHint::Gauge)
    }
}

fn bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<f64>().prop_map(f64::to_bits),
        (-1000..1000_i32).prop_map(|whole| f64::from(whole).to_bits()),
        Just(STALE_NAN.to_bits()),
        Just((-0.0_f64).to_bits()),
        Just(0x7ff8_0000_0000_0001),
        Just(f64::INFINITY.to_bits()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => bits().prop_map(Value::Float),
        1 => (0..100_u64).prop_map(|n| Value::Histogram(histogram(n, ResetHint::Unknown).to_bytes())),
        1 => (0..100_u32).prop_map(|n| Value::Histogram(float_histogram(f64::from(n)).to_bytes())),
    ]
}

/// Some series with floats and histograms of every kind, in two days.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let text = prop_oneof![
        "[a-z]{1,3}",
        Just("a,\"b\"\r\n\\ {}#".to_owned()),
        "\\PC{1,4}"
    ];
    let name = prop_oneof!["[a-z_:]{1,3}", Just("my.metric \"x\"".to_owned())];
    let label = prop_oneof![
        "[a-zA-Z]{1,2}",
        Just("time".to_owned()),
        Just("label:a,b".to_owned())
    ];

    let series =
        (name, prop::collection::btree_map(label, text, 0..3)).prop_map(|(metric, labels)| {
            let mut pairs: Vec<(String, String)> = labels.into_iter().collect();
            pairs.push(("__name__".to_owned(), metric));
            pairs.sort();
            pairs
        });

    let samples = prop::collection::btree_map(
        (0..150_000_000_i64).prop_map(|ms| NOW_MS + ms),
        value(),
        1..30,
    );

    prop::collection::btree_map(series, samples, 0..8)
}

pub(crate) fn exemplar(ts_ms: i64, value: f64) -> Exemplar {
    Exemplar {
        ts_ms,
        value,
        labels: labels(&[("trace_id", "a\"b")]),
    }
}

pub(crate) fn family(name: &str, kind: MetricType, help: &str) -> FamilyMetadata {
    FamilyMetadata {
        family: name.to_owned(),
        kind,
        help: help.to_owned(),
        unit: String::new(),
        last_seen_ms: NOW_MS,
    }
}

/// What blocks hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) world: World,
    pub(crate) exemplars: BTreeMap<String, Vec<Exemplar>>,
    pub(crate) families: BTreeMap<String, FamilyMetadata>,
    pub(crate) report: RunReport,
}

/// Makes blocks of runs, and reads them. Of two samples for one time the first counts.
pub(crate) fn held(runs: Vec<Run>) -> Held {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let mut held = Held::default();

    for run in runs {
        let sorted = SortedRun::of(run).unwrap();

        for day in sorted.days() {
            let clock = clock();
            let create = move || {
                let id = BlockId(clock.new_ulid());
                Ok((
                    id,
                    BlockWriter::in_memory(WriterOptions::window(86_400_000)),
                ))
            };

            let (blocks, report) = sorted.write(day, BlockLimits::default(), create).unwrap();
            held.report.add(&report);

            for block in blocks {
                let window = sorted.window(day);
                assert!(window.contains(block.stats.min_ts_ms));
                assert!(window.contains(block.stats.max_ts_ms));
                runtime.as_ref().unwrap().block_on(read(block, &mut held));
            }
        }
    }

    held
}

async fn read(block: Sibling<BlockId>, held: &mut Held) {
    let store = Arc::new(InMemory::new());
    let directory = object_store::path::Path::from("block");

    for (name, bytes) in block.files {
        let key = directory.clone().join(name);
        store.put(&key, bytes.into()).await.unwrap();
    }

    let reads = Arc::new(Reads::default());
    let options = OpenOptions::default();
    let opened = Block::open(store, directory, &block.stats, options, &reads).await;
    let source = BlockSource::new(opened.unwrap());

    let request = SeriesRequest {
        matchers: Arc::from([]),
        range: TimeRange::ALL,
        columns: Columns::Everything,
        batch_series_max: 100,
        reads,
    };

    let mut batches = source.select(&request).await.unwrap();

    while let Some(batch) = batches.try_next().await.unwrap() {
        for row in 0..batch.len() {
            let labels = Labels::from_encoded_trusted(batch.labels_at(row));
            let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let samples = held.world.entry(labels.iter().map(own).collect());
            let samples = samples.or_default();
            let (ts_ms, values) = batch.samples_at(row);

            for (ts_ms, value) in ts_ms.iter().zip(values) {
                let value = Value::Float(value.to_bits());
                samples.entry(*ts_ms).or_insert(value);
            }

            for histogram in batch.histograms_at(row) {
                let value = Value::Histogram(histogram.bytes.to_vec());
                samples.entry(histogram.ts_ms).or_insert(value);
            }
        }
    }

    for series in source.exemplars(&request).await.unwrap() {
        let all = held.exemplars.entry(series.labels.to_string()).or_default();
        all.extend(series.exemplars);
    }

    if block.stats.families > 0 {
        for family in source.metadata().await.unwrap() {
            held.families.insert(family.family.clone(), family);
        }
    }
}
