//! The check of a native histogram.

use duramen_limits::IngestLimits;
use duramen_proto::SentHistogram;

use super::times::Times;
use crate::rejection::Rejection;

/// The finest schema that is stored. Buckets of finer schemas are merged, as in Prometheus.
const SCHEMA_MAX: i32 = 8;

/// Returns the byte form of the histogram, or the reason why it is refused.
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
