//! From the syntax tree to a typed logical plan, and from there to operators.
//!
//! The logical plan is a tree of our own and no `LogicalPlan` extension of DataFusion: none of DataFusion's optimiser rules fits
//! vectors over a grid, and a tree that knows grids and metric names says more in less.

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

pub(crate) use lower::Lowering;
pub(crate) use node::{Names, Node, Plan, Series};
pub(crate) use planner::{Planner, bare};

/// How far the stack must reach before a step of a recursion over a tree, and by how much it grows when it does not.
const STACK_LEFT: usize = 128 << 10;
const STACK_GROWTH: usize = 2 << 20;

/// Runs a step of a recursion over a tree, on more stack when little is left: a query is up to 512 nodes high.
pub(crate) fn deep<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_LEFT, STACK_GROWTH, step)
}
