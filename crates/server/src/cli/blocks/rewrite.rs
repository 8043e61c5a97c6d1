//! Merges blocks, and writes blocks again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use duramen_block::{BlockLimits, BlockWriter, WriterOptions};
use duramen_blocks::local;
use duramen_blocks::{MergeInput, MergeOptions, MergeReport, Merged, merge};
use duramen_model::BlockId;
use duramen_runtime::{Clock, Disk};
use duramen_source::Reads;

use super::selection::{Rank, Selection};

/// What is read, how, and where the output goes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Job {
    #[command(flatten)]
    pub(super) selection: Selection,

    /// Ranks the inputs as they are given: if two have different values for the same series and
    /// time, the earlier input wins. Needed for folders without an `entry.json`.
    #[arg(long, conflicts_with = "tenant")]
    in_order: bool,

    /// The folder for the output. It must not exist, or be empty.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,

    /// The memory that a merge may take.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory)]
    memory: usize,

    /// The level of compression. Higher: smaller blocks and more CPU. Without it, 6 if the inputs
    /// cover more than half a day, else 3.
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(i32).range(1..=22))]
    zstd_level: Option<i32>,

    /// A block with this many series is complete, and the rest goes into a sibling.
    #[arg(long, value_name = "NUMBER")]
    series_max: Option<usize>,
}

/// Reads the size of the memory.
fn memory(text: &str) -> Result<usize, String> {
    let bytes = duramen_settings::size::parse(text)?;
    if bytes < MEMORY_BYTES_MIN {
        return Err("a merge takes at least 16MiB".to_owned());
    }

    Ok(bytes)
}

/// The smallest memory: a row group of the output and a batch of each input.
const MEMORY_BYTES_MIN: usize = 16 << 20;

