//! From the logical plan to operators, which run it.
//!
//! Each operator is an `ExecutionPlan` of its own, and none of DataFusion's stands between them.
//! DataFusion's exchange, filter and aggregate coalesce to rows, and one of our rows may hold ten
//! thousand cells.
//!
//! In: a [`plan::node::Plan`](crate::plan::node::Plan). Out: batches in the vector form.
//!
//! - [`lower`]: the operators for each node of the plan.
//! - [`operators`]: what each of them does.
//! - [`series`]: the samples of one series, as steps read them.
//! - [`support`]: what operators are made with.

pub(crate) mod lower;
pub(crate) mod operators;
pub(crate) mod series;
pub(crate) mod support;
