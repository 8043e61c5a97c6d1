//! What operators are built with.
//!
//! A node is plain data. Everything that changes is in its run:
//!
//! - [`operator`]: an operator as a node of a DataFusion plan, and how it is polled.
//! - [`run`]: what the nodes of a plan share in one run. It has [`cancellation`],
//!   [`sample_budget`], [`step_counts`], the annotations of the query, and for single nodes
//!   [`meter`], [`arguments`] and [`late_matchers`].
//! - [`execution`]: what an operator has when one of its partitions starts, and the ways to make an
//!   output.
//! - [`allowance`]: the memory of an operator while it computes.
//! - [`arguments`]: the scalar arguments of operators that run in several partitions.
//! - [`late_matchers`]: matchers that one part of a plan finds for a scan in another.
//! - [`whole_input`]: operators that need all of their input before they know any of their output.
//! - [`merged`]: merges rows with equal labels.

pub(crate) mod allowance;
pub(crate) mod arguments;
pub(crate) mod cancellation;
pub(crate) mod execution;
pub(crate) mod late_matchers;
pub(crate) mod merged;
pub(crate) mod meter;
pub(crate) mod operator;
pub(crate) mod run;
pub(crate) mod sample_budget;
pub(crate) mod step_counts;
pub(crate) mod whole_input;
