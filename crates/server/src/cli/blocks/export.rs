//! Writes the series of a tenant in a form of others.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use clap::{Args, ValueEnum};
use duramen_blocks::Blocks;
use duramen_model::{AsOf, BlockEntry, TenantId, TimeRange};
use duramen_qos::Account;
use duramen_query::Storage;
use duramen_runtime::{Clock, Disk};
use duramen_source::{Error as SourceError, HeadSnapshot, Heads, Reads, SeriesRequest, Views};
use duramen_transfer::csv::CsvForm;
use duramen_transfer::openmetrics::OpenMetricsForm;
use duramen_transfer::parquet::ParquetForm;
use duramen_transfer::tsdb::TsdbForm;
use duramen_transfer::{Error, Export, Form, LabelsAs, Output, Progress, Written};
use serde_json::json;

use super::matching;
use super::store::{Absent, TenantStore};
use crate::cli::answer::Answer;
use crate::cli::format::Format;
use crate::cli::time::{as_of, time_ms};

/// What is exported, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Exporting {
    /// The tenant. What a server has not flushed yet is not in the store.
    #[arg(long, value_name = "NAME")]
    tenant: String,

    /// The store, as for the server. Other settings of the store, such as keys for S3, come from
    /// --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL")]
    store: Option<String>,

    /// The file of settings that says where the store is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The form of the output.
    #[arg(long, value_name = "FORM")]
    form: FormName,

    /// The file of the output, or - for the standard output. For blocks of a TSDB, their directory,
    /// which must not exist or be empty.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// Takes the series that this selector matches, as {job="api"}. All, without it.
    #[arg(long = "match", value_name = "SELECTOR")]
    matching: Option<String>,

    /// Takes samples from this time on: 2026-11-30T14:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    from: Option<i64>,

    /// Takes samples before this time.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    to: Option<i64>,

    /// Takes what the store had at this time: 2026-11-30T14:00:00Z, seconds since 1970, or seq:N
    /// for the state after N edits of the manifest. Without what was deleted since.
    #[arg(long, value_name = "TIME", value_parser = as_of, allow_hyphen_values = true)]
    as_of: Option<AsOf>,

    /// How a CSV or a Parquet file holds labels.
    #[arg(long, value_name = "HOW", default_value = "columns")]
    labels: LabelsName,

    /// About the memory that samples on their way may take.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory)]
    memory: usize,

    /// The format of the summary.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// OpenMetrics text with times.
    Openmetrics,
    Csv,
    /// One flat Parquet file.
    Parquet,
    /// Blocks of a Prometheus TSDB.
    Tsdb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LabelsName {
    /// A column for each label.
    Columns,
    /// One column with all labels.
    Map,
}

/// The smallest memory: a batch of each of some blocks.
const MEMORY_BYTES_MIN: usize = 16 << 20;
/// The time and the value of a sample.
const SAMPLE_BYTES: u64 = 16;
/// The batches of a block in memory: the current one, and one that is read ahead.
const BATCHES_OF_A_BLOCK: u64 = 2;
const OPEN_BLOCKS_MAX: usize = 4096;
/// What a batch of one series costs in requests is too much below this.
const BATCH_SERIES_MIN: u64 = 8;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Reads the size of the memory.
fn memory(text: &str) -> Result<usize, String> {
    let bytes = duramen_settings::size::parse(text)?;
    if bytes < MEMORY_BYTES_MIN {
        return Err("an export takes at least 16MiB".to_owned());
    }

    Ok(bytes)
}

