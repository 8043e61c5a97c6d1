//! Imports blocks of a Prometheus TSDB.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use duramen_block::BlockLimits;
use duramen_blocks::{ImportReport, import_window, import_windows};
use duramen_runtime::Disk;
use duramen_tsdb::TsdbBlock;

use super::outcome::{Done, Outcome};
use super::target::Target;

/// Finds the blocks in directories, which must have some each.
pub(super) fn find(disk: &Arc<dyn Disk>, inputs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut directories = Vec::new();

    for path in inputs {
        let found = duramen_tsdb::find(&**disk, path)?;
        anyhow::ensure!(
            !found.is_empty(),
            "no block of a TSDB is in {}",
            path.display()
        );
        directories.extend(found);
    }

    Ok(directories)
}

/// Imports one block.
///
/// Requests: those of reading the manifest, of uploading its blocks, and of one edit.
pub(super) async fn import(directory: &Path, target: &Target) -> Outcome {
    let input = directory.to_string_lossy().into_owned();

    match try_import(directory, target).await {
        Ok(done) => Outcome {
            input,
            done,
            error: None,
        },
        Err(error) => Outcome {
            input,
            done: Done::Nothing,
            error: Some(error),
        },
    }
}

async fn try_import(directory: &Path, target: &Target) -> anyhow::Result<Done> {
    if duramen_tsdb::is_deleted(&*target.disk, directory)? {
        return Ok(Done::Marked);
    }

    let mut block = TsdbBlock::open(&target.disk, directory)?;

    let Some(mut lot) = target.begin_block(block.meta()).await? else {
        return Ok(Done::Nothing);
    };

    let series = Arc::new(block.series()?);
    let mut report = ImportReport::default();

    for window in import_windows(block.meta().range) {
        let create = target.creator(window);
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
        lot.put(window, siblings).await?;
    }

    let (blocks, bytes) = lot.commit().await?;
    Ok(Done::Block {
        report,
        blocks,
        bytes,
    })
}
