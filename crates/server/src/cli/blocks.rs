//! The subcommand `blocks`: looks at blocks, imports, merges and rewrites them, offline.

mod export;
mod import;
mod look;
mod matching;
mod rewrite;
mod selection;
mod store;

use std::sync::Arc;

use clap::{Args, Subcommand};
use duramen_runtime::{Clock, Disk, RealDisk, SystemClock};

use self::export::Exporting;
use self::import::Import;
use self::look::Look;
use self::rewrite::Job;
use crate::cli::answer::Answer;

/// Works on blocks offline, without a server. It never changes its inputs. Only an import changes a
/// store; any other output is a folder.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Blocks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Task {
    /// Lists blocks: their times, and how much they hold.
    Ls(Look),
    /// Shows all that the entry of a block says.
    Inspect(Look),
    /// Reads all of each block, and names the first fault of it: checksums, the order of series and
    /// samples, row ranges, counts. If a block has a fault, the exit code is 1.
    Verify(Look),
    /// Makes blocks of the blocks of a Prometheus TSDB, of OpenMetrics, of CSV, or of what a running
    /// server answers, into a folder or a store. If an input fails, the others go on, and the exit
    /// code is 1.
    Import(Import),
    /// Writes the series of a tenant in a form of others: OpenMetrics, CSV, Parquet, or blocks of a
    /// Prometheus TSDB.
    Export(Exporting),
    /// Merges all inputs into one block, or into several siblings if it would be too large. If two
    /// inputs have different values for the same series and time, the older flush wins.
    Merge(Job),
    /// Writes each input again on its own, for example with another level of compression.
    Rewrite(Job),
}

/// Runs the command, and returns what it found or did.
pub(crate) async fn run(command: &Blocks) -> anyhow::Result<Answer> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());

    match &command.task {
        Task::Ls(look) => look.list(&disk, &clock).await,
        Task::Inspect(look) => look.inspect(&disk, &clock).await,
        Task::Verify(look) => look.verify(&disk, &clock).await,
        Task::Import(import) => import.run(&disk, &clock).await,
        Task::Export(exporting) => exporting.run(&disk, &clock).await,
        Task::Merge(job) => job.merge(&disk, &clock).await.map(Answer::good),
        Task::Rewrite(job) => job.rewrite(&disk, &clock).await.map(Answer::good),
    }
}
