//! When the series table of a block is read as a whole, and selections from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::block::Block;
use crate::error::Error;
use crate::table::{ROW_BYTES, Table, TableBuilder};

/// The selection of an open block with which its table is worth its making, though part of the file would do. For 10,000 series with 58
/// label columns it costs 20 ms, a selection of a few of them from the file 1.4 ms (by name) to 5 ms, from the table 0.02 ms.
const SELECTIONS_MIN: u32 = 3;
/// So many more selections come before a table that was dropped from the pool is made again: 20 ms in 33 selections make each dearer by
/// at most a half when the pool is too small for the blocks in use.
const SELECTIONS_AGAIN: u32 = 32;
/// The same after a table could not be read. The selection itself tells the error, if it needs what is damaged.
const SELECTIONS_AFTER_ERROR: u32 = 64;

/// How a block has been used.
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    selections: AtomicU32,
    /// Before this selection no table is made.
    wait: AtomicU32,
}

/// The table of `block`, if the pool has it or it is time to make it. `whole`: the selection would read all row groups of the file anyway.
///
/// A first selection of some row groups reads no byte more than without a pool.
pub(crate) async fn table(block: &Block, whole: bool) -> Option<Arc<Table>> {
    let tables = block.tables.as_ref()?;
    if let Some(table) = tables.get(&block.dir) {
        return Some(table);
    }
    let Warmth { selections, wait } = &block.warmth;
    let selection = selections.fetch_add(1, Relaxed).saturating_add(1);
    let cheap = whole || block.prefetched.is_some() || selection >= SELECTIONS_MIN;
    if !cheap || selection < wait.load(Relaxed) || !fits(block, tables.table_bytes_max()) {
        return None;
    }
    let maker = tables.maker(&block.dir)?;
    let made = make(block, tables.table_bytes_max()).await;
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

/// Whether the table may fit, by what is known without reading: a decoded table is larger than its file.
fn fits(block: &Block, bytes_max: usize) -> bool {
    let rows = block.stats.series.saturating_mul(ROW_BYTES as u64);
    rows.max(block.series.remote.meta.bytes) <= bytes_max as u64
}

/// Reads all row groups. `None` when the table is larger than `bytes_max`.
async fn make(block: &Block, bytes_max: usize) -> Result<Option<Table>, Error> {
    let groups: Vec<usize> = (0..block.series.parsed.num_row_groups()).collect();
    let mut builder = TableBuilder::new(bytes_max);
    for part in block.series_parts(&groups) {
        let file = block.series_file(&part).await?;
        for group in part {
            let mut fits = true;
            let read = block.columns.read_all(&file, group, |row| fits = fits && builder.push(row).is_some());
            read.map_err(|e| Error::decode(&block.series.remote.key, e))?;
            if !fits {
                return Ok(None);
            }
        }
    }
    Ok(builder.finish())
}
