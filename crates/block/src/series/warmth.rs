//! Decides when the series index of a block is built, and so when selections can use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use duramen_source::{Read, Reads};

use crate::error::Error;
use crate::series::file::SeriesFile;
use crate::series::index::builder::SeriesIndexBuilder;
use crate::series::index::{ROW_BYTES, SeriesIndex};
use crate::series::pool::{Maker, SeriesIndexPool};

/// From this selection of an open block on, building its index pays for itself, even if the
/// selection needs only a part of the file. For 10,000 series with 58 label columns the build costs
/// 20 ms. A selection of a few of them costs 1.4 ms (by name) to 5 ms from the file, 0.02 ms from
/// the index.
const SELECTIONS_MIN: u32 = 3;
/// After the pool has dropped an index, this many more selections pass before it is built again. If
/// the pool is too small for the blocks in use, 20 ms in 33 selections add at most a half to each.
const SELECTIONS_AGAIN: u32 = 32;
/// The same, after the index could not be read. The selection itself reports the error if it needs
/// the damaged part.
const SELECTIONS_AFTER_ERROR: u32 = 64;

/// How often a block has been used.
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    selections: AtomicU32,
    /// No index is built before this selection.
    wait: AtomicU32,
}

impl Warmth {
    /// Returns the index of the block with the series file `file`, if the pool has it or it is time
    /// to build it. `groups` are the row groups that the selection would read.
    ///
    /// If the first selection needs only some row groups, it reads not a byte more than without a
    /// pool.
    pub(crate) async fn index(
        &self,
        pool: &Arc<SeriesIndexPool>,
        file: &SeriesFile,
        groups: &[usize],
        reads: &Reads,
    ) -> Option<Arc<SeriesIndex>> {
        if let Some(index) = pool.get(file.dir()) {
            reads.add(Read::IndexHits, 1);
            return Some(index);
        }

        let selection = self.selections.fetch_add(1, Relaxed).saturating_add(1);
        let cheap =
            file.is_whole(groups) || file.is_quick_to_index() || selection >= SELECTIONS_MIN;
        let bytes_max = pool.index_bytes_max();

        if !cheap || selection < self.wait.load(Relaxed) || !may_fit(file, bytes_max) {
            return None;
        }

        let mut maker = pool.maker(file.dir())?;
        let made = make(file, bytes_max, &mut maker, reads).await;

        let pause = match &made {
            Ok(Made::Index(_) | Made::OutOfMemory) => SELECTIONS_AGAIN,
            Ok(Made::TooLarge) => u32::MAX,
            Err(_) => SELECTIONS_AFTER_ERROR,
        };

        self.wait.store(selection.saturating_add(pause), Relaxed);

        let Ok(Made::Index(index)) = made else {
            return None;
        };

        maker.keep(&index);
        Some(index)
    }
}

/// Whether the index may fit. Nothing is read for this: an index is at least as large as its file.
fn may_fit(file: &SeriesFile, bytes_max: usize) -> bool {
    let rows = file.series().saturating_mul(ROW_BYTES as u64);
    rows.max(file.bytes()) <= bytes_max as u64
}

/// What came of building an index.
enum Made {
    Index(Arc<SeriesIndex>),
    /// The index is larger than one may be.
    TooLarge,
    /// The account of memory did not give what the index takes while it is built.
    OutOfMemory,
}

/// Builds the index from all row groups.
async fn make(
    series: &SeriesFile,
    bytes_max: usize,
    maker: &mut Maker,
    reads: &Reads,
) -> Result<Made, Error> {
    let mut builder = SeriesIndexBuilder::new(bytes_max);

    for part in series.parts(&series.groups(&[])) {
        let mut fits = true;
        series
            .read_all(&part, reads, |row| {
                fits = fits && builder.push(row).is_some()
            })
            .await?;

        if !fits {
            return Ok(Made::TooLarge);
        }

        // The finished index has about as much again for the values of its labels.
        if maker.hold(2 * builder.bytes()).is_none() {
            return Ok(Made::OutOfMemory);
        }
    }

    let index = builder.finish().map(Arc::new);
    Ok(index.map_or(Made::TooLarge, Made::Index))
}
