//! Makes blocks of the data of others, into a folder or a store.
//!
//! - `tsdb`: blocks of a Prometheus TSDB. `pieces`: texts, run by run. `remote`: a running server.
//! - `target`: where the blocks go, and what was imported before.
//! - `outcome`: what became of each input.

mod outcome;
mod pieces;
mod remote;
mod target;
mod tsdb;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use duramen_model::TimeRange;
use duramen_runtime::{Clock, Disk};
use duramen_transfer::csv::{CsvReader, Mapped, Mapping, TimeFormat};
use duramen_transfer::openmetrics::OpenMetricsReader;
use duramen_transfer::{Reader, RunLimits};
use serde_json::Value as Json;
use url::Url;

use self::outcome::{Outcome, in_json, told};
use self::remote::RemoteRead;
use self::target::{Place, Target};
use super::matching;
use super::store::{Absent, TenantStore};
use crate::cli::answer::Answer;
use crate::cli::format::Format;
use crate::cli::time::time_ms;

/// What is imported, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Import {
    /// Blocks of a TSDB, or directories that contain such blocks, as a data directory of Prometheus
    /// or a copy of a bucket of Thanos or Mimir. With another --form, files, or - for the standard
    /// input.
    #[arg(value_name = "INPUT", required_unless_present = "remote_read")]
    inputs: Vec<PathBuf>,

    /// The form of the inputs.
    #[arg(long, value_name = "FORM", default_value = "tsdb")]
    form: FormName,

    /// Says what a column of a CSV is: time=COLUMN, value=COLUMN, value:METRIC=COLUMN, name=COLUMN,
    /// label=COLUMN, label:NAME=COLUMN, histogram=COLUMN, labels=COLUMN. May be given several times;
    /// columns that are not named are left out. Without any, the columns are those of an export.
    #[arg(long, value_name = "ROLE=COLUMN")]
    map: Vec<Mapped>,

    /// How the column of a CSV tells times: s, ms, us, ns or rfc3339.
    #[arg(long, value_name = "FORMAT", default_value = "ms")]
    time: TimeFormat,

    /// The metric name of rows of a CSV that have none.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,

    /// Reads from a running server instead, as http://prometheus:9090/api/v1/read.
    #[arg(long, value_name = "URL", conflicts_with = "inputs", requires_all = ["from", "to"])]
    remote_read: Option<Url>,

    /// Reads the series that this selector matches, from a running server.
    #[arg(long = "match", value_name = "SELECTOR", requires = "remote_read")]
    matching: Option<String>,

    /// Reads samples from this time on: 2026-11-30T14:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time_ms, requires = "remote_read")]
    from: Option<i64>,

    /// Reads samples before this time.
    #[arg(long, value_name = "TIME", value_parser = time_ms, requires = "remote_read")]
    to: Option<i64>,

    /// Asks a running server for so much at once.
    #[arg(long, value_name = "DURATION", default_value = "2h", value_parser = duramen_settings::duration::parse)]
    window: Duration,

    /// The folder for the output. It must not exist, or be empty.
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["tenant", "dry_run"])]
    out: Option<PathBuf>,

    /// Puts the blocks into a store, for this tenant, instead of a folder. What was imported for the
    /// tenant before is passed over.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// Blocks of a Prometheus TSDB.
    Tsdb,
    /// OpenMetrics text with times.
    Openmetrics,
    Csv,
}

impl Import {
    /// Imports all inputs. One that fails is named, and the others go on.
    ///
    /// Requests: those of each input.
    pub(super) async fn run(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let outcomes = match (&self.remote_read, self.form) {
            (Some(url), _) => {
                let reading = self.reading(url, clock.now_ms())?;
                let target = self.target(disk, clock).await?;
                vec![reading.import(&target).await]
            }
            (None, FormName::Tsdb) => self.blocks(disk, clock).await?,
            (None, FormName::Openmetrics | FormName::Csv) => self.texts(disk, clock).await?,
        };

        let is_good = outcomes.iter().all(|outcome| outcome.error.is_none());

        let text = match self.output {
            Format::Text => told(&outcomes),
            Format::Json => {
                let all: Vec<Json> = outcomes.iter().map(in_json).collect();
                serde_json::to_string_pretty(&all).unwrap_or_default()
            }
        };

        Ok(Answer::judged(text, is_good))
    }

    async fn blocks(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Vec<Outcome>> {
        let directories = tsdb::find(disk, &self.inputs)?;
        let target = self.target(disk, clock).await?;
        let mut outcomes = Vec::with_capacity(directories.len());

        for (number, directory) in (1..).zip(directories) {
            tracing::info!("block {number}: {}", directory.display());
            outcomes.push(tsdb::import(&directory, &target).await);
        }

        Ok(outcomes)
    }

    async fn texts(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Vec<Outcome>> {
        let target = self.target(disk, clock).await?;
        let mut outcomes = Vec::with_capacity(self.inputs.len());

        for path in &self.inputs {
            let name = path.to_string_lossy().into_owned();
            let reader = self.reader(path, clock)?;
            outcomes.push(pieces::import_text(name, reader, &target).await);
        }

        Ok(outcomes)
    }

    fn reader(&self, path: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Box<dyn Reader>> {
        let input: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            let file = std::fs::File::open(path);
            Box::new(file.with_context(|| format!("open {}", path.display()))?)
        };

        let limits = RunLimits::default();
        if self.form == FormName::Openmetrics {
            return Ok(Box::new(OpenMetricsReader::new(
                input,
                limits,
                clock.now_ms(),
            )));
        }

        let mapping = Mapping {
            columns: self.map.clone(),
            time: self.time,
            metric: self.metric.clone(),
        };
        Ok(Box::new(CsvReader::new(input, limits, mapping)))
    }

    /// What is later than now may still change, so it is not asked for.
    fn reading(&self, url: &Url, now_ms: i64) -> anyhow::Result<RemoteRead> {
        let range = self.from.zip(self.to);
        let range = range.and_then(|(from, to)| TimeRange::new(from, to.min(now_ms)));
        let window_ms = i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX);

        Ok(RemoteRead {
            url: url.clone(),
            matchers: matching::read(self.matching.as_deref())?,
            selector: self.matching.clone().unwrap_or_default(),
            range: range.context("--from is not before --to")?,
            window_ms: window_ms.max(1),
        })
    }

    async fn target(&self, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
        let place = match (&self.tenant, &self.out) {
            _ if self.dry_run => Place::Nowhere,
            (Some(tenant), _) => {
                let store = self.store.as_deref();
                let config = self.config.as_deref();
                let tools = (disk, clock);

                let opened = TenantStore::open(tenant, store, config, Absent::IsMade, tools);
                opened.await.map(Place::Store)?
            }
            (None, Some(out)) => {
                super::rewrite::create_out(disk, out)?;
                Place::Folder(out.clone())
            }
            (None, None) => anyhow::bail!("--out or --tenant says where the blocks go"),
        };

        Ok(Target {
            place,
            disk: Arc::clone(disk),
            clock: Arc::clone(clock),
        })
    }
}
