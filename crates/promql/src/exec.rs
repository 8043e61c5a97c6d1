//! The operators: each is an `ExecutionPlan` of its own, and none of DataFusion's stands between
//! them. DataFusion's exchange, filter and aggregate coalesce to rows, and one of our rows may hold
//! ten thousand cells.

pub(crate) mod absent;
pub(crate) mod aggregate;
pub(crate) mod allowance;
pub(crate) mod arguments;
pub(crate) mod cancellation;
pub(crate) mod cells;
pub(crate) mod float_series;
pub(crate) mod gather;
pub(crate) mod grouped;
pub(crate) mod histogram;
pub(crate) mod info;
pub(crate) mod looked_at;
pub(crate) mod lookup;
pub(crate) mod merge;
pub(crate) mod meter;
pub(crate) mod mixed_series;
pub(crate) mod operator;
pub(crate) mod relabel;
pub(crate) mod remove_names;
pub(crate) mod repeat;
pub(crate) mod scalar;
pub(crate) mod scan;
pub(crate) mod sort;
pub(crate) mod step_eval;
pub(crate) mod subquery;
pub(crate) mod vector_binary;
pub(crate) mod whole;
