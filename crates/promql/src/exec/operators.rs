//! The operators. Each is an `ExecutionPlan`.
//!
//! From samples to cells:
//!
//! - [`scan`]: the leaf, reads series from a source.
//! - [`subquery`]: reads a vector over a grid as series.
//! - [`step_eval`]: selector and range function in one, turns samples into cells.
//! - [`rollup_eval`]: the same over rollups.
//! - [`presence`]: a selector of which only the presence counts.
//!
//! In the partitions of the scan, batch by batch:
//!
//! - [`map_cells`]: functions of one cell, and operators with a scalar.
//! - [`aggregate`]: aggregations with states that can be merged, partial and final.
//! - [`gather`]: the exchange, joins several partitions into one.
//!
//! Over all of their input at the same time (`support::whole_input`):
//!
//! - [`merge`], [`remove_names`], [`relabel`]: label sets that may become equal.
//! - [`vector_binary`], [`info`]: two vectors that are matched by labels.
//! - [`grouped`], [`histogram`], [`absent`], [`sort`]: functions of groups of series.
//! - [`scalar`], [`repeat`]: a vector of one row, and one step repeated for all.

pub(crate) mod absent;
pub(crate) mod aggregate;
pub(crate) mod gather;
pub(crate) mod grouped;
pub(crate) mod histogram;
pub(crate) mod info;
pub(crate) mod map_cells;
pub(crate) mod merge;
pub(crate) mod presence;
pub(crate) mod relabel;
pub(crate) mod remove_names;
pub(crate) mod repeat;
pub(crate) mod rollup_eval;
pub(crate) mod scalar;
pub(crate) mod scan;
pub(crate) mod sort;
pub(crate) mod step_eval;
pub(crate) mod subquery;
pub(crate) mod vector_binary;
