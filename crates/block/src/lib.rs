//! One block of series: a folder of immutable files, written once, read by ranges.
//!
//! ```text
//! series, families ──► write ──► files, BlockStats ──► (staged, then in the bucket)
//!                        │
//!                      layout    file names, schemas, extents, `meta`: docs/formats/block.md
//!                        │
//! SeriesRequest ──► read ◄──► series ──► SeriesBatch, exemplars, summaries, families
//! ```
//!
//! - Writing: a [`BlockWriter`] takes the [`SeriesContents`] of each series, in the order of a
//!   block, and metric families. [`WriterOptions`] say how they are laid out. The result is the
//!   files, and the `BlockStats` that the manifest keeps. A [`BlockSetWriter`] cuts a large output
//!   into sibling blocks, by [`BlockLimits`].
//! - Checking: [`BlockChecks`] compare the bytes of finished files with their `meta`, for example
//!   while the files are uploaded.
//! - Reading: [`Block::open`] gets `meta` and returns a [`Block`], which knows where every byte is.
//!   [`OpenOptions`] say how it is read, and their [`GetCost`] how many GETs that takes. A
//!   [`BlockSource`] answers requests from it. A [`Fetcher`] sends the GETs, and [`Hedges`] slow
//!   ones once more. Extents that were read stay in an [`ExtentCache`], decoded series in a
//!   [`SeriesIndexPool`], and which of them pass which matchers in a [`MatchedPool`]. A process has
//!   one of each. [`TierCounts`] say how often each had what it was asked for.
//!
//! Names, from small to large:
//!
//! - page: a part of one column.
//! - extent: a run of bytes of a file that is verified as a whole.
//! - row group: a run of rows of a file.
//! - file: all rows of one kind.
//! - block: everything that one flush or one compaction wrote.

mod error;
mod layout;
mod read;
mod series;
mod tier;
mod write;

pub use error::Error;
pub use layout::file_names::{
    EXEMPLARS_FILE, HISTOGRAMS_FILE, META_FILE, METADATA_FILE, ROLLUPS_FILE, SAMPLES_FILE,
    SERIES_FILE,
};
pub use layout::meta::Fence;
pub use read::block::Block;
pub use read::cache::ExtentCache;
pub use read::checks::{BlockChecks, FileCheck};
pub use read::cost::GetCost;
pub use read::fetcher::Fetcher;
pub use read::folder::stats_of_folder;
pub use read::hedge::{HedgeMetrics, Hedges};
pub use read::options::{BatchOptions, OpenOptions};
pub use read::source::BlockSource;
pub use series::matched::MatchedPool;
pub use series::pool::SeriesIndexPool;
pub use tier::TierCounts;
pub use write::block::BlockWriter;
pub use write::contents::SeriesContents;
pub use write::options::WriterOptions;
pub use write::set::{BlockLimits, BlockSetWriter, Sibling};
