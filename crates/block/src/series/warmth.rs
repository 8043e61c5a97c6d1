//! When the series index of a block is read as a whole, and selections from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use duramen_source::Reads;

use crate::error::Error;
use crate::series::file::SeriesFile;
use crate::series::index::builder::SeriesIndexBuilder;
use crate::series::index::{ROW_BYTES, SeriesIndex};
use crate::series::pool::SeriesIndexPool;

/// The selection of an open block with which its index is worth its making, though part of the file
/// would do. For 10,000 series with 58 label columns it costs 20 ms, a selection of a few of them
/// from the file 1.4 ms (by name) to 5 ms, from the index 0.02 ms.
const SELECTIONS_MIN: u32 = 3;
/// So many more selections come before an index that was dropped from the pool is made again: 20 ms
/// in 33 selections make each dearer by at most a half when the pool is too small for the blocks in
/// use.
const SELECTIONS_AGAIN: u32 = 32;
/// The same after an index could not be read. The selection itself tells the error, if it needs
/// what is damaged.
const SELECTIONS_AFTER_ERROR: u32 = 64;

/// How a block has been used.
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    selections: AtomicU32,
    /// Before this selection no index is made.
    wait: AtomicU32,
}

impl Warmth {
    /// The index of the block that `file` is of, if the pool has it or it is time to make it.
    /// `groups`: the row groups that the selection would read of the file.
    ///
    /// A first selection of some row groups reads no byte more than without a pool.
    pub(crate) async fn index(
        &self,
        pool: &Arc<SeriesIndexPool>,
        file: &SeriesFile,
        groups: &[usize],
        reads: &Reads,
    ) -> Option<Arc<SeriesIndex>> {
        if let Some(index) = pool.get(file.dir()) {
            return Some(index);
        }

        let selection = self.selections.fetch_add(1, Relaxed).saturating_add(1);
        let cheap = file.is_whole(groups) || file.is_here() || selection >= SELECTIONS_MIN;
        let bytes_max = pool.index_bytes_max();

        if !cheap || selection < self.wait.load(Relaxed) || !may_fit(file, bytes_max) {
            return None;
        }

        let maker = pool.maker(file.dir())?;
        let made = make(file, bytes_max, reads).await;

        let pause = match &made {
            Ok(Some(_)) => SELECTIONS_AGAIN,
            Ok(None) => u32::MAX,
            Err(_) => SELECTIONS_AFTER_ERROR,
        };

        self.wait.store(selection.saturating_add(pause), Relaxed);

        let index = Arc::new(made.ok().flatten()?);
        maker.keep(&index);
        Some(index)
    }
}

/// Whether the index may fit, by what is known without reading: it is larger than its file.
fn may_fit(file: &SeriesFile, bytes_max: usize) -> bool {
    let rows = file.series().saturating_mul(ROW_BYTES as u64);
    rows.max(file.bytes()) <= bytes_max as u64
}

/// Reads all row groups. `None` when the index is larger than `bytes_max`.
async fn make(
    series: &SeriesFile,
    bytes_max: usize,
    reads: &Reads,
) -> Result<Option<SeriesIndex>, Error> {
    let mut builder = SeriesIndexBuilder::new(bytes_max);

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
