//! Arithmetic of durations, which may depend on the step and the range of a query.
//! [`duramen_model::duration`] parses and prints durations.

use crate::ast::{DurationExpr, DurationKind, DurationOp, UnaryOp};
use crate::growing_stack::on_growing_stack;
use crate::position::PosRange;

/// The longest duration that is written as a number, in seconds: 63 bits of nanoseconds.
pub(crate) const DURATION_SECONDS_MAX: f64 = 9_223_372_036.854_776;

/// Rounds to the nearest millisecond. Values out of range saturate.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
pub(crate) fn seconds_to_ms(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Truncates to milliseconds, towards zero. Values out of range saturate.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn whole_ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

/// Why a part of a duration has no value in a given query. The texts are upstream's, and so is the
/// position: the bytes where the part starts and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {fault}", pos.start, pos.end)]
pub struct EvaluateError {
    pub pos: PosRange,
    pub fault: EvaluateFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateFault {
    #[error("division by zero")]
    DivisionByZero,
    #[error("modulo by zero")]
    ModuloByZero,
    #[error("duration is NaN or infinite")]
    NotFinite,
    #[error("duration must be greater than 0")]
    NotPositive,
    #[error("duration is out of range")]
    OutOfRange,
}

impl DurationExpr {
    /// The value in seconds, if the duration is a plain literal.
    pub fn literal_seconds(&self) -> Option<f64> {
        match self.kind {
            DurationKind::Literal { seconds, .. } => Some(seconds),
            _ => None,
        }
    }

    /// The value in milliseconds in a query with this step and range (both 0 in an instant query).
    /// It may be zero or negative, which ranges and steps then refuse. A calculated value is
    /// truncated to whole milliseconds, and a literal is rounded.
    ///
    /// # Errors
    ///
    /// When the arithmetic has no result, and when the result is over about 292 years.
    pub fn evaluate_ms(&self, step_ms: i64, range_ms: i64) -> Result<i64, EvaluateError> {
        let seconds = self.evaluate(step_ms as f64 / 1000.0, range_ms as f64 / 1000.0)?;
        if !seconds.is_finite() {
            return Err(self.without_value(EvaluateFault::NotFinite));
        }

        if seconds.abs() > DURATION_SECONDS_MAX {
            return Err(self.without_value(EvaluateFault::OutOfRange));
        }

        Ok(match self.kind {
            DurationKind::Literal { .. } => seconds_to_ms(seconds),
            // Upstream rounds literals and truncates calculated values.
            _ => whole_ms(seconds),
        })
    }

    /// Like [`DurationExpr::evaluate_ms`], for a range or a step.
    ///
    /// # Errors
    ///
    /// The same, and when the value is not above zero.
    pub fn evaluate_positive_ms(&self, step_ms: i64, range_ms: i64) -> Result<i64, EvaluateError> {
        let seconds = self.evaluate(step_ms as f64 / 1000.0, range_ms as f64 / 1000.0)?;
        if seconds.is_finite() && seconds <= 0.0 {
            return Err(self.without_value(EvaluateFault::NotPositive));
        }

        self.evaluate_ms(step_ms, range_ms)
    }

    const fn without_value(&self, fault: EvaluateFault) -> EvaluateError {
        EvaluateError {
            pos: self.pos,
            fault,
        }
    }

    fn evaluate(&self, step: f64, range: f64) -> Result<f64, EvaluateError> {
        on_growing_stack(|| self.evaluate_here(step, range))
    }

    fn evaluate_here(&self, step: f64, range: f64) -> Result<f64, EvaluateError> {
        let (op, lhs, rhs) = match &self.kind {
            DurationKind::Literal { seconds, .. } => return Ok(*seconds),
            DurationKind::Step => return Ok(step),
            DurationKind::Range => return Ok(range),
            DurationKind::Unary { op, expr } => {
                let value = expr.evaluate(step, range)?;
                return Ok(if *op == UnaryOp::Minus { -value } else { value });
            }
            DurationKind::Binary { op, lhs, rhs } => {
                (*op, lhs.evaluate(step, range)?, rhs.evaluate(step, range)?)
            }
        };

        Ok(match op {
            DurationOp::Add => lhs + rhs,
            DurationOp::Sub => lhs - rhs,
            DurationOp::Mul => lhs * rhs,
            DurationOp::Div if rhs == 0.0 => {
                return Err(self.without_value(EvaluateFault::DivisionByZero));
            }
            DurationOp::Div => lhs / rhs,
            DurationOp::Mod if rhs == 0.0 => {
                return Err(self.without_value(EvaluateFault::ModuloByZero));
            }
            DurationOp::Mod => lhs % rhs,
            DurationOp::Pow => lhs.powf(rhs),
            DurationOp::Min | DurationOp::Max if lhs.is_nan() || rhs.is_nan() => f64::NAN,
            DurationOp::Min => lhs.min(rhs),
            DurationOp::Max => lhs.max(rhs),
        })
    }
}
