//! Measures the sizes and speeds of a block.
//!
//! ```text
//! cargo run --release -p duramen-block --example block -- [FILE.col [EVERY]] [key=value ...]
//! ```
//!
//! FILE is a column file of the load generator. The program keeps each EVERY-th sample of a series.
//! Without a file, it makes data up. Keys: `flush`, `hours` of the window, `level`, `ts_page`,
//! `integer_page`, `float_page`, `group_rows`, `group_bytes`, `series_group_rows`. The block is
//! kept if the environment names a `BLOCK_DIR`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program for people"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "figures for people"
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use duramen_block::{
    Block, BlockSource, BlockWriter, ExtentCache, OpenOptions, SeriesContents, SeriesIndexPool,
    WriterOptions,
};
use duramen_model::{BlockStats, Labels, Matcher, TimeRange};
use duramen_runtime::{Disk, RealDisk};
use duramen_source::{Columns, Reads, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::reader::{FileReader, SerializedFileReader};

struct Series {
    labels: Labels,
    ts: Vec<i64>,
    values: Vec<f64>,
}

/// The CPU time of this thread. It is measured because the machine may be busy with other work.
#[derive(Clone, Copy)]
struct Cpu(u64);

impl Cpu {
    fn now() -> Self {
        let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Self(line.split(' ').next().unwrap().parse().unwrap())
    }

    fn elapsed(self) -> Duration {
        Duration::from_nanos(Self::now().0 - self.0)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (keys, plain): (Vec<_>, Vec<_>) = arguments.iter().partition(|a| a.contains('='));
    let every = plain.get(1).map_or(1, |every| every.parse().unwrap());
    let mut series = plain
        .first()
        .map_or_else(made_up, |path| recorded(path, every));

    series.sort_by(|a, b| a.labels.cmp_in_block(&b.labels));
    series.dedup_by(|a, b| a.labels == b.labels);

    let options = options(&keys);
    println!("{options:?}");

    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var_os("BLOCK_DIR")
        .map_or_else(|| dir.path().join("b"), std::path::PathBuf::from);
    let start = Cpu::now();
    let stats = write(&path, &series, &options);

    report("encode", stats.samples, start.elapsed());
    sizes(&path, &stats);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(read(&path, &stats));
}

fn options(keys: &[&String]) -> WriterOptions {
    let mut options = WriterOptions::default();

    for (key, value) in keys.iter().filter_map(|pair| pair.split_once('=')) {
        let value: usize = value.parse().unwrap();

        match key {
            "flush" => options = WriterOptions::flush(),
            "hours" => options = WriterOptions::window(value as i64 * 3_600_000),
            "level" => options.zstd_level = value as i32,
            "ts_page" => options.ts_page_rows = value,
            "integer_page" => options.integer_page_values = value,
            "float_page" => options.float_page_values = value,
            "group_rows" => options.row_group_rows_max = value,
            "series_group_rows" => options.series_group_rows_max = value,
            "group_bytes" => options.row_group_bytes_max = value,
            _ => println!("unknown key {key}"),
        }
    }

    options
}

fn write(path: &std::path::Path, series: &[Series], options: &WriterOptions) -> BlockStats {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut writer = BlockWriter::create(&disk, path, options.clone()).unwrap();
    for Series { labels, ts, values } in series {
        writer
            .push(labels, &SeriesContents::floats(ts, values))
            .unwrap();
    }

    writer.finish().unwrap()
}

fn report(what: &str, samples: u64, time: Duration) {
    let s = time.as_secs_f64();
    let m = samples as f64 / 1e6;

    println!(
        "{what}: {m:.2} M samples in {s:.3} s: {:.1} M/s, {:.3} s per M",
        m / s,
        s / m
    );
}

/// Prints bytes per sample: for the block, for each file, and for each column.
fn sizes(path: &std::path::Path, stats: &BlockStats) {
    let per = |bytes: u64| bytes as f64 / stats.samples as f64;
    println!(
        "{} series, {} samples, {} bytes, {:.3} B/sample",
        stats.series,
        stats.samples,
        stats.bytes(),
        per(stats.bytes())
    );

    println!(
        "meta: {} bytes, {:.2} % of the block",
        stats.meta_bytes,
        100.0 * stats.meta_bytes as f64 / stats.bytes() as f64
    );

    for file in &stats.files {
        println!(
            "{}: {} bytes, {:.3} B/sample",
            file.name,
            file.bytes,
            per(file.bytes)
        );

        let parquet =
            SerializedFileReader::new(std::fs::File::open(path.join(&file.name)).unwrap()).unwrap();
        let mut columns: BTreeMap<String, u64> = BTreeMap::new();
        let groups = parquet.metadata().row_groups();

        for column in groups.iter().flat_map(|group| group.columns()) {
            *columns.entry(column.column_path().string()).or_default() +=
                column.compressed_size().cast_unsigned();
        }

        let pages: u64 = columns.values().sum();
        println!(
            "  {} row groups, {} bytes each, {} bytes of indexes and footer",
            groups.len(),
            pages / groups.len() as u64,
            file.bytes - pages
        );

        for (name, bytes) in columns
            .into_iter()
            .filter(|(_, bytes)| *bytes * 200 > pages)
        {
            println!("  {name}: {bytes} bytes, {:.3} B/sample", per(bytes));
        }
    }
}

async fn read(path: &std::path::Path, stats: &BlockStats) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());

    for name in ["series.parquet", "samples.parquet", "meta"] {
        store
            .put(
                &object_store::path::Path::from("b").join(name),
                std::fs::read(path.join(name)).unwrap().into(),
            )
            .await
            .unwrap();
    }

    for indexes in [None, Some(Arc::new(SeriesIndexPool::new(64 << 20)))] {
        println!("with series indexes: {}", indexes.is_some());

        let cache = Some(Arc::new(ExtentCache::new(256 << 20)));
        selections(
            Arc::clone(&store),
            stats,
            OpenOptions {
                cache,
                indexes: indexes.clone(),
                ..OpenOptions::default()
            },
        )
        .await;
        println!(
            "indexes: {} bytes",
            indexes.map_or(0, |indexes| indexes.bytes())
        );
    }
}