impl Exporting {
    /// Writes everything that is asked for.
    ///
    /// Requests: those of reading the register of tenants and, twice, the manifest; then those of
    /// [`Export::run`].
    pub(super) async fn run(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let range = self.range()?;
        let matchers = matching::read(self.matching.as_deref())?;
        let store = self.store.as_deref();
        let config = self.config.as_deref();
        let tools = (disk, clock);
        let store = TenantStore::open(&self.tenant, store, config, Absent::Fails, tools).await?;

        let storage = Storage::new(
            Arc::new(NoHeads),
            store.manifests_to_read(),
            Arc::new(Blocks::new(
                store.bucket.clone(),
                self.memory / 4,
                OPEN_BLOCKS_MAX,
                Account::unbounded(),
            )),
            duramen_query::Metrics::default(),
        );

        let entries = storage.blocks(store.id, self.as_of.as_ref()).await?;
        let form = self.form(disk, clock)?;
        let whole_series = form.wants().whole_series;

        let export = Export {
            source: storage.view(&[store.id], self.as_of.as_ref(), None).await?,
            matchers: Arc::from(matchers),
            range,
            held: entries.iter().map(|entry| entry.stats.range()).collect(),
            batch_series_max: self.batch_series_max(&entries, whole_series),
            reads: Arc::new(Reads::default()),
        };

        let shown = Shown::new(Arc::clone(clock));
        let done = export.run(form, |progress| shown.show(&progress)).await;
        shown.end();

        match done {
            Ok(written) => Ok(self.answer(&written)),
            Err(closed @ Error::Closed) => Ok(aside(&closed.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    fn range(&self) -> anyhow::Result<TimeRange> {
        let all = TimeRange::ALL;
        let from = self.from.unwrap_or_else(|| all.start_ms());
        let to = self.to.unwrap_or_else(|| all.end_ms());

        TimeRange::new(from, to).context("--from is not before --to")
    }

    fn form(&self, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> anyhow::Result<Box<dyn Form>> {
        let labels = match self.labels {
            LabelsName::Columns => LabelsAs::Columns,
            LabelsName::Map => LabelsAs::Map,
        };

        if self.form == FormName::Tsdb {
            anyhow::ensure!(!self.is_piped(), "blocks of a TSDB need a directory");
            super::rewrite::create_out(disk, &self.out)?;

            let disk = Arc::clone(disk);
            let clock = Arc::clone(clock);
            return Ok(Box::new(TsdbForm::new(disk, clock, self.out.clone())));
        }

        let output = if self.is_piped() {
            Output::pipe(std::io::stdout())
        } else {
            Output::file(disk, &self.out, clock.new_ulid())?
        };

        Ok(match self.form {
            FormName::Openmetrics | FormName::Tsdb => Box::new(OpenMetricsForm::new(output)),
            FormName::Csv => Box::new(CsvForm::new(output, labels)),
            FormName::Parquet => Box::new(ParquetForm::new(output, labels)),
        })
    }

    fn is_piped(&self) -> bool {
        self.out == Path::new("-")
    }

    /// Returns how many series a batch may have, so that the batches of all blocks that are merged
    /// at once fit into the memory, with as many samples of a series as blocks have on average.
    fn batch_series_max(&self, entries: &[Arc<BlockEntry>], whole_series: bool) -> usize {
        let of_series = |entry: &BlockEntry| entry.stats.samples / entry.stats.series.max(1) + 1;
        let bytes = |entry: &BlockEntry| of_series(entry) * SAMPLE_BYTES * BATCHES_OF_A_BLOCK;

        let at_once = |at: &BlockEntry| -> u64 {
            let range = day_around(at.stats.range());
            let overlap = |entry: &BlockEntry| entry.stats.range().intersect(range).is_some();

            let wanted = entries
                .iter()
                .filter(|entry| whole_series || overlap(entry));
            wanted.map(|entry| bytes(entry)).sum()
        };

        let most = if whole_series {
            entries.first().map(|entry| at_once(entry))
        } else {
            entries.iter().map(|entry| at_once(entry)).max()
        };

        let series = (self.memory as u64 / 2) / most.unwrap_or(1).max(1);
        let series = series.clamp(BATCH_SERIES_MIN, SeriesRequest::BATCH_SERIES as u64);
        usize::try_from(series).unwrap_or(SeriesRequest::BATCH_SERIES)
    }

    fn answer(&self, written: &Written) -> Answer {
        let text = match self.output {
            Format::Text => told(written),
            Format::Json => serde_json::to_string_pretty(&in_json(written)).unwrap_or_default(),
        };

        if self.is_piped() {
            aside(&text)
        } else {
            Answer::good(text)
        }
    }
}

/// Prints a text to the standard error. The standard output has the data, and gets no more.
fn aside(text: &str) -> Answer {
    #[expect(clippy::print_stderr, reason = "it is asked for on the command line")]
    {
        eprintln!("{}", text.trim_end());
    }

    Answer::good(String::new())
}

/// Returns the days that a range touches, as one range.
fn day_around(range: TimeRange) -> TimeRange {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    let start_ms = range.start_ms().div_euclid(DAY_MS).saturating_mul(DAY_MS);
    let end_ms = range.end_ms().div_euclid(DAY_MS).saturating_add(1);
    TimeRange::new(start_ms, end_ms.saturating_mul(DAY_MS)).unwrap_or(range)
}

/// A store alone has no head.
#[derive(Debug)]
struct NoHeads;

#[async_trait]
impl Heads for NoHeads {
    async fn snapshots(&self, _: TenantId) -> Result<Vec<HeadSnapshot>, SourceError> {
        Ok(Vec::new())
    }
}

/// Shows on a terminal how far an export is.
struct Shown {
    clock: Arc<dyn Clock>,
    is_on: bool,
    last: std::sync::Mutex<Duration>,
}

impl Shown {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let last = std::sync::Mutex::new(clock.monotonic());

        Self {
            clock,
            is_on: std::io::stderr().is_terminal(),
            last,
        }
    }

    fn show(&self, progress: &Progress) {
        let now = self.clock.monotonic();
        let Ok(mut last) = self.last.lock() else {
            return;
        };

        if !self.is_on || now.saturating_sub(*last) < PROGRESS_EVERY {
            return;
        }

        *last = now;
        let Progress {
            window,
            windows,
            written,
        } = progress;

        #[expect(clippy::print_stderr, reason = "progress on a terminal")]
        {
            eprint!(
                "\r{window} of {windows} windows, {} series, {} samples, {} bytes ",
                written.series,
                written.floats + written.histograms,
                written.bytes
            );
        }
    }

    fn end(&self) {
        #[expect(clippy::print_stderr, reason = "progress on a terminal")]
        if self.is_on {
            eprintln!();
        }
    }
}

fn told(written: &Written) -> String {
    let mut text = format!(
        "exported {} series, {} samples, {} histograms, {} exemplars, {} families -> {} files, {} bytes\n",
        written.series,
        written.floats,
        written.histograms,
        written.exemplars,
        written.families,
        written.files,
        written.bytes
    );

    let left_out = &written.left_out;
    let all = [
        (left_out.stale_markers, "stale markers"),
        (left_out.histograms, "native histograms"),
        (left_out.exemplars, "exemplars"),
        (left_out.unnamed, "samples without a metric name"),
    ];

    for (count, what) in all {
        if count > 0 {
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "left out {count} {what}: the form has no place for them"
            );
        }
    }

    text
}

fn in_json(written: &Written) -> serde_json::Value {
    let left_out = &written.left_out;

    json!({
        "series": written.series,
        "samples": written.floats,
        "histograms": written.histograms,
        "exemplars": written.exemplars,
        "families": written.families,
        "files": written.files,
        "bytes": written.bytes,
        "leftOut": {
            "staleMarkers": left_out.stale_markers,
            "histograms": left_out.histograms,
            "exemplars": left_out.exemplars,
            "unnamed": left_out.unnamed,
        },
    })
}
