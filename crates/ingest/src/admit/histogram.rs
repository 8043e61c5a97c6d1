//! Whether a native histogram may be stored.

use duramen_limits::IngestLimits;
use duramen_proto::SentHistogram;

use super::times::Times;
use crate::rejection::Rejection;

/// The finest schema that is kept. Prometheus merges the buckets of finer ones as well.
const SCHEMA_MAX: i32 = 8;

/// The byte form of the histogram, or why it is refused.
pub(super) fn check(
    sent: &SentHistogram<'_>,
    times: &Times,
    limits: &IngestLimits,
) -> Result<Vec<u8>, Rejection> {
    let ts_ms = sent.ts_ms;
    times.check(ts_ms)?;
    times.check_life(sent.life)?;

    let buckets = sent.buckets;
    let max = limits.histogram_buckets_max;

    if buckets > max {
        return Err(Rejection::HistogramBuckets {
            ts_ms,
            buckets,
            max,
        });
    }

    let unreadable = |error: duramen_proto::Error| Rejection::HistogramUnreadable {
        ts_ms,
        fault: error,
    };

    let invalid = |fault| Rejection::HistogramInvalid { ts_ms, fault };
    let mut histogram = sent.decode().map_err(unreadable)?;
    histogram.reduce_to(SCHEMA_MAX).map_err(invalid)?;
    histogram.validate().map_err(invalid)?;

    Ok(histogram.to_bytes())
}
