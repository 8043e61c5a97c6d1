//! Makes blocks of the blocks of a Prometheus TSDB, into a folder or a store.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use duramen_block::{BlockLimits, BlockWriter, Error as BlockError, Sibling, WriterOptions};
use duramen_blocks::{ImportReport, MemoryBlock, Publisher, import_window, import_windows, local};
use duramen_model::{BlockEntry, BlockId, Content, Order, TenantId, TimeRange, WriterId};
use duramen_runtime::{Clock, Disk};
use duramen_tsdb::TsdbBlock;
use serde_json::{Value as Json, json};
use ulid::Ulid;

use super::store::{Absent, TenantStore};
use crate::cli::answer::Answer;
use crate::cli::format::Format;

/// What is imported, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Import {
    /// Blocks of a TSDB, or directories that contain such blocks, as a data directory of Prometheus
    /// or a copy of a bucket of Thanos or Mimir.
    #[arg(value_name = "DIRECTORY", required = true)]
    inputs: Vec<PathBuf>,

    /// The folder for the output. It must not exist, or be empty.
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["tenant", "dry_run"])]
    out: Option<PathBuf>,

    /// Puts the blocks into a store, for this tenant, instead of a folder. A block of the TSDB that
    /// was imported for the tenant before is passed over.
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    tenant: Option<String>,

    /// The store of --tenant, as for the server. Other settings of the store, such as keys for S3,
    /// come from --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL", requires = "tenant")]
    store: Option<String>,

    /// The file of settings that says where the store of --tenant is.
    #[arg(long, value_name = "FILE", requires = "tenant")]
    config: Option<PathBuf>,

    /// Reads everything and writes nothing.
    #[arg(long)]
    dry_run: bool,

    /// The format of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// What became of one block of the TSDB.
enum Outcome {
    Imported {
        report: ImportReport,
        blocks: usize,
        bytes: u64,
    },
    /// It was imported before.
    There,
    Failed(anyhow::Error),
}

impl Import {
    /// Imports all blocks. One that fails is named, and the others go on.
    ///
    /// Requests for each block of the TSDB: those of uploading its blocks, and of one commit.
    pub(super) async fn run(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let mut directories = Vec::new();

        for path in &self.inputs {
            let found = duramen_tsdb::find(&**disk, path)?;
            anyhow::ensure!(
                !found.is_empty(),
                "no block of a TSDB is in {}",
                path.display()
            );
            directories.extend(found);
        }

        let target = self.target(disk, clock).await?;
        let mut outcomes = Vec::with_capacity(directories.len());

        for (number, directory) in (1..).zip(directories) {
            tracing::info!("block {number}: {}", directory.display());
            let imported = self.import(&directory, &target, disk, clock).await;
            outcomes.push((directory, imported.unwrap_or_else(Outcome::Failed)));
        }

        let failed = |(_, outcome): &(PathBuf, Outcome)| matches!(outcome, Outcome::Failed(_));
        let is_good = !outcomes.iter().any(failed);

        let text = match self.output {
            Format::Text => told(&outcomes),
            Format::Json => {
                let all: Vec<Json> = outcomes.iter().map(in_json).collect();
                serde_json::to_string_pretty(&all).unwrap_or_default()
            }
        };

        Ok(Answer::judged(text, is_good))
    }

    async fn target(&self, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
        if self.dry_run {
            return Ok(Target::Nowhere);
        }

        match (&self.tenant, &self.out) {
            (Some(tenant), _) => {
                let store = self.store.as_deref();
                let config = self.config.as_deref();
                let tools = (disk, clock);

                let opened = TenantStore::open(tenant, store, config, Absent::IsMade, tools);
                opened.await.map(Target::Store)
            }
            (None, Some(out)) => {
                super::rewrite::create_out(disk, out)?;
                Ok(Target::Folder(out.clone()))
            }
            (None, None) => anyhow::bail!("--out or --tenant says where the blocks go"),
        }
    }

