//! The ways in: texts to trees and to matchers.

use crate::ast::{self, Expr};
use crate::bounds::Bounds;
use crate::error::ParseError;
use crate::parser;

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
