//! The subcommand `compact`: merges the blocks of a store, until there is nothing to merge, or for
//! as long as the process runs.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use duramen_blocks::{MergeOptions, Staging};
use duramen_bucket::{Access, Bucket, StoreUrl, Tenant, Tenants, WriterIdentity};
use duramen_compact::claims::STILL_MAX;
use duramen_compact::{
    ClaimWhen, Claims, Compactor, Event, Executor, Job, Policy, Summary, Worker,
};
use duramen_limits::{LimitsHandle, LiveLimits};
use duramen_manifest::Manifests;
use duramen_metrics::Registry;
use duramen_model::{Incarnation, TenantName, WriterId};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_source::Retention;
use serde_json::{Value as Json, json};

use crate::cli::answer::Answer;
use crate::cli::format::Format;
use crate::cli::time::time_ms;
use crate::config::settings::Settings;
use crate::roles::open_bucket;
use crate::roles::worker::{self, Tools};

/// The exit code when there was nothing to merge.
const NOTHING_TO_DO: u8 = 3;
/// The exit code when some merges failed. The others are done.
const SOME_FAILED: u8 = 4;

/// Merges the blocks of a store: fragments of a window of two hours, then the window, then the day.
/// It may run beside a server, and beside other processes that merge. It can be stopped at any
/// time: the next run does what is left.
///
/// Without --once, it goes on until a signal ends it, every compact.interval. It also deletes what
/// nothing needs, as a server does. Any number of such workers may run: they share the work.
///
/// With --once, the exit code is 0 if all merges were done, 3 if there was nothing to do, 4 if some
/// merges failed, and 1 if the command could not do its work.
///
/// What is beyond the retention of the limits file (`limits_file` of --config, or
/// DURAMEN_LIMITS_FILE) is removed first.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Compact {
    /// Merges until there is nothing to merge, and ends. Merges that a running process has claimed
    /// are left to it. Those of a process that has died are taken over, which takes a minute.
    #[arg(long)]
    once: bool,

    /// Merges the blocks of this tenant only. May be given several times.
    #[arg(long = "tenant", value_name = "NAME", requires = "once")]
    tenants: Vec<String>,

    /// Merges only in the windows that hold this time: 2026-11-30T14:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time_ms, requires = "once")]
    window: Option<i64>,

    /// Says what would be merged, and merges nothing.
    #[arg(long, requires = "once")]
    dry_run: bool,

    /// The store, as for the server. Other settings of the store, such as keys for S3, come from
    /// --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL")]
    store: Option<String>,

    /// The file of settings that says where the store is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The folder on the local disk in which outputs wait for their upload, in a folder of their
    /// own. The default is that for temporary files. An output of a day may have some GB.
    #[arg(long, value_name = "FOLDER")]
    staging: Option<PathBuf>,

    /// Makes no rollups.
    #[arg(long)]
    no_rollups: bool,

    /// The memory that a merge may take.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory)]
    memory: usize,

    /// The format of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// The smallest memory: a row group of the output and a batch of each input.
const MEMORY_BYTES_MIN: usize = 16 << 20;

/// Reads the size of the memory.
fn memory(text: &str) -> Result<usize, String> {
    let bytes = duramen_settings::size::parse(text)?;
    if bytes < MEMORY_BYTES_MIN {
        return Err("a merge takes at least 16MiB".to_owned());
    }

    Ok(bytes)
}

/// How often the claims of others are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What was done for a tenant, or would be.
struct Done {
    tenant: TenantName,
    outcome: Outcome,
}

impl Done {
    /// How many jobs are left to other workers.
    fn left(&self) -> u64 {
        match &self.outcome {
            Outcome::Merged(summary) => summary.left,
            Outcome::Planned(..) | Outcome::Failed(_) => 0,
        }
    }

    /// Adds what was done later.
    fn join(&mut self, more: Outcome) {
        match (&mut self.outcome, more) {
            (Outcome::Merged(summary), Outcome::Merged(more)) => summary.join(more),
            (outcome, more) => *outcome = more,
        }
    }
}

enum Outcome {
    /// The jobs, and how many blocks are beyond their retention.
    Planned(Vec<Job>, u64),
    Merged(Summary),
    /// The manifest of the tenant could not be read.
    Failed(String),
}