impl Job {
    /// Merges all inputs into one output. Returns what it did.
    pub(super) async fn merge(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<String> {
        let inputs = self.inputs(disk, clock).await?;
        self.write_all(vec![inputs], disk, clock).await
    }

    /// Writes each input again. Returns what it did.
    pub(super) async fn rewrite(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<String> {
        let inputs = self.inputs(disk, clock).await?;
        let outputs = inputs.into_iter().map(|input| vec![input]);

        self.write_all(outputs.collect(), disk, clock).await
    }

    async fn inputs(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Vec<MergeInput>> {
        let rank = if self.in_order {
            Rank::AsGiven
        } else {
            Rank::ByEntry
        };

        self.selection.blocks(rank, disk, clock).await
    }

    async fn write_all(
        &self,
        outputs: Vec<Vec<MergeInput>>,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<String> {
        create_out(disk, &self.out)?;
        let mut text = String::new();

        for inputs in outputs {
            let merged = write(self, inputs, disk, clock).await?;
            describe(&merged, &self.out, &mut text);
        }

        Ok(text)
    }
}

/// Creates the folder of the output. Refuses one that has something.
pub(super) fn create_out(disk: &Arc<dyn Disk>, out: &Path) -> anyhow::Result<()> {
    duramen_runtime::disk::create_dir_all_synced(disk, out)
        .with_context(|| format!("create {}", out.display()))?;

    let entries = disk.read_dir(out)?;
    anyhow::ensure!(entries.is_empty(), "{} is not empty", out.display());
    Ok(())
}

/// Merges blocks into folders of the output. If that fails, none of these folders is left.
async fn write(
    job: &Job,
    inputs: Vec<MergeInput>,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Merged> {
    let options = MergeOptions {
        memory_bytes_max: job.memory,
        limits: limits(job),
    };

    let mut writer = layout(&inputs);
    writer.zstd_level = job.zstd_level.unwrap_or(writer.zstd_level);

    let created = Arc::new(std::sync::Mutex::new(Vec::new()));
    let create = {
        let disk = Arc::clone(disk);
        let clock = Arc::clone(clock);
        let out = job.out.clone();
        let created = Arc::clone(&created);

        move || {
            let id = BlockId(clock.new_ulid());
            let folder = local::folder_of(&out, id);
            let block = BlockWriter::create(&disk, &folder, writer.clone())?;

            if let Ok(mut created) = created.lock() {
                created.push(folder);
            }

            Ok((id, block))
        }
    };

    let merged = merge(inputs, &options, &Arc::new(Reads::default()), create).await;

    let written = merged.map_err(anyhow::Error::from).and_then(|merged| {
        for block in &merged.blocks {
            let folder = local::folder_of(&job.out, block.entry.id);
            local::write_entry(&**disk, &folder, &block.entry)?;
        }

        Ok(merged)
    });

    if written.is_err()
        && let Ok(created) = created.lock()
    {
        for folder in created.iter() {
            let _ = duramen_runtime::disk::remove_dir_all(&**disk, folder);
        }
    }

    written
}

/// Returns the layout for a block of all inputs: that of a day if they cover more than half a day.
fn layout(inputs: &[MergeInput]) -> WriterOptions {
    const HOUR_MS: i64 = 60 * 60 * 1000;

    let stats = || inputs.iter().map(|input| &input.entry.stats);
    let first_ms = stats().map(|stats| stats.min_ts_ms).min().unwrap_or(0);
    let last_ms = stats().map(|stats| stats.max_ts_ms).max().unwrap_or(0);
    let is_long = last_ms.saturating_sub(first_ms) > 12 * HOUR_MS;

    WriterOptions::window(if is_long { 24 * HOUR_MS } else { 2 * HOUR_MS })
}

fn limits(job: &Job) -> BlockLimits {
    let defaults = BlockLimits::default();

    BlockLimits {
        series_max: job.series_max.unwrap_or(defaults.series_max).max(1),
        ..defaults
    }
}

/// Appends what a merge did.
fn describe(merged: &Merged, out: &Path, text: &mut String) {
    // Writing to a text cannot fail.
    let _ = describe_into(merged, out, text);
}

fn describe_into(merged: &Merged, out: &Path, text: &mut String) -> std::fmt::Result {
    let report = &merged.report;
    let conflicts: u64 = report.inputs.iter().map(|input| input.conflicts).sum();

    writeln!(
        text,
        "blocks     {} -> {}",
        report.inputs.len(),
        merged.blocks.len()
    )?;
    writeln!(text, "series     {}", report.series)?;
    writeln!(
        text,
        "samples    {} -> {} ({} equal, {conflicts} lost a conflict)",
        report.samples_before(),
        report.samples + report.histograms,
        report.equal()
    )?;
    writeln!(text, "histograms {}", report.histograms)?;
    writeln!(text, "exemplars  {}", report.exemplars)?;
    writeln!(text, "families   {}", report.families)?;
    writeln!(
        text,
        "bytes      {} -> {}{}",
        report.bytes_before(),
        report.bytes,
        per_sample(report)
    )?;

    for (writer, count) in report.conflicts_by_writer() {
        writeln!(text, "conflicts  {count} samples of writer {writer} lost")?;
    }

    for block in &merged.blocks {
        let stats = &block.entry.stats;
        let folder = local::folder_of(out, block.entry.id);
        let names = stats.names.as_ref().map_or_else(String::new, |names| {
            format!(", names {:?} to {:?}", names.first, names.last)
        });

        writeln!(
            text,
            "{}: {} series, {} bytes{names}",
            folder.display(),
            stats.series,
            stats.bytes()
        )?;
    }

    Ok(())
}

/// The bytes for each float and histogram, before and after.
fn per_sample(report: &MergeReport) -> String {
    let before = report.samples_before();
    let after = report.samples + report.histograms;

    if before == 0 || after == 0 {
        return String::new();
    }

    let ratio = |bytes: u64, samples: u64| bytes as f64 / samples as f64;
    let was = ratio(report.bytes_before(), before);
    let is = ratio(report.bytes, after);
    format!(" ({was:.3} -> {is:.3} a sample)")
}
