//! Durations that depend on the times of the query.

use duramen_syntax::ast::{DurationExpr, OffsetSpec};
use duramen_syntax::{EvaluateError, Expr};

use crate::error::Error;
use crate::times::QueryTimes;

/// A quarter of the range of `i64`, so that a time plus a few durations does not overflow.
const DURATION_MS_MAX: i64 = i64::MAX / 4;

/// Evaluates a range or a step, which must be above zero.
pub(crate) fn positive_ms(duration: &DurationExpr, times: &QueryTimes) -> Result<i64, Error> {
    bounded(duration.evaluate_positive_ms(times.step_ms, times.range_ms()))
}

pub(crate) fn offset_ms(offset: &OffsetSpec, times: &QueryTimes) -> Result<i64, Error> {
    match offset {
        OffsetSpec::Ms(ms) => Ok(*ms),
        OffsetSpec::Expr(duration) => {
            bounded(duration.evaluate_ms(times.step_ms, times.range_ms()))
        }
    }
}

/// Returns the error of the first duration that has no value, in the order from the root.
/// Prometheus evaluates all durations before it does anything else.
pub(crate) fn check_durations(expr: &Expr, times: &QueryTimes) -> Result<(), Error> {
    let mut first = Ok(());
    expr.walk(&mut |expr| {
        let checked = match expr {
            Expr::VectorSelector(selector) => offset_ms(&selector.offset, times),
            Expr::MatrixSelector {
                selector, range, ..
            } => positive_ms(range, times).and_then(|_| offset_ms(&selector.offset, times)),
            Expr::Subquery {
                range,
                step,
                offset,
                ..
            } => offset_ms(offset, times)
                .and_then(|_| step.as_ref().map_or(Ok(0), |step| positive_ms(step, times)))
                .and_then(|_| positive_ms(range, times)),
            _ => Ok(0),
        };

        if let (Ok(()), Err(error)) = (&first, checked) {
            first = Err(error);
        }
    });

    first
}

fn bounded(ms: Result<i64, EvaluateError>) -> Result<i64, Error> {
    let ms = ms.map_err(|error| Error::invalid(error.to_string()))?;
    if ms.checked_abs().is_none_or(|size| size > DURATION_MS_MAX) {
        return Err(Error::invalid("duration out of range"));
    }

    Ok(ms)
}
