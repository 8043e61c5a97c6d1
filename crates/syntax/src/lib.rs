//! PromQL: text in, a typed tree out, and back to text.
//!
//! The language is that of Prometheus 3.16 with everything experimental switched on. What is
//! accepted, what is refused, the texts and places of errors, and both printed forms follow
//! upstream; `docs/design/0002-promql-syntax.md` in the project says why this is not a library and
//! where it knowingly differs.
//!
//! - `parse` has the ways in, within the limits of `bounds`. `lexer` cuts the text into `token`s,
//!   with their places (`position`); `parser` makes the tree of [`ast`]; `check` sees to its types,
//!   by the table of [`functions`], and reads its matchers (`matcher`).
//! - `print` gives the tree back on one line, `pretty` on several ([`prettify`]).
//! - For all of them: `duration`, `number`, `quoted`. [`deep()`] is how code recurses over a tree.
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
mod deep;
mod duration;
mod error;
pub mod functions;
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
pub use deep::deep;
pub use duration::{EvaluateError, EvaluateFault};
pub use error::ParseError;
pub use functions::{FunctionSig, function};
pub use parse::{parse, parse_selector, parse_selector_within, parse_within};
pub use position::{PosRange, line_and_column};
pub use pretty::{TooLong, prettify};
