//! Durations that are known once the times of the query are.

use duramen_syntax::ast::{DurationExpr, OffsetSpec};

use crate::error::Error;
use crate::times::QueryTimes;

/// A quarter of what 64 bits hold, so that a time and a few durations add up without overflow.
const DURATION_MS_MAX: i64 = i64::MAX / 4;

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
    let range_ms = times.end_ms.saturating_sub(times.start_ms);
    let ms = duration.evaluate_ms(times.step_ms, range_ms).map_err(|error| Error::invalid(error.to_string()))?;
    if ms.checked_abs().is_none_or(|size| size > DURATION_MS_MAX) {
        return Err(Error::invalid("duration out of range"));
    }
    Ok(ms)
}
