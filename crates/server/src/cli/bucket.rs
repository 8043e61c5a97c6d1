//! The subcommand `bucket`: cares for a store as a whole.

mod store;
mod verify;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use duramen_bucket::{Access, Bucket as Store, Tenant, WriterIdentity};
use duramen_compact::{Collected, Collector, CollectorSettings, Named, Replaced, Worker};
use duramen_manifest::Manifests;
use duramen_model::{Incarnation, TenantName, WriterId};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_settings::duration;
use serde_json::{Value as Json, json};

use self::verify::Verify;
use crate::cli::answer::Answer;
use crate::cli::format::Format;

/// The exit code when there was nothing to delete.
const NOTHING_TO_DO: u8 = 3;
/// The exit code when some tenants failed. The others are done.
const SOME_FAILED: u8 = 4;

/// Cares for a store as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Bucket {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Task {
    Clean(Clean),
    Verify(Verify),
}

/// Deletes the objects that nothing needs: blocks that no manifest names, such as those of a
/// process that died, blocks that merges have replaced, and old claims of jobs. A server on the
/// store does the same every compact.clean_interval. It may run beside servers and other commands,
/// and can be stopped at any time: the next run does what is left.
///
/// The exit code is 0 if something was deleted, 3 if there was nothing to delete, 4 if some tenants
/// failed, and 1 if the command could not do its work.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Clean {
    /// Deletes what nothing needs, and ends.
    #[arg(long, required_unless_present = "dry_run", conflicts_with = "dry_run")]
    once: bool,

    /// Says what would be deleted, and changes nothing.
    #[arg(long)]
    dry_run: bool,

    /// Cleans the folder of this tenant only. May be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,

    /// The store, as for the server. Other settings of the store, such as keys for S3, come from
    /// --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL")]
    store: Option<String>,

    /// The file of settings that says where the store is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A block that was replaced is deleted after this time. It must be longer than the longest
    /// query of any server on the store. Past states are readable as far back.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    grace: Duration,

    /// What no manifest names is deleted when it is so old. A process that takes longer from the
    /// upload of a block to its commit has to upload it again.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::parse)]
    age: Duration,

    /// The format of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// What was deleted of a tenant, or would be, or why that is not known.
struct Done {
    tenant: TenantName,
    outcome: Result<Collected, String>,
}

impl Bucket {
    /// Runs the command, and returns what it did.
    pub(crate) async fn run(&self) -> anyhow::Result<Answer> {
        match &self.task {
            Task::Clean(clean) => clean.run().await,
            Task::Verify(verify) => verify.run().await,
        }
    }
}

impl Clean {
    /// Requests: those of reading the register of tenants, and those of [`Collector::collect`] or
    /// [`Collector::plan`] for each tenant.
    async fn run(&self) -> anyhow::Result<Answer> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

        let config = self.config.as_deref();
        let store = self.store.as_deref();
        let bucket = store::open(config, store, Access::Alone, &disk, &clock)?;
        let tenants = store::tenants(&self.tenants, &bucket, &clock).await?;
        let collector = self.collector(&bucket, &clock);
        let mut all = Vec::new();

        if self.dry_run {
            for tenant in tenants {
                let planned = collector.plan(tenant.id, clock.now_ms()).await;
                all.push(done(tenant, planned));
            }
        } else {
            let time = collector.begin().await?;
            for tenant in tenants {
                let collected = collector.collect(tenant.id, &time).await;
                all.push(done(tenant, collected));
            }
            collector.end().await?;
        }

        let text = match self.output {
            Format::Text => self.told(&all),
            Format::Json => serde_json::to_string_pretty(&in_json(&all)).unwrap_or_default(),
        };

        let code = code(&all);
        Ok(Answer { text, code })
    }

    fn collector(&self, store: &Store, clock: &Arc<dyn Clock>) -> Collector {
        let identity = WriterIdentity {
            writer: WriterId(clock.new_ulid()),
            epoch: 0,
            incarnation: Incarnation(clock.new_ulid()),
        };

        let manifests = Manifests::new(store.clone(), Arc::clone(clock), identity);
        let worker = Worker::new(store.clone(), &**clock);
        let settings = CollectorSettings {
            age: self.age,
            grace: self.grace,
            slots: CollectorSettings::SLOTS,
        };

        Collector::new(
            store.clone(),
            manifests,
            worker,
            settings,
            Replaced::default(),
            Named::default(),
        )
    }

    fn told(&self, all: &[Done]) -> String {
        let what = match self.dry_run {
            true => "would be deleted",
            false => "deleted",
        };
        let mut text = String::new();

        for Done { tenant, outcome } in all {
            // Writing to a text cannot fail.
            let _ = match outcome {
                Ok(collected) if collected.is_empty() => Ok(()),
                Ok(collected) => writeln!(
                    text,
                    "{tenant}: {what}: {} blocks that nothing names, {} replaced blocks, {} claims, {} snapshots; {} objects, {} bytes",
                    collected.unnamed_blocks,
                    collected.replaced_blocks,
                    collected.claims,
                    collected.snapshots,
                    collected.objects,
                    collected.bytes
                ),
                Err(reason) => writeln!(text, "{tenant}: failed: {reason}"),
            };
        }

        if text.is_empty() {
            text.push_str("nothing to delete");
        }

        text
    }
}

fn done(tenant: Tenant, outcome: Result<Collected, duramen_blocks::Error>) -> Done {
    Done {
        tenant: tenant.name,
        outcome: outcome.map_err(|error| format!("{:#}", anyhow::Error::from(error))),
    }
}

fn code(all: &[Done]) -> u8 {
    let worked = |done: &Done| done.outcome.as_ref().is_ok_and(|done| !done.is_empty());

    if all.iter().any(|done| done.outcome.is_err()) {
        SOME_FAILED
    } else if all.iter().any(worked) {
        0
    } else {
        NOTHING_TO_DO
    }
}

fn in_json(all: &[Done]) -> Json {
    let tenants = all.iter().map(|Done { tenant, outcome }| {
        let tenant = tenant.to_string();

        match outcome {
            Ok(collected) => json!({"tenant": tenant, "deleted": collected}),
            Err(reason) => json!({"tenant": tenant, "error": reason}),
        }
    });

    json!({"code": code(all), "tenants": tenants.collect::<Vec<Json>>()})
}
