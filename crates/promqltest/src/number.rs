//! Numbers as scripts write them.

use duramen_syntax::Expr;

/// A number as Go reads it, or a duration, which counts in seconds.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match duramen_syntax::parse(text) {
        Ok(Expr::Number { value, .. }) => Ok(value),
        _ => Err(format!("no number: {text:?}")),
    }
}
