//! PromQL: text in, a typed tree out, and back to text.
//!
//! The language is that of Prometheus 3.16 with all experimental features on. Which queries are
//! accepted, the texts and positions of errors, and both printed forms follow upstream.
//! `docs/design/0002-promql-syntax.md` in the project explains why we do not use a library, and
//! lists the known differences.
//!
//! - `parse` has the entry points, with the limits of `bounds`. `lexer` splits the text into
//!   `token`s with their positions (`position`). `parser` builds the tree of [`ast`]. `check`
//!   checks its types by the table of [`functions`], and its matchers with `matcher`.
//! - `print` prints the tree on one line, `pretty` on several ([`prettify`]).
//! - All of them use `duration`, `number` and `quoted`. Recursion over a tree goes through
//!   [`on_growing_stack`].
//!
//! ```
//! let expr = duramen_syntax::parse("sum by (job)(rate(http_requests_total[5m]))").unwrap();
//! assert_eq!(expr.to_string(), "sum by (job) (rate(http_requests_total[5m]))");
//!
//! let error = duramen_syntax::parse("sum(up").unwrap_err();
//! assert_eq!(error.to_string(), "1:7: parse error: unclosed left parenthesis");
//! ```

pub mod ast;
mod bounds;
mod check;
mod duration;
mod error;
pub mod functions;
mod growing_stack;
mod lexer;
mod matcher;
mod number;
mod parse;
mod parser;
mod position;
mod pretty;
mod print;
mod quoted;
mod token;

pub use ast::Expr;
pub use bounds::{
    Bounds, DURATION_HEIGHT_MAX, NESTING_DEPTH_MAX, TEXT_BYTES_MAX, TREE_HEIGHT_MAX, TREE_NODES_MAX,
};
pub use duration::{EvaluateError, EvaluateFault};
pub use error::ParseError;
pub use functions::{FunctionSig, function};
pub use growing_stack::on_growing_stack;
pub use parse::{parse, parse_selector, parse_selector_within, parse_within};
pub use position::{PosRange, line_and_column};
pub use pretty::{TooLong, prettify};