async fn selections(store: Arc<dyn ObjectStore>, stats: &BlockStats, options: OpenOptions) {
    let start = Cpu::now();
    let block = Block::open(store, "b".into(), stats, options, &Reads::default())
        .await
        .unwrap();
    println!("open: {:?}", start.elapsed());

    let source = BlockSource::new(block);

    let request = |matchers: Vec<Matcher>, columns| SeriesRequest {
        matchers: matchers.into(),
        range: TimeRange::ALL,
        columns,
        batch_series_max: SeriesRequest::BATCH_SERIES,
        reads: Arc::default(),
    };

    let start = Cpu::now();
    let all = source
        .select(&request(vec![], Columns::Labels))
        .await
        .unwrap()
        .try_next()
        .await
        .unwrap()
        .unwrap();

    println!("first batch of all labels: {:?}", start.elapsed());

    let one = Labels::from_encoded(all.labels_at(all.len() / 2)).unwrap();
    let same = |label: &str| {
        one.get(label)
            .map(|value| Matcher::equal(label, value))
            .into_iter()
            .collect::<Vec<_>>()
    };

    let name = || same("__name__");
    let target = || same("instance");
    let absent = request(
        vec![Matcher::regex("instance", ".*nowhere.*").unwrap()],
        Columns::Labels,
    );

    let requests = [
        ("scan all", request(vec![], Columns::Samples)),
        ("scan all", request(vec![], Columns::Samples)),
        ("scan all", request(vec![], Columns::Samples)),
        ("labels of all", request(vec![], Columns::Labels)),
        ("match none", absent),
        ("labels of one name", request(name(), Columns::Labels)),
        ("labels of one target", request(target(), Columns::Labels)),
        (
            "labels of one name and target",
            request([name(), target()].concat(), Columns::Labels),
        ),
    ];

    for (what, request) in requests {
        measure(&source, what, &request).await;
    }
}

