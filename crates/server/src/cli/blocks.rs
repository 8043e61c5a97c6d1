//! The subcommand `blocks`: merges blocks and writes them again, offline.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use duramen_block::{BlockLimits, BlockWriter, WriterOptions};
use duramen_blocks::local::{self, LocalBlock};
use duramen_blocks::{MergeInput, MergeOptions, MergeReport, Merged, merge};
use duramen_bucket::{Bucket, StoreUrl, Tenants, WriterIdentity, keys};
use duramen_manifest::Manifests;
use duramen_model::{BlockEntry, BlockId, Incarnation, TenantId, TenantName, WriterId};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_source::Reads;

use crate::config::settings::Settings;
use crate::roles::open_bucket;

/// Works on blocks offline, without a server. It never changes its inputs or a store: the output is
/// a folder.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Blocks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Task {
    /// Merges all inputs into one block, or into several siblings if it would be too large. If two
    /// inputs have different values for the same series and time, the older flush wins.
    Merge(Job),
    /// Writes each input again on its own, for example with another level of compression.
    Rewrite(Job),
}

/// What is read, how, and where the output goes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Job {
    /// Folders of blocks, or folders that contain such folders. A block folder has a file `meta`.
    #[arg(value_name = "FOLDER", required_unless_present = "tenant")]
    inputs: Vec<PathBuf>,

    /// Takes the live blocks of this tenant in a store, instead of folders.
    #[arg(long, value_name = "NAME", conflicts_with = "inputs")]
    tenant: Option<String>,

    /// The store of --tenant, as for the server. Other settings of the store, such as keys for S3,
    /// come from --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL", requires = "tenant")]
    store: Option<String>,

    /// The file of settings that says where the store of --tenant is.
    #[arg(long, value_name = "FILE", requires = "tenant")]
    config: Option<PathBuf>,

    /// Takes only this block of the tenant. May be given several times.
    #[arg(long = "block", value_name = "ID", requires = "tenant")]
    blocks: Vec<BlockId>,

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

/// Runs the command, and returns what it did.
pub(crate) async fn run(command: &Blocks) -> anyhow::Result<String> {
    let task = &command.task;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

    let (job, outputs) = match task {
        Task::Merge(job) => (job, vec![inputs(job, &disk, &clock).await?]),
        Task::Rewrite(job) => {
            let inputs = inputs(job, &disk, &clock).await?;
            (job, inputs.into_iter().map(|input| vec![input]).collect())
        }
    };

    create_out(&disk, &job.out)?;
    let mut text = String::new();

    for inputs in outputs {
        let merged = write(job, inputs, &disk, &clock).await?;
        describe(&merged, &job.out, &mut text);
    }

    Ok(text)
}

/// Returns the blocks that the command names.
async fn inputs(
    job: &Job,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<MergeInput>> {
    let inputs = match &job.tenant {
        Some(tenant) => of_tenant(job, tenant, disk, clock).await?,
        None => of_folders(job, disk)?,
    };

    anyhow::ensure!(!inputs.is_empty(), "there is no block");
    Ok(inputs)
}

fn of_folders(job: &Job, disk: &Arc<dyn Disk>) -> anyhow::Result<Vec<MergeInput>> {
    let mut blocks: Vec<LocalBlock> = Vec::new();

    for path in &job.inputs {
        let found = local::find(&**disk, path)?;
        anyhow::ensure!(!found.is_empty(), "no block is in {}", path.display());
        blocks.extend(found);
    }

    let unranked = blocks.iter().find(|block| block.entry.is_none());

    if let Some(block) = unranked
        && blocks.len() > 1
        && !job.in_order
    {
        anyhow::bail!(
            "{} has no entry.json, so its rank among the inputs is not known: --in-order ranks them as they are given",
            block.folder.display()
        );
    }

    let rank = |at: u64| job.in_order.then_some(at);
    let mut inputs = Vec::new();

    for (at, block) in (0..).zip(&blocks) {
        inputs.push(block.input(disk, rank(at))?);
    }

    Ok(inputs)
}

/// Returns the live blocks of a tenant.
///
/// Requests: those of reading the register of tenants and the manifest once.
async fn of_tenant(
    job: &Job,
    tenant: &str,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<MergeInput>> {
    let settings = Settings::of_store(job.config.as_deref(), job.store.as_deref())?;
    let url = settings.config.store_url()?;

    // To open a store in a directory would create the directory.
    if let StoreUrl::File(path) = &url {
        anyhow::ensure!(path.is_dir(), "there is no store in {}", path.display());
    }

    let bucket = open_bucket(&settings.config, disk, clock)?;
    let name = TenantName::parse(tenant)?;

    // The name of a writer of nothing: nothing is written under it.
    let identity = WriterIdentity {
        writer: WriterId(clock.new_ulid()),
        epoch: 0,
        incarnation: Incarnation(clock.new_ulid()),
    };

    let register = Tenants::open(bucket.clone(), identity.writer).await?;
    let id = register
        .lookup(&name)
        .with_context(|| format!("the store has no tenant {tenant}"))?;

    let state = Manifests::new(bucket.clone(), Arc::clone(clock), identity)
        .refresh(id)
        .await?;

    for block in &job.blocks {
        anyhow::ensure!(
            state.blocks.contains_key(block),
            "{block} is no live block of {tenant}"
        );
    }

    let is_wanted =
        |entry: &&Arc<BlockEntry>| job.blocks.is_empty() || job.blocks.contains(&entry.id);

    Ok(state
        .blocks
        .values()
        .filter(is_wanted)
        .map(|entry| of_store(&bucket, id, entry))
        .collect())
}

fn of_store(bucket: &Bucket, tenant: TenantId, entry: &BlockEntry) -> MergeInput {
    MergeInput {
        entry: entry.clone(),
        store: bucket.store(),
        directory: keys::block(tenant, entry),
    }
}

/// Creates the folder of the output. Refuses one that has something.
fn create_out(disk: &Arc<dyn Disk>, out: &Path) -> anyhow::Result<()> {
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
