//! How fast blocks of a TSDB become ours, in samples a second of CPU time. The blocks in the folder
//! that is named are read, and ours are made in memory. Run it with `--release`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "an example"
)]

use std::path::Path;
use std::sync::Arc;

use duramen_block::{BlockLimits, BlockWriter, WriterOptions};
use duramen_blocks::{ImportReport, import_window, import_windows};
use duramen_model::BlockId;
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_tsdb::TsdbBlock;

/// The CPU time of this process in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}

fn main() {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let folder = std::env::args()
        .nth(1)
        .expect("a folder of blocks of a TSDB");
    let before = cpu();
    let mut report = ImportReport::default();
    let mut bytes = 0;

    for directory in duramen_tsdb::find(&*disk, Path::new(&folder)).unwrap() {
        let mut block = TsdbBlock::open(&disk, &directory).unwrap();
        let series = block.series().unwrap();

        for window in import_windows(block.meta().range) {
            let clock = Arc::clone(&clock);
            let length_ms = window.end_ms() - window.start_ms();
            let create = move || {
                let options = WriterOptions::window(length_ms);
                Ok((BlockId(clock.new_ulid()), BlockWriter::in_memory(options)))
            };

            let limits = BlockLimits::default();
            let (blocks, read) =
                import_window(&mut block, &series, window, limits, create).unwrap();
            report.add(&read);
            bytes += blocks.iter().map(|block| block.stats.bytes()).sum::<u64>();
        }
    }

    let samples = (report.samples + report.histograms) as f64;
    println!(
        "{samples} samples: {:.2} M samples/s of CPU time, {:.2} bytes a sample",
        samples / (cpu() - before) / 1e6,
        bytes as f64 / samples
    );
}
