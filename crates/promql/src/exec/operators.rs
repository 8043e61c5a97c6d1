//! The operators, each an `ExecutionPlan` of its own.
//!
//! From samples to cells:
//!
//! - [`scan`]: the leaf, series from a source.
//! - [`subquery`]: a vector over a grid, read as series again.
//! - [`step_eval`]: selector and range function in one, samples in, cells out.
//!
//! In the partitions of the scan, batch by batch:
//!
//! - [`map_cells`]: functions of one cell, and operators with a scalar.
//! - [`aggregate`]: aggregations whose states merge, partial and final.
//! - [`gather`]: the exchange, several partitions into one.
//!
//! Over all of their input at once (`support::whole_input`):
//!
//! - [`merge`], [`remove_names`], [`relabel`]: label sets that may become equal.
//! - [`vector_binary`], [`info`]: two vectors that are matched by labels.
//! - [`grouped`], [`histogram`], [`absent`], [`sort`]: functions of groups of series.
//! - [`scalar`], [`repeat`]: one row, and one step for all.

pub(crate) mod absent;
pub(crate) mod aggregate;
pub(crate) mod gather;
pub(crate) mod grouped;
pub(crate) mod histogram;
pub(crate) mod info;
pub(crate) mod map_cells;
pub(crate) mod merge;
pub(crate) mod relabel;
pub(crate) mod remove_names;
pub(crate) mod repeat;
pub(crate) mod scalar;
pub(crate) mod scan;
pub(crate) mod sort;
pub(crate) mod step_eval;
pub(crate) mod subquery;
pub(crate) mod vector_binary;
