//! The limits of a query's size.

use std::sync::Arc;

use duramen_model::Regexes;

/// The default for the longest query text, in bytes. It bounds the work of everything downstream.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The maximum number of brackets of all kinds that may be open at once. It is checked on the
/// tokens, before anything recurses.
pub const NESTING_DEPTH_MAX: usize = 500;

/// The maximum number of nodes on the path from the root of a tree to a leaf. It bounds chains
/// without brackets, such as `a or b or c ..`. Recursion over a tree goes through
/// [`on_growing_stack`](crate::on_growing_stack), and takes some kilobytes of stack for a node.
pub const TREE_HEIGHT_MAX: usize = 10_000;

/// The maximum number of nodes in a tree. Each takes some hundred bytes, and some thousand bytes as
/// an operator of a plan.
pub const TREE_NODES_MAX: usize = 50_000;

/// Like [`TREE_HEIGHT_MAX`], for the arithmetic in one duration.
pub const DURATION_HEIGHT_MAX: usize = 512;

/// The limits of one request. All its expressions and selectors share them.
#[derive(Debug)]
pub struct Bounds {
    /// The longest text in bytes.
    pub text_bytes_max: usize,
    /// Parses the regexes of the request and limits their cost.
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
