//! The metrics of the process as JSON: `io.prometheus.client.MetricFamily` in the JSON mapping of
//! protocol buffers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_metrics::{Collected, CollectedValue, MetricFamily};
use duramen_model::{GoRegex, regex};
use serde_json::{Value as Json, json};

use crate::http::answer::envelope::success;
use crate::http::answer::failure::Failure;
use crate::http::request::form::Params;
use crate::http::request::viewer::Viewer;
use crate::http::roles::state::process::ProcessState;

/// Answers with the families that the pattern matches. A pattern matches whole names, as everywhere
/// in Prometheus.
pub(crate) async fn families(
    State(state): State<Arc<ProcessState>>,
    viewer: Viewer,
    params: Params,
) -> Result<Response, Failure> {
    let name = "metric_name_pattern";
    let pattern = params.given(name).map(str::to_owned);
    let seen = viewer.visible(state.metrics.families(), &state.register);
    let families = state
        .workers
        .spawn(async move { matching(&seen, pattern.as_deref()) })
        .await
        .map_err(|error| duramen_query::Error::Panicked(Box::new(error)))?;

    let families = families.map_err(|error| Failure::parameter(name, error))?;
    Ok(success(&families.into(), &[]))
}

fn matching(families: &[MetricFamily], pattern: Option<&str>) -> Result<Vec<Json>, regex::Error> {
    let pattern = pattern.map(GoRegex::parse).transpose()?;
    let is_wanted = |family: &Json| {
        let name = family["name"].as_str();
        pattern
            .as_ref()
            .is_none_or(|of| name.is_some_and(|name| of.is_match(name)))
    };

    Ok(families
        .iter()
        .filter_map(shown)
        .filter(is_wanted)
        .collect())
}

/// Returns a family as JSON, or `None` if it has no metrics. Counters have the name of their
/// series.
fn shown(family: &MetricFamily) -> Option<Json> {
    let (name, kind) = match family.metrics.first()?.value {
        CollectedValue::Counter(_) => (format!("{}_total", family.name), "COUNTER"),
        CollectedValue::Gauge(_) => (family.name.clone(), "GAUGE"),
        CollectedValue::Histogram { .. } => (family.name.clone(), "HISTOGRAM"),
    };

    let metrics: Vec<Json> = family.metrics.iter().map(metric).collect();
    Some(json!({ "name": name, "help": family.help, "type": kind, "metric": metrics }))
}

fn metric(metric: &Collected) -> Json {
    let label: Vec<Json> = metric
        .labels
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();

    match &metric.value {
        CollectedValue::Counter(count) => {
            json!({ "label": label, "counter": { "value": *count as f64 } })
        }
        CollectedValue::Gauge(value) => {
            json!({ "label": label, "gauge": { "value": double(value.as_f64()) } })
        }
        CollectedValue::Histogram {
            sum,
            count,
            buckets,
        } => {
            let bucket = |(bound, below): &(f64, u64)| json!({ "cumulativeCount": below.to_string(), "upperBound": double(*bound) });

            let buckets: Vec<Json> = buckets.iter().map(bucket).collect();
            json!({ "label": label, "histogram": {
                "bucket": buckets,
                "sampleSum": double(*sum),
                "sampleCount": count.to_string(),
            } })
        }
    }
}

/// Returns a number, or a text for values that JSON has no number for.
fn double(value: f64) -> Json {
    if value.is_nan() {
        return "NaN".into();
    }

    if value.is_infinite() {
        if value > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        }
    } else {
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use duramen_metrics::{MetricKind, Number};

    use super::*;

    #[test]
    fn families_are_those_of_the_protocol() {
        let of = |name, value: &str, collected| Collected::with(name, value, collected);
        let histogram = |sum, count, buckets| CollectedValue::Histogram {
            sum,
            count,
            buckets,
        };

        let codes = [("200", 3), ("500", 1)]
            .map(|(code, count)| of("code", code, CollectedValue::Counter(count)));
        let held = Collected::alone(CollectedValue::Gauge(Number::Float(f64::NAN)));
        let took = [
            of(
                "route",
                "/",
                histogram(1.5, 2, vec![(0.5, 1), (f64::INFINITY, 2)]),
            ),
            of("route", "/b", histogram(0.0, 0, vec![])),
        ];

        let families = [
            MetricFamily::new("requests", "All of them.", MetricKind::Counter, codes),
            MetricFamily::new("held", "Now.", MetricKind::Gauge, [held]),
            MetricFamily::new("none", "Not yet.", MetricKind::Counter, []),
            MetricFamily::new("took_seconds", "Each.", MetricKind::Histogram, took),
        ];

        let label = |name: &str, value: &str| json!([{ "name": name, "value": value }]);
        let expected = json!([
            { "name": "requests_total", "help": "All of them.", "type": "COUNTER", "metric": [
                { "label": label("code", "200"), "counter": { "value": 3.0 } },
                { "label": label("code", "500"), "counter": { "value": 1.0 } },
            ] },
            { "name": "held", "help": "Now.", "type": "GAUGE", "metric": [{ "label": [], "gauge": { "value": "NaN" } }] },
            { "name": "took_seconds", "help": "Each.", "type": "HISTOGRAM", "metric": [
                { "label": label("route", "/"), "histogram": { "sampleSum": 1.5, "sampleCount": "2", "bucket": [
                    { "cumulativeCount": "1", "upperBound": 0.5 },
                    { "cumulativeCount": "2", "upperBound": "Infinity" },
                ] } },
                { "label": label("route", "/b"), "histogram": { "sampleSum": 0.0, "sampleCount": "0", "bucket": [] } },
            ] },
        ]);

        assert_eq!(Json::from(matching(&families, None).unwrap()), expected);
    }
}
