//! PromQL text to a typed syntax tree and back: lexer, parser, printer, positions.
//!
//! The language is that of Prometheus 3.16 with everything experimental switched on. What is accepted, what is refused, the
//! texts and places of errors, and both printed forms follow upstream; `docs/design/0002-promql-syntax.md` in the
//! project says why this is not a library and where it knowingly differs.
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

pub use ast::Expr;
pub use duration::{DurationError, EvaluateError, EvaluateFault, format_duration_ms, parse_duration};
pub use error::ParseError;
pub use functions::{FunctionSig, function};
pub use position::{PosRange, line_and_column};
pub use pretty::prettify;

/// The longest query text, in bytes. It bounds the work of everything downstream.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The most brackets of all kinds that may be open at once. Counted on tokens, before anything recurses.
pub const NESTING_DEPTH_MAX: usize = 128;

/// The most nodes on the way from the root of a tree to a leaf. It bounds chains without brackets, such as `a or b or c ..`,
/// so that plain recursion over a tree (also a drop) needs a bounded stack.
pub const TREE_HEIGHT_MAX: usize = 512;

/// Reads one expression.
///
/// The tree is well typed: a later stage may rely on the number and types of arguments, on matchers that compile, and on
/// [`ast::VectorMatching`] being there exactly between vectors.
///
/// # Errors
///
/// The first fault, with its place. Also when the text is over one of the limits of this crate.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parser::parse(text)
}

/// Reads a series selector, such as those of `match[]` parameters: a metric name, matchers in braces, or both, and nothing
/// else. The result holds a matcher for the name, and may be empty or match every series; the caller decides about that.
///
/// # Errors
///
/// The first fault, with its place. Also when the text is over one of the limits of this crate.
pub fn parse_selector(text: &str) -> Result<Vec<ast::LabelMatcher>, ParseError> {
    parser::parse_selector(text)
}
