//! Durations with arithmetic.

use duramen_syntax::ast::{DurationExpr, DurationKind, DurationOp, UnaryOp};

use super::value::Fault;
use super::{Evaluation, Times};

impl Evaluation<'_> {
    /// Evaluates a duration. `step()` and `range()` are those of the whole query, and 0 in an
    /// instant query.
    pub(super) fn duration_ms(&self, duration: &DurationExpr) -> Result<i64, Fault> {
        let seconds = seconds(duration, self.query)?;
        if !seconds.is_finite() {
            return Err(Fault::Fails("duration is NaN or infinite"));
        }

        #[expect(
            clippy::cast_possible_truncation,
            reason = "durations of random queries are short"
        )]
        let ms = (seconds * 1000.0).trunc() as i64;
        Ok(ms)
    }
}

fn seconds(duration: &DurationExpr, query: Times) -> Result<f64, Fault> {
    let evaluate = |part: &DurationExpr| seconds(part, query);
    Ok(match &duration.kind {
        DurationKind::Literal { seconds, .. } => *seconds,
        DurationKind::Step => query.step_ms as f64 / 1000.0,
        DurationKind::Range => (query.end_ms - query.start_ms) as f64 / 1000.0,
        DurationKind::Unary {
            op: UnaryOp::Minus,
            expr,
        } => -evaluate(expr)?,
        DurationKind::Unary { expr, .. } => evaluate(expr)?,
        DurationKind::Binary { op, lhs, rhs } => match (op, evaluate(lhs)?, evaluate(rhs)?) {
            (DurationOp::Add, a, b) => a + b,
            (DurationOp::Sub, a, b) => a - b,
            (DurationOp::Mul, a, b) => a * b,
            (DurationOp::Div | DurationOp::Mod, _, 0.0) => {
                return Err(Fault::Fails("division by zero"));
            }
            (DurationOp::Div, a, b) => a / b,
            (DurationOp::Mod, a, b) => a % b,
            (DurationOp::Pow, a, b) => a.powf(b),
            (DurationOp::Min, a, b) => {
                if a < b {
                    a
                } else {
                    b
                }
            }
            (DurationOp::Max, a, b) => {
                if a > b {
                    a
                } else {
                    b
                }
            }
        },
    })
}
