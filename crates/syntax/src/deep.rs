//! Recursion over trees that are higher than a stack may be deep.

/// How far the stack must reach before a step of a recursion over a tree, and by how much it grows
/// when it does not.
const STACK_LEFT_BYTES: usize = 128 << 10;
const STACK_GROWTH_BYTES: usize = 2 << 20;

/// Runs a step of a recursion, on more stack when little is left: a tree is up to
/// [`crate::TREE_HEIGHT_MAX`] nodes high, and without optimisation a level takes kilobytes. What a
/// step takes itself is at most 128 KiB.
pub fn deep<T>(step: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_LEFT_BYTES, STACK_GROWTH_BYTES, step)
}