impl Compact {
    /// Merges what there is to merge.
    ///
    /// Requests: those of reading the register of tenants, and those of [`Compactor::drain`] for
    /// each tenant. If a tenant has a retention, also those of [`Compactor::plan`] and
    /// [`Compactor::expire`].
    pub(crate) async fn run(&self) -> anyhow::Result<Answer> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

        match self.once {
            true => self.run_once(&disk, &clock).await,
            false => self.work(&disk, &clock).await,
        }
    }

    /// Whether the command ends by itself.
    pub(crate) const fn is_once(&self) -> bool {
        self.once
    }

    /// Merges and collects until a signal ends the process.
    ///
    /// Requests: those of [`worker::run`].
    async fn work(&self, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> anyhow::Result<Answer> {
        let settings = Settings::of_store(self.config.as_deref(), self.store.as_deref())?;
        let folder = self.folder(clock);

        let tools = Tools {
            bucket: self.bucket(disk, clock)?,
            disk,
            clock,
            folder: &folder,
            memory_bytes: self.memory,
            rollups: !self.no_rollups,
        };

        let worked = worker::run(&settings.config, tools).await;
        duramen_runtime::disk::remove_dir_all(&**disk, &folder)
            .with_context(|| format!("remove {}", folder.display()))?;

        worked.map(|()| Answer::good("the worker has ended".to_owned()))
    }

    async fn run_once(
        &self,
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Answer> {
        let limits = self.limits(clock)?;
        let bucket = self.bucket(disk, clock)?;
        let tenants = self.tenants(&bucket, clock).await?;
        let folder = self.folder(clock);
        let staging = Staging::open(Arc::clone(disk), folder.clone())?;
        let worker = Worker::new(bucket.clone(), &**clock);
        let compactor = self.compactor(bucket, staging, &worker, clock);

        let mut all = Vec::new();
        for tenant in &tenants {
            let retention = limits.of(&tenant.name).retention.at(clock.now_ms());
            let outcome = self.of_tenant(&compactor, tenant, retention).await;
            all.push(Done {
                tenant: tenant.name.clone(),
                outcome: outcome.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}"))),
            });
        }

        self.take_over(&compactor, &tenants, &mut all, &**clock)
            .await;
        worker.leave().await?;

        duramen_runtime::disk::remove_dir_all(&**disk, &folder)
            .with_context(|| format!("remove {}", folder.display()))?;

        let text = match self.output {
            Format::Text => told(&all),
            Format::Json => serde_json::to_string_pretty(&in_json(&all)).unwrap_or_default(),
        };

        let code = code(&all);
        Ok(Answer { text, code })
    }

    /// Looks again at the tenants whose jobs others have claimed, until a worker that has died
    /// would have been noticed.
    async fn take_over(
        &self,
        compactor: &Compactor,
        tenants: &[Tenant],
        all: &mut [Done],
        clock: &dyn Clock,
    ) {
        let until = clock.monotonic() + STILL_MAX + LOOK_EVERY;

        while all.iter().any(|done| done.left() > 0) && clock.monotonic() < until {
            clock.sleep(LOOK_EVERY).await;

            for (done, tenant) in all.iter_mut().zip(tenants) {
                if done.left() > 0 {
                    let more = self.of_tenant(compactor, tenant, None).await;
                    done.join(more.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}"))));
                }
            }
        }
    }

    /// The limits of the tenants as they are now.
    fn limits(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<LimitsHandle> {
        let settings = Settings::of_store(self.config.as_deref(), self.store.as_deref())?;
        let config = &settings.config;
        let (file, built_in) = (config.limits_file.clone(), config.limits());
        let live = LiveLimits::open(file, built_in, Arc::clone(clock), &mut Registry::default())?;

        Ok(live.handle().clone())
    }

    fn bucket(&self, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> anyhow::Result<Bucket> {
        let settings = Settings::of_store(self.config.as_deref(), self.store.as_deref())?;
        let url = settings.config.store_url()?;

        // To open a store in a directory would create the directory.
        if let StoreUrl::File(path) = &url {
            anyhow::ensure!(path.is_dir(), "there is no store in {}", path.display());
        }

        open_bucket(&settings.config, Access::Alone, disk, clock)
    }

    async fn tenants(
        &self,
        bucket: &Bucket,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Vec<Tenant>> {
        let register = Tenants::open(bucket.clone(), WriterId(clock.new_ulid())).await?;
        if self.tenants.is_empty() {
            return Ok(register.all());
        }

        let mut tenants = Vec::new();
        for name in &self.tenants {
            let name = TenantName::parse(name)?;
            let id = register
                .lookup(&name)
                .with_context(|| format!("the store has no tenant {name}"))?;
            tenants.push(Tenant { name, id });
        }

        Ok(tenants)
    }

    /// The folder for outputs that are not uploaded yet. No other process has it.
    fn folder(&self, clock: &Arc<dyn Clock>) -> PathBuf {
        let parent = self.staging.clone().unwrap_or_else(std::env::temp_dir);
        parent.join(format!("duramen-compact-{}", clock.new_ulid()))
    }

    fn compactor(
        &self,
        bucket: Bucket,
        staging: Staging,
        worker: &Worker,
        clock: &Arc<dyn Clock>,
    ) -> Compactor {
        let identity = WriterIdentity {
            writer: WriterId(clock.new_ulid()),
            epoch: 0,
            incarnation: Incarnation(clock.new_ulid()),
        };

        let manifests = Manifests::new(bucket.clone(), Arc::clone(clock), identity);
        let claims = Claims::new(bucket.clone(), worker.clone(), Arc::clone(clock));
        let options = MergeOptions {
            memory_bytes_max: self.memory,
            ..MergeOptions::default()
        };

        let executor = Executor::new(bucket, manifests, staging, Arc::clone(clock), options);
        let compactor = Compactor::new(executor, Policy::with_rollups(!self.no_rollups));
        compactor.claiming(claims, ClaimWhen::Always)
    }

    fn is_wanted(&self, job: &Job) -> bool {
        let within = |ms| job.window.start_ms() <= ms && ms < job.window.end_ms();
        self.window.is_none_or(within)
    }

    /// Removes what is beyond `retention`, and merges the rest.
    async fn of_tenant(
        &self,
        compactor: &Compactor,
        tenant: &Tenant,
        retention: Option<Retention>,
    ) -> anyhow::Result<Outcome> {
        // A window says what is merged. What has to go is not part of it.
        let retention = retention.filter(|_| self.window.is_none());

        if self.dry_run {
            let mut jobs = compactor.plan(tenant.id).await?;
            jobs.retain(|job| self.is_wanted(job));

            let expired = |retention| compactor.expired(tenant.id, &retention).len() as u64;
            return Ok(Outcome::Planned(jobs, retention.map_or(0, expired)));
        }

        let mut expired = 0;
        if let Some(retention) = retention {
            compactor.plan(tenant.id).await?;
            expired = compactor.expire(tenant.id, &retention).await? as u64;
        }

        let is_watched = std::io::stderr().is_terminal();
        let notice = |event: Event<'_>| {
            if is_watched {
                tell(tenant, &event);
            }
        };

        let wanted = |job: &Job| self.is_wanted(job);
        let merged = compactor.drain(tenant.id, wanted, notice).await?;
        Ok(Outcome::Merged(Summary { expired, ..merged }))
    }
}

/// Tells the person at the terminal what becomes of a job.
#[expect(clippy::print_stderr, reason = "the progress of a command")]
fn tell(tenant: &Tenant, event: &Event<'_>) {
    let (what, job) = match event {
        Event::Begins(job) => ("merging", job),
        Event::Left(job) => ("left to another process", job),
        Event::Done(job) => ("merged", job),
        Event::Lost(job) => ("merged by another process", job),
        Event::Failed(job, _) => ("failed", job),
    };

    eprintln!(
        "{}: {what} {} blocks of {}, {} bytes",
        tenant.name,
        job.inputs.len(),
        shown(job),
        job.bytes()
    );
}

/// The window of a job, for people.
fn shown(job: &Job) -> String {
    let start = chrono::DateTime::from_timestamp_millis(job.window.start_ms());
    let start = start.map_or_else(
        || job.window.to_string(),
        |start| start.format("%Y-%m-%dT%H:%MZ").to_string(),
    );

    format!("{start} ({})", job.level.name())
}

fn code(all: &[Done]) -> u8 {
    let failed = |done: &Done| match &done.outcome {
        Outcome::Failed(_) => true,
        Outcome::Merged(summary) => !summary.failed.is_empty(),
        Outcome::Planned(..) => false,
    };

    let worked = |done: &Done| match &done.outcome {
        Outcome::Failed(_) => true,
        Outcome::Merged(summary) => {
            summary.done + summary.lost + summary.left + summary.expired > 0
        }
        Outcome::Planned(jobs, expired) => !jobs.is_empty() || *expired > 0,
    };

    if all.iter().any(failed) {
        SOME_FAILED
    } else if all.iter().any(worked) {
        0
    } else {
        NOTHING_TO_DO
    }
}

fn told(all: &[Done]) -> String {
    let mut text = String::new();

    for Done { tenant, outcome } in all {
        // Writing to a text cannot fail.
        let _ = match outcome {
            Outcome::Failed(reason) => writeln!(text, "{tenant}: failed: {reason}"),
            Outcome::Merged(summary) => tell_summary(&mut text, tenant, summary),
            Outcome::Planned(jobs, expired) => {
                let told = tell_expired(&mut text, tenant, *expired);
                told.and_then(|()| {
                    jobs.iter()
                        .try_for_each(|job| tell_job(&mut text, tenant, job))
                })
            }
        };
    }

    if text.is_empty() {
        text.push_str("nothing to do");
    }

    text
}

fn tell_job(text: &mut String, tenant: &TenantName, job: &Job) -> std::fmt::Result {
    let blocks = job.inputs.len();
    let bytes = job.bytes();
    let window = shown(job);

    writeln!(text, "{tenant}: {window}: {blocks} blocks, {bytes} bytes")
}

fn tell_expired(text: &mut String, tenant: &TenantName, expired: u64) -> std::fmt::Result {
    match expired {
        0 => Ok(()),
        _ => writeln!(
            text,
            "{tenant}: {expired} blocks are beyond their retention"
        ),
    }
}

fn tell_summary(text: &mut String, tenant: &TenantName, summary: &Summary) -> std::fmt::Result {
    tell_expired(text, tenant, summary.expired)?;

    if summary.done + summary.lost > 0 {
        writeln!(
            text,
            "{tenant}: {} merges, blocks {} -> {}, samples {} -> {}, bytes {} -> {}",
            summary.done,
            summary.blocks_in,
            summary.blocks_out,
            summary.samples_in,
            summary.samples_out,
            summary.bytes_in,
            summary.bytes_out
        )?;
    }

    if summary.lost > 0 {
        writeln!(text, "{tenant}: {} merges by other processes", summary.lost)?;
    }

    if summary.left > 0 {
        writeln!(
            text,
            "{tenant}: {} merges are left to other processes",
            summary.left
        )?;
    }

    for (writer, lost) in &summary.conflicts {
        writeln!(
            text,
            "{tenant}: {lost} samples of writer {writer} lost a conflict"
        )?;
    }

    for failure in &summary.failed {
        writeln!(text, "{tenant}: failed: {}", failure.reason)?;
    }

    Ok(())
}

fn in_json(all: &[Done]) -> Json {
    let tenants = all.iter().map(|Done { tenant, outcome }| {
        let tenant = tenant.to_string();

        match outcome {
            Outcome::Failed(reason) => json!({"tenant": tenant, "error": reason}),
            Outcome::Merged(summary) => json!({"tenant": tenant, "merged": summary}),
            Outcome::Planned(jobs, expired) => {
                let jobs: Vec<Json> = jobs.iter().map(job_in_json).collect();
                json!({"tenant": tenant, "planned": jobs, "expired": expired})
            }
        }
    });

    json!({"code": code(all), "tenants": tenants.collect::<Vec<Json>>()})
}

fn job_in_json(job: &Job) -> Json {
    json!({
        "job": job.digest().to_string(),
        "level": job.level.name(),
        "window_start_ms": job.window.start_ms(),
        "window_end_ms": job.window.end_ms(),
        "bytes": job.bytes(),
        "blocks": job.ids().map(|id| id.to_string()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_given_by_a_time_in_it() {
        assert_eq!(time_ms("1764511200"), Ok(1_764_511_200_000));
        assert_eq!(time_ms("2025-11-30T14:00:00Z"), Ok(1_764_511_200_000));

        for bad in ["", "yesterday", "2025-11-30", "9223372036854775807"] {
            assert!(time_ms(bad).is_err(), "{bad}");
        }
    }
}
