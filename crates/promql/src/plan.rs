//! From the syntax tree to a typed logical plan, and from there to operators.
//!
//! The logical plan is a tree of our own and no `LogicalPlan` extension of DataFusion: none of
//! DataFusion's optimiser rules fits vectors over a grid, and a tree that knows grids and metric
//! names says more in less.

mod aggregate;
mod binary;
mod call;
mod duration;
mod info;
mod invariant;
mod lower;
mod node;
mod planner;
mod selector;

pub(crate) use invariant::Invariants;
pub(crate) use lower::Lowering;
pub(crate) use node::{Names, Node, Plan, Series};
pub(crate) use planner::{Planner, bare};

pub(crate) use duramen_syntax::deep;
