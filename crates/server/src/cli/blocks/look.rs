//! Looks at blocks: lists them, shows their entries, verifies them.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use clap::Args;
use duramen_blocks::{Audited, Error, MergeInput, audit};
use duramen_model::BlockEntry;
use duramen_runtime::{Clock, Disk};
use serde_json::{Value as Json, json};

use super::selection::{Rank, Selection};
use crate::cli::answer::Answer;
use crate::cli::format::Format;

/// The blocks, and the format of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Look {
    #[command(flatten)]
    selection: Selection,

    /// The format of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Look {
    /// The blocks, the oldest first.
    async fn blocks(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Vec<Found>> {
        let selected = self.selection.select(Rank::Any, disk, clock).await?;
        let mut quarantined = selected.quarantined;

        let found = selected.blocks.into_iter().map(|block| Found {
            quarantined: quarantined.remove(&block.entry.id),
            block,
        });

        let mut found: Vec<Found> = found.collect();
        found.sort_by_key(|Found { block, .. }| (block.entry.stats.min_ts_ms, block.entry.id));
        Ok(found)
    }

    /// Requests: those of the selection. No block is read.
    pub(super) async fn list(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let blocks = self.blocks(disk, clock).await?;
        Ok(self.shown(&blocks, table))
    }

    /// Requests: those of the selection. No block is read.
    pub(super) async fn inspect(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let blocks = self.blocks(disk, clock).await?;
        Ok(self.shown(&blocks, sheets))
    }

    /// Returns the blocks as `text` says, or as JSON.
    fn shown(&self, blocks: &[Found], text: fn(&[Found]) -> String) -> Answer {
        Answer::good(match self.output {
            Format::Text => text(blocks),
            Format::Json => printed(&blocks.iter().map(described).collect()),
        })
    }

    /// Requests: those of the selection, and those of [`audit`] for each block.
    pub(super) async fn verify(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let blocks = self.blocks(disk, clock).await?;
        let mut verdicts = Vec::with_capacity(blocks.len());

        for found in &blocks {
            verdicts.push((found, audit(&found.block).await));
        }

        let is_good = verdicts.iter().all(|(_, verdict)| verdict.is_ok());

        let text = match self.output {
            Format::Text => verdicts_in_text(&verdicts),
            Format::Json => printed(&verdicts.iter().map(verdict_in_json).collect()),
        };

        Ok(Answer::judged(text, is_good))
    }
}

/// A block, and what its manifest says of it.
struct Found {
    block: MergeInput,
    /// Why it is in quarantine.
    quarantined: Option<String>,
}

/// What was found of a block.
type Verdict<'a> = (&'a Found, Result<Audited, Error>);

fn printed(values: &Vec<Json>) -> String {
    serde_json::to_string_pretty(values).unwrap_or_default()
}

/// Returns an error with all its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);

    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }

    text
}

fn rfc3339(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{ms} ms"),
    }
}

/// The bytes for each float and histogram; `None` without any.
fn bytes_per_sample(entry: &BlockEntry) -> Option<f64> {
    let samples = entry.stats.samples + entry.stats.histograms;
    (samples > 0).then(|| entry.stats.bytes() as f64 / samples as f64)
}

/// The entry in its JSON form, with the place of the block and what follows from the entry.
fn described(found: &Found) -> Json {
    let Found { block, quarantined } = found;
    let entry = &block.entry;

    json!({
        "block": entry.id.to_string(),
        "directory": block.directory.as_ref(),
        "first": rfc3339(entry.stats.min_ts_ms),
        "last": rfc3339(entry.stats.max_ts_ms),
        "bytes": entry.stats.bytes(),
        "bytesPerSample": bytes_per_sample(entry),
        "quarantined": quarantined,
        "entry": entry,
    })
}

fn verdict_in_json((found, verdict): &Verdict<'_>) -> Json {
    let mut json = described(found);

    match verdict {
        Ok(_) => json["ok"] = true.into(),
        Err(error) => {
            json["ok"] = false.into();
            json["fault"] = chain(error).into();
        }
    }

    json
}

