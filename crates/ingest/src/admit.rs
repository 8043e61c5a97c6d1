//! From a decoded request to samples of known series: validation and series identity.
//!
//! A series that was sent before with the same bytes costs one hash and one look-up; only others are decoded.

use std::ops::RangeInclusive;

use duramen_limits::IngestLimits;
use duramen_model::{Labels, Life, METRIC_NAME};
use duramen_proto::{Series, WriteRequest};

use crate::head::{Rows, Slot, TenantHead};
use crate::rejection::{Reason, Rejections};

/// The earliest time that is taken: the year 1, in milliseconds. Before it RFC 3339 has no name for a time, and SQL engines no value.
pub const TS_MS_MIN: i64 = -62_135_596_800_000;

/// When a sample may be.
struct Times {
    allowed: RangeInclusive<i64>,
    /// How far ahead of the clock the latest is.
    future_max_ms: i64,
}

/// What may be stored.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) rows: Rows,
    pub(crate) rejected: Rejections,
}

/// Checks `request` and finds or makes its series in the head's registry.
///
/// `seed` is the process's secret for hashes over bytes from outside.
pub(crate) fn admit(
    head: &TenantHead,
    request: &WriteRequest<'_>,
    now_ms: i64,
    limits: &IngestLimits,
    seed: u64,
) -> Admitted {
    let mut admitted = Admitted::default();
    admitted.rows.slots.reserve(request.ts_ms.len());
    admitted.rows.ts_ms.reserve(request.ts_ms.len());
    admitted.rows.values.reserve(request.ts_ms.len());
    let future_ms = i64::try_from(limits.future_max.as_millis()).unwrap_or(i64::MAX);
    let latest_ms = now_ms.saturating_add(future_ms);
    let times = Times { allowed: TS_MS_MIN..=latest_ms, future_max_ms: future_ms };
    let slots = identify(head, request, &times, limits, seed, &mut admitted.rejected);
    for (series, slot) in request.series.iter().zip(slots) {
        let Some(slot) = slot else { continue };
        if !series.histograms().is_empty() {
            let describe = || no_histograms(&head.labels(slot));
            admitted.rejected.add(Reason::NativeHistogram, series.histograms().len(), describe);
        }
        for at in series.samples() {
            let (ts_ms, value) = (request.ts_ms[at], request.values[at]);
            if !times.allowed.contains(&ts_ms) {
                let reason = if ts_ms > latest_ms { Reason::FarFuture } else { Reason::FarPast };
                admitted.rejected.add(reason, 1, || outside(&head.labels(slot), ts_ms, &times));
                continue;
            }
            admitted.rows.push(slot, ts_ms, value, Life::NONE);
        }
    }
    admitted
}

/// The slot of each series of the request; `None` for one that was refused.
///
/// A new series gets a slot only when one of its samples lies in `times`: what cannot be stored takes no place.
fn identify(
    head: &TenantHead,
    request: &WriteRequest<'_>,
    times: &Times,
    limits: &IngestLimits,
    seed: u64,
    rejected: &mut Rejections,
) -> Vec<Option<Slot>> {
    let mut unknown = Vec::new();
    let mut slots = Vec::with_capacity(request.series.len());
    let registry = head.registry.read();
    let mut keys = request.keys(seed);
    for (index, series) in request.series.iter().enumerate() {
        if series.samples().is_empty() && series.histograms().is_empty() {
            slots.push(None);
            continue;
        }
        let key = keys.of(index);
        let slot = registry.recall(key);
        if slot.is_none() {
            unknown.push((index, key));
        }
        slots.push(slot);
    }
    drop(registry);
    let mut checked = Vec::with_capacity(unknown.len());
    for (index, key) in unknown {
        let series = &request.series[index];
        match check_labels(request, index, limits) {
            Ok(labels) => checked.push((index, key, labels)),
            Err((reason, text)) => {
                let samples = series.samples().len() + series.histograms().len();
                rejected.add(reason, samples, || text);
            }
        }
    }
    if !checked.is_empty() {
        let mut registry = head.registry.write();
        for (index, key, labels) in checked {
            if registry.len() >= limits.series_max && registry.find(&labels).is_none() {
                let series = &request.series[index];
                let samples = series.samples().len() + series.histograms().len();
                rejected.add(Reason::SeriesLimit, samples, || {
                    format!(
                        "the tenant has too many series in memory. series=`{labels}`, series_max=`{}`",
                        limits.series_max
                    )
                });
                continue;
            }
            let series = &request.series[index];
            let samples = &request.ts_ms[series.samples()];
            if registry.find(&labels).is_none() && !samples.iter().any(|ts| times.allowed.contains(ts)) {
                reject_unstorable(series, &labels, samples, times, rejected);
                continue;
            }
            let slot = registry.intern(&labels);
            registry.remember(key, slot);
            slots[index] = Some(slot);
        }
    }
    slots
}

