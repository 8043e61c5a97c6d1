//! Durations that are known once the times of the query are.

use duramen_syntax::ast::{DurationExpr, DurationKind, DurationOp, OffsetSpec, UnaryOp};

use crate::error::Error;
use crate::plan::{QueryTimes, deep};

/// A range or a step: above zero.
pub(crate) fn positive_ms(duration: &DurationExpr, times: &QueryTimes) -> Result<i64, Error> {
    let ms = duration_ms(duration, times)?;
    if ms <= 0 {
        return Err(Error::invalid("duration must be greater than 0"));
    }
    Ok(ms)
}

pub(crate) fn offset_ms(offset: &OffsetSpec, times: &QueryTimes) -> Result<i64, Error> {
    match offset {
        OffsetSpec::Ms(ms) => Ok(*ms),
        OffsetSpec::Expr(duration) => duration_ms(duration, times),
    }
}

fn duration_ms(duration: &DurationExpr, times: &QueryTimes) -> Result<i64, Error> {
    let ms = (seconds(duration, times)? * 1000.0).round();
    // A quarter of the range of 64 bits, so that sums of a few durations and a time do not overflow.
    if !ms.is_finite() || ms.abs() > (i64::MAX / 4) as f64 {
        return Err(Error::invalid("duration out of range"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range, as was just checked")]
    Ok(ms as i64)
}

fn seconds(duration: &DurationExpr, times: &QueryTimes) -> Result<f64, Error> {
    deep(|| match &duration.kind {
        DurationKind::Literal { seconds, .. } => Ok(*seconds),
        DurationKind::Step => Ok(times.step_ms as f64 / 1000.0),
        DurationKind::Range => Ok(times.end_ms.saturating_sub(times.start_ms) as f64 / 1000.0),
        DurationKind::Unary { op, expr } => {
            let value = seconds(expr, times)?;
            Ok(if *op == UnaryOp::Minus { -value } else { value })
        }
        DurationKind::Binary { op, lhs, rhs } => {
            let (a, b) = (seconds(lhs, times)?, seconds(rhs, times)?);
            match op {
                DurationOp::Add => Ok(a + b),
                DurationOp::Sub => Ok(a - b),
                DurationOp::Mul => Ok(a * b),
                DurationOp::Div if b == 0.0 => Err(Error::invalid("division by zero")),
                DurationOp::Div => Ok(a / b),
                DurationOp::Mod if b == 0.0 => Err(Error::invalid("modulo by zero")),
                DurationOp::Mod => Ok(a % b),
                DurationOp::Pow => Ok(a.powf(b)),
                DurationOp::Min => Ok(a.min(b)),
                DurationOp::Max => Ok(a.max(b)),
            }
        }
    })
}
