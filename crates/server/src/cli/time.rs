//! Times of a command line.

use std::sync::Arc;

use duramen_model::AsOf;

/// Reads a time in seconds since 1970, or in the form of RFC 3339, as milliseconds.
pub(crate) fn time_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        let ms = seconds.checked_mul(1000);
        return ms.ok_or_else(|| "the time is too far away".to_owned());
    }

    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map(|time| time.timestamp_millis())
        .map_err(|error| format!("no time like 2026-11-30T14:00:00Z: {error}"))
}

/// Reads which past state is meant: a time as [`time_ms`] reads it, `seq:` and a sequence of the
/// manifest, or `snapshot:` and a name.
pub(crate) fn as_of(text: &str) -> Result<AsOf, String> {
    if let Some(name) = text.strip_prefix("snapshot:") {
        return Ok(AsOf::Snapshot(Arc::from(name)));
    }

    let Some(sequence) = text.strip_prefix("seq:") else {
        return time_ms(text).map(AsOf::Time);
    };

    let sequence = sequence.parse().map(AsOf::Sequence);
    sequence.map_err(|_| "behind seq: comes a whole number".to_owned())
}
