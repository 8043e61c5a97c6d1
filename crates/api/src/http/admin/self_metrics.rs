//! The metrics of the process as JSON: `io.prometheus.client.MetricFamily` in the mapping of
//! protocol buffers to JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use duramen_model::{GoRegex, regex};
use serde_json::{Map, Value as Json, json};

use crate::http::admin::metric_lines::{Sample, parse_line};
use crate::http::answer::failure::Failure;
use crate::http::answer::json::success;
use crate::http::request::form::Params;
use crate::http::request::viewer::Viewer;
use crate::http::roles::process::ProcessState;

/// Whole names are matched, as everywhere in Prometheus.
pub(crate) async fn families(
    State(state): State<Arc<ProcessState>>,
    viewer: Viewer,
    params: Params,
) -> Result<Response, Failure> {
    let name = "metric_name_pattern";
    let pattern = params.given(name).map(str::to_owned);
    let text = viewer.visible(state.metrics.text(), &state.register);
    let families = state
        .workers
        .spawn(async move { matching(&text, pattern.as_deref()) })
        .await
        .map_err(|error| duramen_query::Error::Panicked(Box::new(error)))?;

    let families = families.map_err(|error| Failure::parameter(name, error))?;
    Ok(success(&families.into(), &[]))
}

fn matching(text: &str, pattern: Option<&str>) -> Result<Vec<Json>, regex::Error> {
    let pattern = pattern.map(GoRegex::parse).transpose()?;
    let is_wanted = |family: &Json| {
        let name = family["name"].as_str();
        pattern
            .as_ref()
            .is_none_or(|of| name.is_some_and(|name| of.is_match(name)))
    };

    Ok(read(text).into_iter().filter(is_wanted).collect())
}

/// The families of our own text, in its order.
fn read(text: &str) -> Vec<Json> {
    let mut families = Vec::new();
    let mut family = Family::default();

    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# HELP ") {
            let (name, help) = comment.split_once(' ').unwrap_or((comment, ""));
            families.extend(std::mem::take(&mut family).finish());

            family = Family {
                name,
                help,
                ..Family::default()
            };
        } else if let Some(comment) = line.strip_prefix("# TYPE ") {
            family.kind = comment.rsplit(' ').next().unwrap_or("");
        } else if let Some(sample) = parse_line(line) {
            family.samples.push(sample);
        }
    }

    families.extend(family.finish());
    families
}

/// One family on its way from text to JSON.
#[derive(Debug, Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    samples: Vec<Sample<'a>>,
}

impl Family<'_> {
    /// `None` for a family without samples: it has no metric yet.
    fn finish(self) -> Option<Json> {
        let named = self.samples.first()?.0;
        let (name, kind, metrics) = match self.kind {
            "counter" => (named, "COUNTER", self.plain("counter")),
            "gauge" => (named, "GAUGE", self.plain("gauge")),
            "histogram" => (self.name, "HISTOGRAM", self.histograms()),
            _ => (named, "UNTYPED", self.plain("untyped")),
        };

        Some(json!({ "name": name, "help": self.help, "type": kind, "metric": metrics }))
    }

    fn plain(&self, member: &str) -> Vec<Json> {
        let metric = |(_, labels, value): &Sample<'_>| json!({ "label": pairs(labels), member: { "value": double(*value) } });
        self.samples.iter().map(metric).collect()
    }

    /// The lines of a histogram stand together: sum and count, then its buckets.
    fn histograms(&self) -> Vec<Json> {
        let mut metrics: Vec<(Vec<Json>, Map<String, Json>)> = Vec::new();

        for (name, labels, value) in &self.samples {
            let (bounds, others): (Vec<_>, Vec<_>) =
                labels.iter().cloned().partition(|(label, _)| label == "le");
            let label = pairs(&others);

            if metrics.last().is_none_or(|(last, _)| *last != label) {
                metrics.push((label, Map::from_iter([("bucket".to_owned(), json!([]))])));
            }

            let Some((_, histogram)) = metrics.last_mut() else {
                continue;
            };

            match (name.strip_prefix(self.name), bounds.first()) {
                (Some("_sum"), _) => drop(histogram.insert("sampleSum".to_owned(), double(*value))),
                (Some("_count"), _) => {
                    drop(histogram.insert("sampleCount".to_owned(), value.to_string().into()))
                }
                (_, Some((_, bound))) => {
                    let bucket = json!({ "cumulativeCount": value.to_string(), "upperBound": bound_of(bound) });
                    histogram
                        .get_mut("bucket")
                        .and_then(Json::as_array_mut)
                        .into_iter()
                        .for_each(|all| all.push(bucket.clone()));
                }
                _ => {}
            }
        }

        metrics
            .into_iter()
            .map(|(label, histogram)| json!({ "label": label, "histogram": histogram }))
            .collect()
    }
}

fn pairs(labels: &[(String, String)]) -> Vec<Json> {
    labels
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn bound_of(text: &str) -> Json {
    text.parse().map_or_else(|_| text.into(), double)
}

/// What JSON has no number for is a text.
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
    use super::*;

    #[test]
    fn families_of_the_text_are_those_of_the_protocol() {
        let text = "# HELP requests All of them.\n# TYPE requests counter\nrequests_total{code=\"200\"} 3\nrequests_total{code=\"500\"} 1\n\
            # HELP held Now.\n# TYPE held gauge\nheld NaN\n\
            # HELP none Not yet.\n# TYPE none counter\n\
            # HELP took_seconds Each.\n# TYPE took_seconds histogram\n\
            took_seconds_sum{route=\"/\"} 1.5\ntook_seconds_count{route=\"/\"} 2\n\
            took_seconds_bucket{le=\"0.5\",route=\"/\"} 1\ntook_seconds_bucket{le=\"+Inf\",route=\"/\"} 2\n\
            took_seconds_sum{route=\"/b\"} 0.0\ntook_seconds_count{route=\"/b\"} 0\n# EOF\n";

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

        assert_eq!(Json::from(read(text)), expected);
    }
}
