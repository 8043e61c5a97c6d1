//! The data of the test: two blocks that overlap, in a local folder.

use std::path::Path as FilePath;
use std::sync::Arc;

use duramen_block::{Block, BlockSource, BlockWriter, OpenOptions, SeriesContents, WriterOptions};
use duramen_metrics::Counter;
use duramen_model::{BlockStats, Exemplar, Labels, Order, WriterId};
use duramen_runtime::{Disk, RealDisk};
use duramen_source::{MergeSource, Part, Reads};
use object_store::local::LocalFileSystem;
use ulid::Ulid;

pub(crate) const STEP_MS: i64 = 60_000;
/// Eight hours.
pub(crate) const END_MS: i64 = 480 * STEP_MS;
/// Each block has so many samples of each series: five hours.
const SAMPLES: i64 = 300;
/// Series of `m`. `n` has as many.
const SERIES: usize = 800;
const BUCKETS: [&str; 6] = ["0.1", "0.5", "1", "5", "10", "+Inf"];

/// Returns a merge of two blocks, the first over the first five hours, the other over the last.
pub(crate) async fn two_blocks() -> MergeSource {
    let mut parts = Vec::new();

    for (number, first_ms) in [0, END_MS - SAMPLES * STEP_MS].into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap().keep();
        let stats = write(&dir.join("block"), first_ms);
        let store = Arc::new(LocalFileSystem::new_with_prefix(&dir).unwrap());
        let options = OpenOptions::default();
        let reads = Reads::default();
        let block = Block::open(store, "block".into(), &stats, options, &reads);

        parts.push(Part {
            order: Order {
                opened: number as u64,
                writer: WriterId(Ulid::nil()),
                flush: 0,
            },
            source: Arc::new(BlockSource::new(block.await.unwrap())),
            holds_samples: true,
        });
    }

    MergeSource::new(parts, Counter::default())
}

fn write(dir: &FilePath, first_ms: i64) -> BlockStats {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = WriterOptions {
        row_group_rows_max: 64 << 10,
        ..WriterOptions::default()
    };

    let mut writer = BlockWriter::create(&disk, dir, options).unwrap();
    let ts: Vec<i64> = (0..SAMPLES).map(|at| first_ms + at * STEP_MS).collect();

    for labels in series() {
        let step = 1.0 + f64::from(u32::from(labels.encoded().iter().fold(0, |a: u8, b| a ^ b)));
        let values: Vec<f64> = ts
            .iter()
            .map(|ts| (*ts as f64 / 1000.0 * step).sqrt())
            .collect();

        let trace = Labels::from_pairs([("trace_id", "0123456789abcdef")]).unwrap();
        let exemplars: Vec<Exemplar> = ts
            .iter()
            .step_by(10)
            .map(|ts_ms| Exemplar {
                ts_ms: *ts_ms,
                value: 1.0,
                labels: trace.clone(),
            })
            .collect();

        let contents = SeriesContents {
            ts_ms: &ts,
            values: &values,
            exemplars: &exemplars,
            ..SeriesContents::default()
        };
        writer.push(&labels, &contents).unwrap();
    }

    writer.finish().unwrap()
}

/// Returns the labels of all series, in the order of blocks.
fn series() -> Vec<Labels> {
    let mut all = Vec::new();

    for number in 0..SERIES {
        let job = format!("job-{}", number % 8);
        let instance = format!(
            "10.1.{}.{}:9100 in a zone with a long name",
            number / 100,
            number
        );
        let pairs = [("instance", instance.as_str()), ("job", job.as_str())];
        let with = |name: &str, more: &[(&str, &str)]| {
            let named = [("__name__", name)].into_iter().chain(pairs);
            Labels::from_pairs(named.chain(more.iter().copied())).unwrap()
        };

        all.extend(["m", "n"].map(|name| with(name, &[])));
        all.push(with("target_info", &[("version", "1.2.3")]));

        if number % 4 == 0 {
            all.extend(BUCKETS.map(|le| with("h_bucket", &[("le", le)])));
        }
    }

    all.sort_by(Labels::cmp_in_block);
    all
}
