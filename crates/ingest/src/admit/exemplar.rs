//! The check of an exemplar.

use duramen_limits::IngestLimits;
use duramen_model::Labels;
use duramen_proto::{SentExemplar, WriteRequest};

use super::times::Times;
use crate::rejection::Rejection;

/// Returns the labels of the exemplar, or the reason why it is left out.
pub(super) fn check(
    request: &WriteRequest<'_>,
    sent: &SentExemplar<'_>,
    times: &Times,
    limits: &IngestLimits,
) -> Result<Labels, Rejection> {
    let ts_ms = sent.ts_ms;
    times
        .check(ts_ms)
        .map_err(|_| Rejection::ExemplarTime { ts_ms })?;

    let max = limits.exemplar_label_chars_max;

    // Each label has a name of at least one character, so there are at least as many characters as
    // labels.
    let count = request.exemplar_labels_count(sent);
    if count > max {
        return Err(Rejection::ExemplarTooLong {
            ts_ms,
            chars: count,
            max,
        });
    }

    let pairs = request
        .exemplar_labels(sent)
        .map_err(|_| Rejection::ExemplarLabels { ts_ms })?;
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Rejection::ExemplarLabels { ts_ms });
    let mut labels = Vec::with_capacity(pairs.len());

    for (name, value) in pairs {
        labels.push((text(name)?, text(value)?));
    }

    let chars = labels
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum();

    if chars > max {
        return Err(Rejection::ExemplarTooLong { ts_ms, chars, max });
    }

    if labels.iter().any(|(name, _)| name.is_empty()) {
        return Err(Rejection::ExemplarLabels { ts_ms });
    }

    labels.sort_unstable();
    if labels.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(Rejection::ExemplarLabels { ts_ms });
    }

    Labels::from_pairs(labels).ok_or(Rejection::ExemplarLabels { ts_ms })
}
