//! From the logical plan to operators that run it.
//!
//! Each operator is our own `ExecutionPlan`, with no operators of DataFusion between them.
//! DataFusion's exchange, filter and aggregate coalesce batches to a number of rows, and one of our
//! rows may have ten thousand cells.
//!
//! In: a [`plan::node::Plan`](crate::plan::node::Plan). Out: batches in the vector form.
//!
//! - [`lower`]: makes the operators for each node of the plan.
//! - [`operators`]: what each operator does.
//! - [`series`]: the samples of one series, as steps read them.
//! - [`support`]: what operators are built with.

pub(crate) mod lower;
pub(crate) mod operators;
pub(crate) mod series;
pub(crate) mod support;
