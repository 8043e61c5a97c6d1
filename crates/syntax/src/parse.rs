//! The entry points: they parse texts to trees and to matchers.

use crate::ast::{self, Expr};
use crate::bounds::Bounds;
use crate::error::ParseError;
use crate::parser;

/// Parses one expression, within the default [`Bounds`].
///
/// The tree is well typed. A later stage may rely on the number and types of arguments, on valid
/// matchers, and on [`ast::VectorMatching`] being present exactly between vectors.
///
/// # Errors
///
/// The first fault, with its position. A text over one of the limits of this crate is a fault too.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_within(text, &Bounds::default())
}

/// Like [`parse`], within the given bounds.
pub fn parse_within(text: &str, bounds: &Bounds) -> Result<Expr, ParseError> {
    parser::parse(text, bounds)
}

/// Parses a series selector, such as those of `match[]` parameters: a metric name, matchers in
/// braces, or both, and nothing else. The result includes a matcher for the name. It may be empty
/// or match every series; the caller decides whether to accept that.
///
/// # Errors
///
/// The first fault, with its position. A text over one of the limits of this crate is a fault too.
pub fn parse_selector(text: &str) -> Result<Vec<ast::LabelMatcher>, ParseError> {
    parse_selector_within(text, &Bounds::default())
}

/// Like [`parse_selector`], within the given bounds.
pub fn parse_selector_within(
    text: &str,
    bounds: &Bounds,
) -> Result<Vec<ast::LabelMatcher>, ParseError> {
    parser::parse_selector(text, bounds)
}