    async fn import(
        &self,
        directory: &Path,
        target: &Target,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Outcome> {
        let mut block = TsdbBlock::open(disk, directory)?;
        let writer = writer_of(target.tenant(), &block);

        let publisher = match target {
            Target::Store(store) => {
                let manifests = store.manifests(writer);
                let state = manifests.refresh(store.id).await?;

                if state.flushed.contains_key(&writer) {
                    return Ok(Outcome::There);
                }

                Some((store.id, Publisher::new(store.bucket.clone(), manifests)))
            }
            Target::Folder(_) | Target::Nowhere => None,
        };

        let series = Arc::new(block.series()?);
        let order = Order {
            opened: clock.now_ms().unsigned_abs() << ORDER_SHIFT,
            writer,
            flush: FLUSH,
        };

        let mut report = ImportReport::default();
        let mut entries = Vec::new();

        for window in import_windows(block.meta().range) {
            let create = target.creator(window, disk, clock);
            let series = Arc::clone(&series);

            let working = tokio::task::spawn_blocking(move || {
                let limits = BlockLimits::default();
                let written = import_window(&mut block, &series, window, limits, create);
                (block, written)
            });

            let (back, written) = working.await.context("the import was stopped")?;
            block = back;

            let (siblings, read) = written?;
            report.add(&read);
            let content = Content::of_flush(target.tenant(), order, window.start_ms());

            for Sibling {
                place,
                stats,
                files,
            } in siblings
            {
                let entry = BlockEntry::of_flush(place, order, content, stats);

                match (target, &publisher) {
                    (Target::Folder(out), _) => {
                        let folder = local::folder_of(out, entry.id);
                        local::write_entry(&**disk, &folder, &entry)?;
                        entries.push(entry);
                    }
                    (_, Some((tenant, publisher))) => {
                        let memory = MemoryBlock { entry, files };
                        entries.push(publisher.upload_from_memory(*tenant, memory).await?);
                    }
                    (_, None) => entries.push(entry),
                }
            }
        }

        let blocks = entries.len();
        let bytes = entries.iter().map(|entry| entry.stats.bytes()).sum();

        if let Some((tenant, publisher)) = publisher {
            publisher
                .commit_flush(tenant, entries, POSITION, FLUSH)
                .await?;
        }

        Ok(Outcome::Imported {
            report,
            blocks,
            bytes,
        })
    }
}

/// As orders of flushes have it: milliseconds, and room for several in one.
const ORDER_SHIFT: u32 = 16;
/// An import is the only flush of a writer of its own, which has no log.
const FLUSH: u64 = 1;
const POSITION: u64 = 0;

/// Where blocks go.
enum Target {
    Folder(PathBuf),
    Store(TenantStore),
    Nowhere,
}

type Creator = Box<dyn FnMut() -> Result<(BlockId, BlockWriter), BlockError> + Send>;

impl Target {
    fn tenant(&self) -> TenantId {
        match self {
            Self::Store(store) => store.id,
            Self::Folder(_) | Self::Nowhere => TenantId(Ulid::nil()),
        }
    }

    /// What makes the writers of the blocks of a window.
    fn creator(&self, window: TimeRange, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Creator {
        let length_ms = window.end_ms().saturating_sub(window.start_ms());
        let options = WriterOptions::window(length_ms);
        let clock = Arc::clone(clock);

        match self {
            Self::Folder(out) => {
                let disk = Arc::clone(disk);
                let out = out.clone();

                Box::new(move || {
                    let id = BlockId(clock.new_ulid());
                    let folder = local::folder_of(&out, id);
                    Ok((id, BlockWriter::create(&disk, &folder, options.clone())?))
                })
            }
            Self::Store(_) | Self::Nowhere => Box::new(move || {
                let id = BlockId(clock.new_ulid());
                Ok((id, BlockWriter::in_memory(options.clone())))
            }),
        }
    }
}

/// The writer of an import. It follows from the tenant and the block of the TSDB, so the manifest
/// tells whether that was imported.
fn writer_of(tenant: TenantId, block: &TsdbBlock) -> WriterId {
    let meta = block.meta();
    let named = format!(
        "import of {} into {tenant}: {:?}",
        meta.ulid, meta.external_labels
    );
    WriterId(Ulid(xxhash_rust::xxh3::xxh3_128(named.as_bytes())))
}

fn told(outcomes: &[(PathBuf, Outcome)]) -> String {
    let mut text = String::new();

    for (directory, outcome) in outcomes {
        let directory = directory.display();

        // Writing to a text cannot fail.
        let _ = match outcome {
            Outcome::Imported {
                report,
                blocks,
                bytes,
            } => writeln!(
                text,
                "imported  {directory}: {} series, {} samples, {} histograms, {} deleted, {} repeated -> {blocks} blocks, {bytes} bytes",
                report.series, report.samples, report.histograms, report.deleted, report.repeated
            ),
            Outcome::There => writeln!(text, "there     {directory}"),
            Outcome::Failed(error) => writeln!(text, "FAILED    {directory}: {error:#}"),
        };
    }

    text
}

fn in_json((directory, outcome): &(PathBuf, Outcome)) -> Json {
    let directory = directory.to_string_lossy();

    match outcome {
        Outcome::Imported {
            report,
            blocks,
            bytes,
        } => json!({
            "directory": directory,
            "outcome": "imported",
            "series": report.series,
            "samples": report.samples,
            "histograms": report.histograms,
            "deleted": report.deleted,
            "repeated": report.repeated,
            "blocks": blocks,
            "bytes": bytes,
        }),
        Outcome::There => json!({ "directory": directory, "outcome": "there" }),
        Outcome::Failed(error) => json!({
            "directory": directory,
            "outcome": "failed",
            "error": format!("{error:#}"),
        }),
    }
}
