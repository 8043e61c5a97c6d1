//! PromQL text to a typed syntax tree and back: lexer, parser, printer, positions.
//!
//! The language is that of Prometheus 3.16 with everything experimental switched on. What is
//! accepted, what is refused, the texts and places of errors, and both printed forms follow
//! upstream; `docs/design/0002-promql-syntax.md` in the project says why this is not a library and
//! where it knowingly differs.
//!
//! ```
//! let expr = duramen_syntax::parse("sum by (job)(rate(http_requests_total[5m]))").unwrap();
//! assert_eq!(expr.to_string(), "sum by (job) (rate(http_requests_total[5m]))");
//!
//! let error = duramen_syntax::parse("sum(up").unwrap_err();
//! assert_eq!(error.to_string(), "1:7: parse error: unclosed left parenthesis");
//! ```

pub mod ast;
mod check;
mod deep;
mod duration;
mod error;
pub mod functions;
mod lexer;
mod matcher;
mod number;
mod parser;
mod position;
mod pretty;
mod print;
mod quoted;
mod token;

use std::sync::Arc;

pub use ast::Expr;
pub use deep::deep;
use duramen_model::Regexes;
pub use duration::{
    DurationError, EvaluateError, EvaluateFault, format_duration_ms, parse_duration,
};
pub use error::ParseError;
pub use functions::{FunctionSig, function};
pub use position::{PosRange, line_and_column};
pub use pretty::{TooLong, prettify};

/// The longest query text of whoever says nothing else, in bytes. It bounds the work of everything
/// downstream.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The most brackets of all kinds that may be open at once. Counted on tokens, before anything
/// recurses.
pub const NESTING_DEPTH_MAX: usize = 500;

/// The most nodes on the way from the root of a tree to a leaf. It bounds chains without brackets,
/// such as `a or b or c ..`. Recursion over a tree goes through [`deep`], which takes some
/// kilobytes of stack for a node.
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

/// Reads one expression, within the default [`Bounds`].
///
/// The tree is well typed: a later stage may rely on the number and types of arguments, on matchers
/// that compile, and on [`ast::VectorMatching`] being there exactly between vectors.
///
/// # Errors
///
/// The first fault, with its place. Also when the text is over one of the limits of this crate.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_within(text, &Bounds::default())
}

/// As [`parse`], within bounds.
pub fn parse_within(text: &str, bounds: &Bounds) -> Result<Expr, ParseError> {
    parser::parse(text, bounds)
}

/// Reads a series selector, such as those of `match[]` parameters: a metric name, matchers in
/// braces, or both, and nothing else. The result holds a matcher for the name, and may be empty or
/// match every series; the caller decides about that.
///
/// # Errors
///
/// The first fault, with its place. Also when the text is over one of the limits of this crate.
pub fn parse_selector(text: &str) -> Result<Vec<ast::LabelMatcher>, ParseError> {
    parse_selector_within(text, &Bounds::default())
}

/// As [`parse_selector`], within bounds.
pub fn parse_selector_within(
    text: &str,
    bounds: &Bounds,
) -> Result<Vec<ast::LabelMatcher>, ParseError> {
    parser::parse_selector(text, bounds)
}
