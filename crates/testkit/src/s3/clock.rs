//! The wall-clock time of the server, and its formats in headers and XML.
//!
//! The server represents a machine far away, so it has real time of its own and not the clock of
//! the code under test.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::DateTime;

/// The current time, in milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a far-away machine has a clock of its own"
)]
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits in real time, or in tokio's paused time if a test has paused it.
#[expect(
    clippy::disallowed_methods,
    reason = "a far-away machine has a clock of its own"
)]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Formats a time for `Last-Modified`, in whole seconds.
pub(super) fn http_date(at_ms: i64) -> String {
    spell(at_ms, "%a, %d %b %Y %H:%M:%S GMT")
}

/// Formats a time for `<LastModified>`, in milliseconds.
pub(super) fn iso_date(at_ms: i64) -> String {
    spell(at_ms, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

fn spell(at_ms: i64, form: &str) -> String {
    DateTime::from_timestamp_millis(at_ms)
        .unwrap_or_default()
        .format(form)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_spelled_as_s3_spells_them() {
        assert_eq!(http_date(784_111_777_005), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_date(784_111_777_005), "1994-11-06T08:49:37.005Z");
    }
}