/// Runs one request and prints its time; a cheap request is run many times.
async fn measure(source: &BlockSource, what: &str, request: &SeriesRequest) {
    let start = Cpu::now();

    // The clock of a thread may tick only every 4 ms.
    let times = if request.columns == Columns::Labels {
        200
    } else {
        1
    };

    let mut samples = 0;
    let mut series = 0;

    for _ in 0..times {
        samples = 0;
        series = 0;

        let mut stream = source.select(request).await.unwrap();
        while let Some(batch) = stream.try_next().await.unwrap() {
            samples += batch.samples() as u64;
            series += batch.len();
        }
    }

    println!("{what}: {series} series in {:?}", start.elapsed() / times);

    if samples > 0 {
        report("decode", samples, start.elapsed());
    }
}

/// Makes up 10,000 series of 240 scrapes: counters, decimals, constants, floats.
fn made_up() -> Vec<Series> {
    let mut random = 7u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };

    let mut all = Vec::new();

    for i in 0..10_000u64 {
        let name = format!("metric_{:02}", i / 500);
        let instance = format!("10.0.{}.{}:9100", i % 500 / 250, i % 250);

        let labels = Labels::from_pairs([
            ("__name__", name.as_str()),
            ("instance", &instance),
            ("job", "node"),
        ])
        .unwrap();

        let mut counter = next(1 << 20);
        let ts = (0..240)
            .map(|t| 1_700_000_000_000 + t * 15_000 + (i % 500 * 29).cast_signed())
            .collect();

        let values = (0..240).map(|_| match i / 500 {
            0..8 => {
                counter += next(50);
                counter as f64
            }
            8..12 => next(1000) as f64 / 100.0,
            12..19 => 42.0,
            _ => (next(1 << 30) as f64).sqrt(),
        });

        all.push(Series {
            labels,
            ts,
            values: values.collect(),
        });
    }

    all
}

/// Reads a column file of the load generator.
fn recorded(path: &str, every: usize) -> Vec<Series> {
    const HEADER_BYTES: usize = 512;

    let mut bytes = Vec::new();
    zstd::stream::Decoder::new(std::fs::File::open(path).unwrap())
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();

    let mut rest = &bytes[HEADER_BYTES..];
    let mut take = |length: usize| {
        let (taken, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        taken
    };

    let mut all = Vec::new();

    loop {
        let Ok(length) = <[u8; 4]>::try_from(take(4)) else {
            return all;
        };
        let labels = labels(take(u32::from_le_bytes(length) as usize));
        let count = u32::from_le_bytes(take(4).try_into().unwrap()) as usize;
        let ts = words(take(count * 8));
        let values = words(take(count * 8));
        let mut at = 0u64;
        let mut bits = 0u64;

        let ts = ts
            .map(|delta| {
                at = at.wrapping_add(delta);
                at.cast_signed()
            })
            .step_by(every)
            .collect();

        let values = values
            .map(|xor| {
                bits ^= xor;
                f64::from_bits(bits)
            })
            .step_by(every)
            .collect();

        all.push(Series { labels, ts, values });
    }
}

/// Joins eight planes of bytes into 64-bit words.
fn words(planes: &[u8]) -> impl Iterator<Item = u64> {
    let count = planes.len() / 8;
    (0..count)
        .map(move |i| u64::from_le_bytes(std::array::from_fn(|plane| planes[plane * count + i])))
}

/// Decodes labels as a write request has them: field 1 of each is a message of name and value.
fn labels(mut bytes: &[u8]) -> Labels {
    let mut pairs = Vec::new();

    while !bytes.is_empty() {
        let mut pair = field(&mut bytes);
        let name = field(&mut pair);
        let value = field(&mut pair);

        pairs.push((
            std::str::from_utf8(name).unwrap(),
            std::str::from_utf8(value).unwrap(),
        ));
    }

    Labels::from_pairs(pairs).unwrap()
}

fn field<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let mut at = 1;
    let mut length = 0;

    for shift in (0..).step_by(7) {
        length |= usize::from(bytes[at] & 0x7f) << shift;
        at += 1;

        if bytes[at - 1] < 0x80 {
            break;
        }
    }

    let (field, behind) = bytes[at..].split_at(length);
    *bytes = behind;
    field
}
