//! Compares what is in a store with what the manifests name.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use duramen_bucket::{Access, WriterIdentity};
use duramen_compact::{Inventories, Inventory};
use duramen_manifest::Manifests;
use duramen_model::{Incarnation, TenantName, WriterId};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};
use duramen_settings::duration;
use serde_json::{Value as Json, json};

use super::store;
use crate::cli::answer::Answer;
use crate::cli::format::Format;

/// The exit code when some tenants could not be looked at.
const SOME_FAILED: u8 = 4;
/// The exit code when a named object is missing, or has another size.
const FAULTS: u8 = 5;

/// Compares what is in the bucket with what the manifests name: objects that are named and missing
/// or of another size, and blocks that no manifest names. It reads no block (duramen blocks verify
/// does) and changes nothing (duramen bucket clean does). It may run beside servers.
///
/// The exit code is 0 if everything that is named is there, 5 if something is missing or has another
/// size, 4 if some tenants could not be looked at, and 1 if the command could not do its work. Blocks
/// that no manifest names are told, and are no fault.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(super) struct Verify {
    /// Looks at the folder of this tenant only. May be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,

    /// The store, as for the server. Other settings of the store, such as keys for S3, come from
    /// --config or from DURAMEN_ variables.
    #[arg(long, value_name = "URL")]
    store: Option<String>,

    /// The file of settings that says where the store is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// What no manifest names is young until it is so old: it may be an upload under way.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::parse)]
    age: Duration,

    /// The format of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// What was found of a tenant, or why that is not known.
struct Found {
    tenant: TenantName,
    outcome: Result<Inventory, String>,
}

impl Verify {
    /// Requests: those of reading the register of tenants, and those of [`Inventories::of`] for each
    /// tenant.
    pub(super) async fn run(&self) -> anyhow::Result<Answer> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

        let config = self.config.as_deref();
        let store = self.store.as_deref();
        let bucket = store::open(config, store, Access::Reads, &disk, &clock)?;
        let tenants = store::tenants(&self.tenants, &bucket, &clock).await?;

        let identity = WriterIdentity {
            writer: WriterId(clock.new_ulid()),
            epoch: 0,
            incarnation: Incarnation(clock.new_ulid()),
        };

        let inventories = Inventories {
            bucket: bucket.clone(),
            manifests: Manifests::new(bucket, Arc::clone(&clock), identity),
            age: self.age,
        };

        let mut all = Vec::new();
        for tenant in tenants {
            let outcome = inventories.of(tenant.id, clock.now_ms()).await;
            let outcome = outcome.map_err(|error| format!("{:#}", anyhow::Error::from(error)));

            all.push(Found {
                tenant: tenant.name,
                outcome,
            });
        }

        let text = match self.output {
            Format::Text => told(&all),
            Format::Json => serde_json::to_string_pretty(&in_json(&all)).unwrap_or_default(),
        };

        let code = code(&all);
        Ok(Answer { text, code })
    }
}

fn code(all: &[Found]) -> u8 {
    let is_whole = |found: &Found| found.outcome.as_ref().is_ok_and(Inventory::is_whole);

    if all.iter().any(|found| found.outcome.is_err()) {
        SOME_FAILED
    } else if all.iter().all(is_whole) {
        0
    } else {
        FAULTS
    }
}

fn told(all: &[Found]) -> String {
    let mut text = String::new();

    for Found { tenant, outcome } in all {
        // Writing to a text cannot fail.
        let _ = match outcome {
            Ok(inventory) => tell(tenant, inventory, &mut text),
            Err(reason) => writeln!(text, "{tenant}: failed: {reason}"),
        };
    }

    text
}

fn tell(tenant: &TenantName, inventory: &Inventory, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "{tenant}: {} blocks, {} objects, {} bytes; {} missing, {} of another size, {} blocks that nothing names; {} LIST, {} HEAD",
        inventory.blocks,
        inventory.objects,
        inventory.bytes,
        inventory.missing.len(),
        inventory.differ.len(),
        inventory.unnamed.len(),
        inventory.lists,
        inventory.heads
    )?;

    for key in &inventory.missing {
        writeln!(text, "MISSING   {key}")?;
    }

    for differs in &inventory.differ {
        let (key, bytes, named) = (&differs.key, differs.bytes, differs.named_bytes);
        writeln!(text, "DIFFERS   {key}: {bytes} bytes, not {named}")?;
    }

    for unnamed in &inventory.unnamed {
        let age = if unnamed.is_young { ", young" } else { "" };
        let (block, objects, bytes) = (unnamed.block, unnamed.objects, unnamed.bytes);
        writeln!(
            text,
            "unnamed   {block}: {objects} objects, {bytes} bytes{age}"
        )?;
    }

    for key in &inventory.strangers {
        writeln!(text, "stranger  {key}")?;
    }

    Ok(())
}

fn in_json(all: &[Found]) -> Json {
    let tenants = all.iter().map(|Found { tenant, outcome }| {
        let tenant = tenant.to_string();

        match outcome {
            Ok(inventory) => json!({"tenant": tenant, "found": inventory}),
            Err(reason) => json!({"tenant": tenant, "error": reason}),
        }
    });

    json!({"code": code(all), "tenants": tenants.collect::<Vec<Json>>()})
}
