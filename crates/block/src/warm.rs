//! When the series table of a block is read as a whole, and selections from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use duramen_source::Reads;

use crate::block::Block;
use crate::error::Error;
use crate::series_file::SeriesFile;
use crate::table::{ROW_BYTES, Table, TableBuilder};

/// The selection of an open block with which its table is worth its making, though part of the file
/// would do. For 10,000 series with 58 label columns it costs 20 ms, a selection of a few of them
/// from the file 1.4 ms (by name) to 5 ms, from the table 0.02 ms.
const SELECTIONS_MIN: u32 = 3;
/// So many more selections come before a table that was dropped from the pool is made again: 20 ms
/// in 33 selections make each dearer by at most a half when the pool is too small for the blocks in
/// use.
const SELECTIONS_AGAIN: u32 = 32;
/// The same after a table could not be read. The selection itself tells the error, if it needs what
/// is damaged.
const SELECTIONS_AFTER_ERROR: u32 = 64;

/// How a block has been used.
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    selections: AtomicU32,
    /// Before this selection no table is made.
    wait: AtomicU32,
}

/// The table of `block`, if the pool has it or it is time to make it. `whole`: the selection would
/// read all row groups of the file anyway.
///
/// A first selection of some row groups reads no byte more than without a pool.
pub(crate) async fn table(
    block: &Block,
    series: &SeriesFile,
    whole: bool,
    reads: &Reads,
) -> Option<Arc<Table>> {
    let tables = block.tables.as_ref()?;
    if let Some(table) = tables.get(&block.dir) {
        return Some(table);
    }

    let Warmth { selections, wait } = &block.warmth;
    let selection = selections.fetch_add(1, Relaxed).saturating_add(1);
    let cheap = whole || series.is_here() || selection >= SELECTIONS_MIN;

    if !cheap || selection < wait.load(Relaxed) || !fits(block, series, tables.table_bytes_max()) {
        return None;
    }

    let maker = tables.maker(&block.dir)?;
    let made = make(series, tables.table_bytes_max(), reads).await;

    let pause = match &made {
        Ok(Some(_)) => SELECTIONS_AGAIN,
        Ok(None) => u32::MAX,
        Err(_) => SELECTIONS_AFTER_ERROR,
    };

    wait.store(selection.saturating_add(pause), Relaxed);

    let table = Arc::new(made.ok().flatten()?);
    maker.keep(&table);
    Some(table)
}

/// Whether the table may fit, by what is known without reading: a decoded table is larger than its
/// file.
fn fits(block: &Block, series: &SeriesFile, bytes_max: usize) -> bool {
    let rows = block.stats.series.saturating_mul(ROW_BYTES as u64);
    rows.max(series.bytes()) <= bytes_max as u64
}

/// Reads all row groups. `None` when the table is larger than `bytes_max`.
async fn make(
    series: &SeriesFile,
    bytes_max: usize,
    reads: &Reads,
) -> Result<Option<Table>, Error> {
    let mut builder = TableBuilder::new(bytes_max);

    for part in series.parts(&series.groups(&[])) {
        let mut fits = true;
        series
            .read_all(&part, reads, |row| {
                fits = fits && builder.push(row).is_some()
            })
            .await?;

        if !fits {
            return Ok(None);
        }
    }

    Ok(builder.finish())
}
