//! Series in the form in which tests write them and queries answer them.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;

use duramen_proto::{WriteRequestEncoder, snappy};
use serde_json::Value as Json;

/// Label pairs, sorted by name.
pub(crate) type LabelSet = BTreeMap<String, String>;
/// Times in milliseconds, and values as the API prints them.
pub(crate) type Points = Vec<(i64, String)>;

/// Builds the body of a remote write.
#[derive(Debug, Default)]
pub(crate) struct Body(WriteRequestEncoder);

impl Body {
    /// Adds one series with labels as given.
    pub(crate) fn series(mut self, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Self {
        self.0.push(labels.iter().copied(), samples.iter().copied());
        self
    }

    /// Adds one sample of a metric without other labels.
    pub(crate) fn sample(self, name: &str, ts_ms: i64, value: f64) -> Self {
        self.series(&[("__name__", name)], &[(ts_ms, value)])
    }

    pub(crate) fn snappy(self) -> Vec<u8> {
        snappy::compress(&self.0.finish())
    }
}

/// Returns the series of a matrix.
#[track_caller]
pub(crate) fn matrix(data: &Json) -> BTreeMap<LabelSet, Points> {
    assert_eq!(data["resultType"], "matrix", "{data}");

    let series = data["result"].as_array().unwrap();
    let found: BTreeMap<_, _> = series
        .iter()
        .map(|one| (labels(&one["metric"]), points(&one["values"])))
        .collect();

    assert_eq!(found.len(), series.len(), "a series stands twice");

    found
}

pub(crate) fn labels(json: &Json) -> LabelSet {
    serde_json::from_value(json.clone()).unwrap()
}

fn points(json: &Json) -> Points {
    let point = |pair: &Json| (milliseconds(&pair[0]), pair[1].as_str().unwrap().to_owned());
    json.as_array().unwrap().iter().map(point).collect()
}

/// Reads seconds as the API prints them: whole, or with three digits after the point.
fn milliseconds(seconds: &Json) -> i64 {
    let text = seconds.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    whole.parse::<i64>().unwrap() * 1000 + format!("{fraction:0<3}").parse::<i64>().unwrap()
}

/// Pseudo-random numbers, which are the same in every run.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns a number in `[0, below)`.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);

        (self.0 >> 33) as usize % below
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
