//! Remote read, which shows the stored samples bit for bit.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use duramen_proto::snappy;
use duramen_testkit::prompb::{Message, v1};

use super::duramen::Duramen;
use super::http::Request;
use super::samples::LabelSet;

/// One stored series.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) labels: LabelSet,
    pub(crate) samples: Vec<v1::Sample>,
    pub(crate) histograms: Vec<v1::Histogram>,
}

/// Returns all series whose name matches `name`, with their samples in `[start_ms, end_ms]`.
pub(crate) async fn read(server: &Duramen, name: &str, start_ms: i64, end_ms: i64) -> Vec<Stored> {
    let kind = v1::label_matcher::Type::Re.into();
    let matcher = v1::LabelMatcher {
        r#type: kind,
        name: "__name__".to_owned(),
        value: name.to_owned(),
    };

    let query = v1::Query {
        start_timestamp_ms: start_ms,
        end_timestamp_ms: end_ms,
        matchers: vec![matcher],
    };

    let request = v1::ReadRequest {
        queries: vec![query],
        accepted_response_types: vec![],
    };

    let request = Request::new("POST", "/api/v1/read")
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .body(snappy::compress(&request.encode_to_vec()));

    let answer = server.send(&request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let body = snappy::decompress(&answer.body, 256 << 20).unwrap();
    let response = v1::ReadResponse::decode(body.as_slice()).unwrap();
    let series = response
        .results
        .into_iter()
        .flat_map(|result| result.timeseries);

    let stored = series.map(
        |v1::TimeSeries {
             labels,
             samples,
             histograms,
             ..
         }| Stored {
            labels: labels
                .into_iter()
                .map(|label| (label.name, label.value))
                .collect(),
            samples,
            histograms,
        },
    );

    stored.collect()
}
