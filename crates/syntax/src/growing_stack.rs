//! Recursion over trees that are too high for the stack.

/// The stack that must be left before a step of a recursion, and the size of the new stack if less
/// is left.
const STACK_LEFT_BYTES: usize = 128 << 10;
const STACK_GROWTH_BYTES: usize = 2 << 20;

/// Runs a step of a recursion, on a new stack if little is left. A tree has up to
/// [`crate::TREE_HEIGHT_MAX`] levels, and without optimisation a level takes kilobytes. A single
/// step may take at most 128 KiB.
pub fn on_growing_stack<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_LEFT_BYTES, STACK_GROWTH_BYTES, step)
}