/// A line for each block. That of a block in quarantine ends with the reason.
fn table(blocks: &[Found]) -> String {
    let mut text = format!(
        "{:<26}  {:>5}  {:<24}  {:<24}  {:>9}  {:>12}  {:>10}  {:>13}  {:>8}\n",
        "BLOCK", "LEVEL", "FIRST", "LAST", "SERIES", "SAMPLES", "HISTOGRAMS", "BYTES", "B/SAMPLE"
    );

    for Found { block, quarantined } in blocks {
        let entry = &block.entry;
        let stats = &entry.stats;
        let quarantined = quarantined
            .as_ref()
            .map_or_else(String::new, |fault| format!("  quarantined: {fault}"));
        let each = bytes_per_sample(entry).map_or_else(String::new, |each| format!("{each:.3}"));

        let _ = writeln!(
            text,
            "{:<26}  {:>5}  {:<24}  {:<24}  {:>9}  {:>12}  {:>10}  {:>13}  {each:>8}{quarantined}",
            entry.id.to_string(),
            entry.level,
            rfc3339(stats.min_ts_ms),
            rfc3339(stats.max_ts_ms),
            stats.series,
            stats.samples,
            stats.histograms,
            stats.bytes(),
        );
    }

    text
}

fn sheets(blocks: &[Found]) -> String {
    blocks.iter().map(sheet).collect::<Vec<_>>().join("\n")
}

/// All that the entry says, a line for each.
fn sheet(Found { block, quarantined }: &Found) -> String {
    let entry = &block.entry;
    let stats = &entry.stats;
    let resolution = entry.resolution_ms;

    let names = stats.names.as_ref();
    let names = names.map(|names| format!("{:?} to {:?}", names.first, names.last));

    let order = |order: &duramen_model::Order| {
        format!(
            "flush {} of writer {}, opened {}",
            order.flush, order.writer, order.opened
        )
    };

    let mut lines = vec![
        ("block", entry.id.to_string()),
        ("directory", block.directory.to_string()),
        ("level", entry.level.to_string()),
        ("first", rfc3339(stats.min_ts_ms)),
        ("last", rfc3339(stats.max_ts_ms)),
        (
            "resolution",
            resolution.map_or_else(|| "raw".to_owned(), |ms| format!("{ms} ms")),
        ),
        ("names", names.unwrap_or_else(|| "none".to_owned())),
        ("oldest", order(&entry.order.min)),
        ("newest", order(&entry.order.max)),
        ("series", stats.series.to_string()),
        ("samples", stats.samples.to_string()),
        ("histograms", stats.histograms.to_string()),
        ("exemplars", stats.exemplars.to_string()),
        ("families", stats.families.to_string()),
        ("bytes", stats.bytes().to_string()),
    ];

    if let Some(each) = bytes_per_sample(entry) {
        lines.push(("bytes/sample", format!("{each:.3}")));
    }

    if let Some(fault) = quarantined {
        lines.push(("quarantined", fault.clone()));
    }

    let mut text = String::new();

    for (name, value) in lines {
        let _ = writeln!(text, "{name:<13} {value}");
    }

    for file in &stats.files {
        let _ = writeln!(text, "{:<20} {:>13} bytes", file.name, file.bytes);
    }

    let _ = writeln!(text, "{:<20} {:>13} bytes", "meta", stats.meta_bytes);
    text
}

fn verdicts_in_text(verdicts: &[Verdict<'_>]) -> String {
    let mut text = String::new();

    for (found, verdict) in verdicts {
        let directory = &found.block.directory;

        let _ = match verdict {
            Ok(read) => writeln!(
                text,
                "good   {directory}: {} series, {} samples, {} histograms, {} exemplars, {} families, {} bytes",
                read.series,
                read.samples,
                read.histograms,
                read.exemplars,
                read.families,
                read.bytes
            ),
            Err(error) => writeln!(text, "FAULT  {directory}: {}", chain(error)),
        };
    }

    let faults = verdicts.iter().filter(|(_, verdict)| verdict.is_err());
    let _ = writeln!(
        text,
        "{} blocks, {} with a fault",
        verdicts.len(),
        faults.count()
    );
    text
}
