//! What operators are made with.
//!
//! - [`operator`]: an operator as a node of a DataFusion plan.
//! - [`whole_input`]: operators that need all of their input before they know any of their output.
//! - [`allowance`]: the memory of an operator, and whether its query is still wanted
//!   ([`cancellation`]).
//! - [`arguments`]: the scalar arguments of operators that run in several partitions.
//! - [`late_matchers`]: what one part of a plan asks of a scan in another.
//! - [`sample_budget`], [`meter`]: what is bounded and what is counted.
//! - [`merged`]: rows of equal labels as they become one.

pub(crate) mod allowance;
pub(crate) mod arguments;
pub(crate) mod cancellation;
pub(crate) mod late_matchers;
pub(crate) mod merged;
pub(crate) mod meter;
pub(crate) mod operator;
pub(crate) mod sample_budget;
pub(crate) mod whole_input;
