//! The data set of the recorded answers.

#![expect(
    clippy::unwrap_used,
    reason = "a recording that cannot be read fails its test"
)]

use std::io::Read;
use std::path::Path;

use serde_json::Value as Json;

use super::duramen::Duramen;
use super::samples::{Body, labels};

/// Returns the lines of a compressed file, each of which is JSON.
pub(crate) fn lines(path: &Path) -> Vec<Json> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Sends the recorded series through remote write, each in its own request.
pub(crate) async fn fill(server: &Duramen, demo: &Path) {
    for line in lines(demo) {
        let labels = labels(&line["labels"]);
        let pairs: Vec<(&str, &str)> = labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();

        let times = line["t_ms"].as_array().unwrap();
        let values = line["v"].as_array().unwrap();
        let samples = times
            .iter()
            .zip(values)
            .map(|(ts, value)| (ts.as_i64().unwrap(), value.as_f64().unwrap()));

        server
            .write(
                Body::default()
                    .series(&pairs, &samples.collect::<Vec<_>>())
                    .snappy(),
            )
            .await;
    }
}
