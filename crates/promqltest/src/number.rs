//! Numbers in the notation of scripts.

use duramen_syntax::Expr;

/// Reads a number in Go's notation, or a duration, which becomes seconds.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match duramen_syntax::parse(text) {
        Ok(Expr::Number { value, .. }) => Ok(value),
        _ => Err(format!("no number: {text:?}")),
    }
}
