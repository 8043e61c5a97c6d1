//! Reads and writes the blocks of a Prometheus TSDB; reads also those that Thanos or Mimir have put into a bucket and
//! somebody has copied from there.
//!
//! A block is a directory, named by its ULID. The layouts follow `tsdb/docs/format` of Prometheus:
//!
//! - [`meta`]: `meta.json`: its times, and what Thanos adds.
//! - [`index`]: `index`, of version 2: symbols, and for each series its labels and chunks.
//! - `chunks`: `chunks/000001` and so on: the samples.
//! - `marks`: `deletion-mark.json` of Thanos and Mimir.
//! - `tombstones`: `tombstones`: what was deleted and is still in the chunks.
//! - [`block`]: all of it together: [`TsdbBlock::series`] lists the series in the order of our blocks,
//!   and [`TsdbBlock::samples`] reads those of one.
//!
//! - [`TsdbWriter`]: writes a block; its files are in `write`.
//!
//! `file` reads a file in pieces, and `bytes` takes numbers from bytes. Everything is input from
//! outside: damage and lies are errors that name the file and the offset, and no memory is taken for
//! what is merely claimed.

#![deny(clippy::indexing_slicing)]

pub mod block;
mod bytes;
mod chunks;
pub mod error;
mod file;
pub mod index;
mod marks;
pub mod meta;
mod tombstones;
mod write;

pub use block::{Samples, TsdbBlock, find};
pub use error::Error;
pub use index::SeriesRef;
pub use marks::is_deleted;
pub use meta::Meta;
pub use write::block::{TsdbWriter, WrittenBlock};
