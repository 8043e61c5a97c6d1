//! From the syntax tree to a typed logical plan: plain data, which knows nothing of how it is run.
//!
//! The logical plan is a tree of our own and no `LogicalPlan` extension of DataFusion: none of
//! DataFusion's optimiser rules fits vectors over a grid, and a tree that knows grids and metric
//! names says more in less. What runs it is in `exec`, which reads this module and is not read by
//! it.
//!
//! In: an expression that was parsed, and the times of the query. Out: a [`node::Plan`].
//!
//! - [`planner`]: settles what the text leaves open, node by node. One file for each kind of
//!   expression: `selector` (and subqueries), `call`, `info`, `aggregate`, `binary`; before them
//!   `duration` (durations that depend on the times) and `invariant` (what is the same at every
//!   step).
//! - [`node`]: the tree that comes out.
//! - [`function`]: what its nodes compute.
//! - [`lookup`]: which samples a step looks at, and what is read of them.

pub(crate) mod function;
pub(crate) mod lookup;
pub(crate) mod node;
pub(crate) mod planner;
