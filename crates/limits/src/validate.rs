//! Checks that the limits are consistent.

use std::time::Duration;

use duramen_settings::Faults;

use crate::{HaLimits, IngestLimits, Limits, QueryLimits, RetentionLimits};

/// The minimum of `failover_timeout`.
const FAILOVER_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The shortest period for which data is kept.
const RETENTION_MIN: Duration = Duration::from_hours(1);
/// Each rule is compared with each series of a query that reaches back far.
const RETENTION_RULES_MAX: usize = 100;

/// Adds the faults of the limits under `key`.
pub(crate) fn limits(limits: &Limits, key: &str, faults: &mut Faults) {
    ingest(&limits.ingest, &format!("{key}.ingest"), faults);
    ha(&limits.ha, &format!("{key}.ha"), faults);
    query(&limits.query, &format!("{key}.query"), faults);
    retention(&limits.retention, &format!("{key}.retention"), faults);
}

fn retention(limits: &RetentionLimits, key: &str, faults: &mut Faults) {
    let is_long = |period: Duration| period.is_zero() || period >= RETENTION_MIN;
    let why = || {
        let min = duramen_settings::duration::print(RETENTION_MIN);
        format!("must be at least {min}; 0 keeps data for ever")
    };

    let period = limits.period.unwrap_or_default();
    faults.check(is_long(period), format!("{key}.period"), why);

    let rollups = [
        ("rollups_5m", limits.rollups_5m),
        ("rollups_1h", limits.rollups_1h),
    ];
    for (name, period) in rollups {
        let period = period.unwrap_or_default();
        faults.check(is_long(period), format!("{key}.{name}"), why);
    }

    for (at, rule) in limits.rules.iter().enumerate() {
        let key = format!("{key}.rules[{at}].period");
        faults.check(is_long(rule.period), key, why);
    }

    let why = || format!("must have at most {RETENTION_RULES_MAX} rules");
    let fits = limits.rules.len() <= RETENTION_RULES_MAX;
    faults.check(fits, format!("{key}.rules"), why);
}

fn ingest(limits: &IngestLimits, key: &str, faults: &mut Faults) {
    if let Some(rate) = limits.samples_per_second {
        let why = || "must be above 0; null is no limit".to_owned();
        faults.check(
            rate.is_finite() && rate > 0.0,
            format!("{key}.samples_per_second"),
            why,
        );
    }

    if let Some(max) = limits.series_per_metric_max {
        let why = || {
            format!(
                "must not be above series_max, which is {}",
                limits.series_max
            )
        };

        faults.check(
            max <= limits.series_max,
            format!("{key}.series_per_metric_max"),
            why,
        );

        at_least_one(max, format!("{key}.series_per_metric_max"), faults);
    }

    at_least_one(
        usize::try_from(limits.samples_burst).unwrap_or(usize::MAX),
        format!("{key}.samples_burst"),
        faults,
    );

    for (name, value) in [
        ("series_max", limits.series_max),
        (
            "series_bytes_max",
            limits.series_bytes_max.unwrap_or(usize::MAX),
        ),
        ("labels_per_series_max", limits.labels_per_series_max),
        ("label_name_bytes_max", limits.label_name_bytes_max),
        ("label_value_bytes_max", limits.label_value_bytes_max),
        ("body_bytes_max", limits.body_bytes_max),
        ("decoded_body_bytes_max", limits.decoded_body_bytes_max),
        ("histogram_buckets_max", limits.histogram_buckets_max),
    ] {
        at_least_one(value, format!("{key}.{name}"), faults);
    }
}

fn ha(limits: &HaLimits, key: &str, faults: &mut Faults) {
    for (name, label) in [
        ("cluster_label", &limits.cluster_label),
        ("replica_label", &limits.replica_label),
    ] {
        let why = || "must name a label, and not __name__".to_owned();
        faults.check(
            !label.is_empty() && label != "__name__",
            format!("{key}.{name}"),
            why,
        );
    }

    let why = || "must not be the cluster_label".to_owned();
    faults.check(
        limits.replica_label != limits.cluster_label,
        format!("{key}.replica_label"),
        why,
    );

    let why = || {
        format!(
            "must be at least {}",
            duramen_settings::duration::print(FAILOVER_TIMEOUT_MIN)
        )
    };

    faults.check(
        limits.failover_timeout >= FAILOVER_TIMEOUT_MIN,
        format!("{key}.failover_timeout"),
        why,
    );

    at_least_one(limits.clusters_max, format!("{key}.clusters_max"), faults);
}

fn query(limits: &QueryLimits, key: &str, faults: &mut Faults) {
    let why = || "must be above 0".to_owned();
    faults.check(!limits.timeout.is_zero(), format!("{key}.timeout"), why);

    if let Some(range) = limits.range_max {
        let why = || "must be above 0; null is no limit".to_owned();
        faults.check(!range.is_zero(), format!("{key}.range_max"), why);
    }

    for (name, value) in [
        ("concurrency_max", limits.concurrency_max),
        ("steps_max", limits.steps_max),
        ("samples_max", limits.samples_max),
        ("memory_bytes_max", limits.memory_bytes_max),
        (
            "tenant_memory_bytes_max",
            limits.tenant_memory_bytes_max.unwrap_or(usize::MAX),
        ),
        ("series_max", limits.series_max.unwrap_or(usize::MAX)),
        ("metadata_series_max", limits.metadata_series_max),
        ("exemplars_max", limits.exemplars_max),
        ("answer_bytes_max", limits.answer_bytes_max),
        ("remote_read_samples_max", limits.remote_read_samples_max),
    ] {
        at_least_one(value, format!("{key}.{name}"), faults);
    }
}

fn at_least_one(value: usize, key: String, faults: &mut Faults) {
    faults.check(value >= 1, key, || "must be at least 1".to_owned());
}
