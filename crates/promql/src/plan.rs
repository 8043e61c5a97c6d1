//! From the syntax tree to a typed logical plan. The plan is plain data and does not say how it is
//! run.
//!
//! The logical plan is our own tree, not a `LogicalPlan` extension of DataFusion. None of
//! DataFusion's optimiser rules fits vectors over a grid, and our tree can express grids and metric
//! names directly. `exec` runs the plan. It uses this module, and this module does not use it.
//!
//! In: a parsed expression, and the times of the query. Out: a [`node::Plan`].
//!
//! - [`planner`]: decides what the text leaves open, node by node. There is one file for each kind
//!   of expression: `selector` (and subqueries), `call`, `info`, `aggregate`, `binary`. Before
//!   these run `duration` (durations that depend on the times) and `invariant` (which parts are the
//!   same at every step).
//! - [`node`]: the tree that comes out.
//! - [`function`]: what its nodes compute.
//! - [`lookup`]: which samples a step looks at, and what is read of them.
//! - [`rollup`]: which selectors are answered from rollups.

pub(crate) mod function;
pub(crate) mod lookup;
pub(crate) mod node;
pub(crate) mod planner;
pub(crate) mod rollup;