/// Refuses a new series of which nothing can be stored.
fn reject_unstorable(series: &Series<'_>, labels: &Labels, ts_ms: &[i64], times: &Times, rejected: &mut Rejections) {
    if !series.histograms().is_empty() {
        rejected.add(Reason::NativeHistogram, series.histograms().len(), || no_histograms(labels));
    }
    for &ts_ms in ts_ms {
        let reason = if ts_ms > *times.allowed.end() { Reason::FarFuture } else { Reason::FarPast };
        rejected.add(reason, 1, || outside(labels, ts_ms, times));
    }
}

fn no_histograms(labels: &Labels) -> String {
    format!("native histograms are not supported yet. series=`{labels}`")
}

fn outside(labels: &Labels, ts_ms: i64, times: &Times) -> String {
    let (earliest, latest, max) = (times.allowed.start(), times.allowed.end(), times.future_max_ms);
    if ts_ms > *latest {
        return format!(
            "a sample is too far in the future. series=`{labels}`, ts_ms=`{ts_ms}`, ts_ms_max=`{latest}`, future_max_ms=`{max}`"
        );
    }
    format!("a sample is before the year 1. series=`{labels}`, ts_ms=`{ts_ms}`, ts_ms_min=`{earliest}`")
}

/// The label set that was sent, or why it is refused. Labels may be unsorted; one with an empty value is as good as absent.
fn check_labels(request: &WriteRequest<'_>, at: usize, limits: &IngestLimits) -> Result<Labels, (Reason, String)> {
    let (count, max) = (request.labels_count(at), limits.labels_per_series_max);
    if count > max {
        let text = format!("a series has too many labels. labels=`{count}`, labels_per_series_max=`{max}`");
        return Err((Reason::TooManyLabels, text));
    }
    let pairs = request.labels(at).map_err(|e| (Reason::LabelNotUtf8, e.to_string()))?;
    let mut labels = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        labels.push(check_label(name, value, limits)?);
    }
    labels.sort_unstable_by_key(|(name, _)| *name);
    if let Some(two) = labels.windows(2).find(|two| two[0].0 == two[1].0) {
        let text = format!("a label name stands twice in one series. label=`{}`", two[0].0);
        return Err((Reason::RepeatedLabelName, text));
    }
    let named = labels.iter().any(|(name, value)| *name == METRIC_NAME && !value.is_empty());
    let set = Labels::from_pairs(labels.iter().copied()).filter(|_| named);
    set.ok_or_else(|| {
        let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        (
            Reason::NoMetricName,
            format!("a series has no metric name (the label __name__). labels=`{{{}}}`", shown.join(", ")),
        )
    })
}

fn check_label<'a>(
    name: &'a [u8],
    value: &'a [u8],
    limits: &IngestLimits,
) -> Result<(&'a str, &'a str), (Reason, String)> {
    if name.len() > limits.label_name_bytes_max {
        let (bytes, max) = (name.len(), limits.label_name_bytes_max);
        let text = format!("a label name is too long. bytes=`{bytes}`, label_name_bytes_max=`{max}`");
        return Err((Reason::LabelNameTooLong, text));
    }
    let utf8 = |bytes: &'a [u8], what: &str| {
        std::str::from_utf8(bytes).map_err(|_| {
            let shown = String::from_utf8_lossy(bytes);
            (
                Reason::LabelNotUtf8,
                format!("a label {what} is not UTF-8. label=`{}`, {what}=`{shown}`", String::from_utf8_lossy(name)),
            )
        })
    };
    let name = utf8(name, "name")?;
    if name.is_empty() {
        return Err((Reason::EmptyLabelName, "a label name is empty".to_owned()));
    }
    if value.len() > limits.label_value_bytes_max {
        let (bytes, max) = (value.len(), limits.label_value_bytes_max);
        let text = format!("a label value is too long. label=`{name}`, bytes=`{bytes}`, label_value_bytes_max=`{max}`");
        return Err((Reason::LabelValueTooLong, text));
    }
    Ok((name, utf8(value, "value")?))
}
