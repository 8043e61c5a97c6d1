//! How large a query may be.

use std::sync::Arc;

use duramen_model::Regexes;

/// The longest query text of whoever says nothing else, in bytes. It bounds the work of everything
/// downstream.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The most brackets of all kinds that may be open at once. Counted on tokens, before anything
/// recurses.
pub const NESTING_DEPTH_MAX: usize = 500;

/// The most nodes on the way from the root of a tree to a leaf. It bounds chains without brackets,
/// such as `a or b or c ..`. Recursion over a tree goes through [`deep`](crate::deep), which takes
/// some kilobytes of stack for a node.
pub const TREE_HEIGHT_MAX: usize = 10_000;

/// The most nodes of a tree. Each takes some hundred bytes, and some thousand as an operator of a
/// plan.
pub const TREE_NODES_MAX: usize = 50_000;

/// [`TREE_HEIGHT_MAX`] of the arithmetic in one duration.
pub const DURATION_HEIGHT_MAX: usize = 512;

/// What one request may cost. Its expressions and selectors share it.
#[derive(Debug)]
pub struct Bounds {
    /// The longest text.
    pub text_bytes_max: usize,
    /// Reads the regexes, and refuses more than the request may have.
    pub regexes: Arc<Regexes>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            text_bytes_max: TEXT_BYTES_MAX,
            regexes: Arc::default(),
        }
    }
}
