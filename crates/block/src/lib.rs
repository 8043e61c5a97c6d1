//! One block: Parquet schemas, meta, writer, reader, pruning.
//!
//! A block is a folder of immutable files, written once by a [`BlockWriter`] and read by ranges
//! through a [`Block`]. The bytes are described in `docs/formats/block.md`.

pub mod block;
pub mod cache;
mod checks;
mod column;
pub mod contents;
mod decimal;
mod decode;
pub mod error;
mod exemplars;
mod extent;
mod fetch;
mod file;
mod folder;
mod groups;
mod histograms;
mod lazy;
mod levels;
mod lookup;
mod meta;
mod metadata;
mod plan;
mod read;
mod rows;
mod samples;
mod schema;
mod series;
mod series_file;
mod source;
mod table;
pub mod tables;
mod warm;
pub mod writer;

pub use block::{Block, OpenOptions};
pub use cache::ExtentCache;
pub use checks::{BlockChecks, FileCheck};
pub use contents::SeriesContents;
pub use error::Error;
pub use source::BlockSource;
pub use tables::SeriesTables;
pub use writer::{BlockWriter, WriterOptions};

/// The name of the file that says where everything is; the names of the others stand in it.
pub const META_FILE: &str = "meta";
/// One row per series.
pub const SERIES_FILE: &str = "series.parquet";
/// One row per float.
pub const SAMPLES_FILE: &str = "samples.parquet";
/// One row per native histogram.
pub const HISTOGRAMS_FILE: &str = "histograms.parquet";
/// One row per exemplar.
pub const EXEMPLARS_FILE: &str = "exemplars.parquet";
/// One row per metric family.
pub const METADATA_FILE: &str = "metadata.parquet";
