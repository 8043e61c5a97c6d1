//! How fast each form goes out and comes in, in samples a second of CPU time: 1,000 counters over
//! one day. `cargo run --release -p duramen-transfer --example speed -- FOLDER`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "figures are for people"
)]

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use duramen_block::{BlockLimits, BlockWriter, WriterOptions};
use duramen_model::{BlockId, Labels, Sample, TimeRange};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_source::{MemorySource, Reads};
use duramen_transfer::csv::{CsvForm, CsvReader, Mapping};
use duramen_transfer::openmetrics::{OpenMetricsForm, OpenMetricsReader};
use duramen_transfer::parquet::ParquetForm;
use duramen_transfer::tsdb::TsdbForm;
use duramen_transfer::{Export, Form, LabelsAs, Output, Reader, RunLimits, SortedRun};

const SERIES: usize = 1000;
const STEPS: usize = 5760;
const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_700_006_400_000;

fn source() -> MemorySource {
    let mut source = MemorySource::default();

    for number in 0..SERIES {
        let instance = format!("host-{number}:9100");
        let labels = Labels::from_pairs([
            ("__name__", "node_cpu_seconds_total"),
            ("cluster", "eu-west"),
            ("instance", &instance),
            ("job", "node"),
            ("mode", "idle"),
        ]);

        let sample = |step: usize| {
            let value = (step * (number % 17 + 1)) as f64 * 0.25;
            Sample::new(START_MS + i64::try_from(step).unwrap() * 15_000, value)
        };
        source.push(labels.unwrap(), (0..STEPS).map(sample));
    }

    source
}

/// The CPU time of this process in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>());
    ticks.map(Result::unwrap).sum::<u64>() as f64 / 100.0
}

fn told(what: &str, before: f64, bytes: u64) {
    let samples = (SERIES * STEPS) as f64;
    let speed = samples / (cpu() - before) / 1e6;
    let each = bytes as f64 / samples;
    println!("{what:<20} {speed:>6.2} M samples/s of CPU time, {each:>6.2} bytes a sample");
}

fn export(source: &MemorySource, what: &str, form: Box<dyn Form>) {
    let export = Export {
        source: Arc::new(source.clone()),
        matchers: Arc::from([]),
        range: TimeRange::ALL,
        held: vec![TimeRange::new(START_MS, START_MS + DAY_MS).unwrap()],
        batch_series_max: 100,
        reads: Arc::new(Reads::default()),
    };

    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let before = cpu();
    let written = runtime.unwrap().block_on(export.run(form, |_| {})).unwrap();
    told(what, before, written.bytes);
}

fn import(what: &str, mut reader: impl Reader, clock: &Arc<dyn Clock>) {
    let before = cpu();
    let mut bytes = 0;

    while let Some(run) = reader.next_run().unwrap() {
        let sorted = SortedRun::of(run).unwrap();

        for day in sorted.days() {
            let clock = Arc::clone(clock);
            let create = move || {
                let options = WriterOptions::window(DAY_MS);
                Ok((BlockId(clock.new_ulid()), BlockWriter::in_memory(options)))
            };

            let written = sorted.write(day, BlockLimits::default(), create);
            let (blocks, _) = written.unwrap();
            bytes += blocks.iter().map(|block| block.stats.bytes()).sum::<u64>();
        }
    }

    told(what, before, bytes);
}

fn main() {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder for the outputs"));
    let source = source();

    let output = |name: &str| Output::file(&disk, &folder.join(name), clock.new_ulid()).unwrap();
    let blocks = folder.join("blocks");
    std::fs::create_dir_all(&blocks).unwrap();

    let text = Box::new(OpenMetricsForm::new(output("all.txt")));
    let csv = Box::new(CsvForm::new(output("all.csv"), LabelsAs::Columns));
    let parquet = Box::new(ParquetForm::new(output("all.parquet"), LabelsAs::Columns));
    let map = Box::new(ParquetForm::new(output("map.parquet"), LabelsAs::Map));
    let tsdb = Box::new(TsdbForm::new(Arc::clone(&disk), Arc::clone(&clock), blocks));

    export(&source, "out: openmetrics", text);
    export(&source, "out: csv", csv);
    export(&source, "out: parquet", parquet);
    export(&source, "out: parquet, map", map);
    export(&source, "out: tsdb", tsdb);

    let open = |name: &str| Box::new(File::open(folder.join(name)).unwrap());
    let limits = RunLimits::default();
    let text = OpenMetricsReader::new(open("all.txt"), limits, clock.now_ms());
    let csv = CsvReader::new(open("all.csv"), limits, Mapping::default());

    import("in: openmetrics", text, &clock);
    import("in: csv", csv, &clock);
}
