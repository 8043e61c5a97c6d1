//! The schedule of flushes.

use std::sync::Arc;
use std::time::Duration;

use duramen_model::ErrorKind;
use duramen_runtime::{OnFailure, Tasks};
use tracing::warn;

use crate::error::Error;
use crate::flush::{self, Backoff, FlushReport, Freeze};
use crate::flusher::Flusher;
use crate::head::TenantHead;
use crate::metrics::ResultLabel;
use crate::seen::SeenClock;

/// While memory for series is short, a head with many series is flushed this often.
const CROWDED_FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// While memory is short, a head with fewer bytes is not flushed early.
const SHORT_FLUSH_BYTES_MIN: usize = 1 << 20;

/// Starts the task that flushes heads by age and by size until the process shuts down. It also
/// writes down the time of `seen` when that is due.
pub(crate) fn start_flushing(flusher: Arc<Flusher>, seen: Arc<SeenClock>, tasks: &Tasks) {
    let shutdown = tasks.shutdown();

    tasks.spawn::<_, Error>("flush", OnFailure::Fatal, async move {
        let mut backoff = Backoff::default();

        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = flusher.clock.sleep(Duration::from_secs(1)) => {}
            }

            if seen.is_due() {
                let seen = Arc::clone(&seen);
                let written = tokio::task::spawn_blocking(move || seen.write_down());
                written.await.map_err(|_| Error::Stopped)?;
            }

            // A flush on request may have found out.
            if let Some(cause) = flusher.fenced.get() {
                return Err(Error::Overtaken { cause: cause.clone() });
            }

            flusher.settle_disk().await;

            for (head, freeze) in due(&flusher) {
                let now = flusher.clock.monotonic();
                if !backoff.is_over(head.id, now) {
                    continue;
                }

                let flushed = flush_head(&flusher, &head, freeze).await;
                backoff.note(head.id, now, flushed.as_ref().err());

                if let Err(error) = flushed {
                    if error.is_full() {
                        flusher.make_way().await;
                    }

                    if error.kind() == ErrorKind::Fenced {
                        // Another process has this writer's data, so this one can publish nothing
                        // any more.
                        return Err(error);
                    }

                    warn!(tenant = %head.name(), %error, cause = ?std::error::Error::source(&error),
                        "a head could not be flushed; the samples stay in the log and it is tried again");
                }
            }
        }
    });
}

/// Flushes one head and counts the flush. Notes if another process has published under this one's
/// name.
pub(crate) async fn flush_head(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    freeze: Freeze,
) -> Result<FlushReport, Error> {
    flusher.heads.settle(head.id);
    let result = flush::flush(flusher, head, freeze).await;
    if let Err(Error::Manifest(
        cause @ (duramen_manifest::Error::Fenced { .. } | duramen_manifest::Error::Twin { .. }),
    )) = &result
    {
        flusher.fenced.get_or_init(|| cause.to_string());
    }

    let label = ResultLabel {
        result: if result.is_ok() { "success" } else { "failure" },
    };
    flusher.metrics.flushes.get_or_create(&label).inc();
    result
}

/// Returns the heads to flush now:
///
/// - old heads;
/// - the largest heads, while all together are too large;
/// - all heads, while the disk is nearly full;
/// - heads whose series are to be forgotten;
/// - heads with frozen generations that wait, which alone are no reason to freeze another one.
fn due(flusher: &Flusher) -> Vec<(Arc<TenantHead>, Freeze)> {
    let now_ms = i64::try_from(flusher.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
    let age_ms = i64::try_from(flusher.config.flush_interval.as_millis()).unwrap_or(i64::MAX);
    let memory = &flusher.heads.memory;
    let mut heads = flusher.heads.all();

    heads.sort_by_cached_key(|head| std::cmp::Reverse(head.sample_bytes()));

    let mut bytes_left: usize = heads.iter().map(|head| head.sample_bytes()).sum();

    // An early flush must free enough memory to be worth its requests.
    let short = memory.is_short();
    let worth = (bytes_left / 8).max(SHORT_FLUSH_BYTES_MIN);
    let now = flusher.clock.monotonic();
    let crowded = memory.is_short_for_series();
    let series_bytes = memory.series_bytes();
    let is_low = flusher.is_disk_low();

    let judge = |head: Arc<TenantHead>| {
        if head.is_quarantined() {
            return Some((head, Freeze::Yes));
        }

        let since = head.since_forgetting(now);
        let idle = head.rests() && since >= flusher.config.flush_interval;

        // Two flushes free the memory of idle series. This head has so many series that it is worth
        // the requests.
        let room = crowded
            && since >= CROWDED_FLUSH_INTERVAL
            && head.memory.series_bytes() >= series_bytes / 16;
        let waits = !head.frozen().is_empty();
        let old = head
            .open()
            .filled_since_ms()
            .is_some_and(|since| now_ms - since >= age_ms);

        let large =
            bytes_left > flusher.config.head_bytes_max || (short && head.sample_bytes() >= worth);
        if large {
            bytes_left = bytes_left.saturating_sub(head.sample_bytes());
        }

        // A second frozen generation would free no space while the first cannot be uploaded.
        let low = is_low && !waits && head.open().filled_since_ms().is_some();
        match (old || large || low || idle || room, waits) {
            (true, _) => Some((head, Freeze::Yes)),
            (false, true) => Some((head, Freeze::No)),
            (false, false) => None,
        }
    };

    heads.into_iter().filter_map(judge).collect()
}
