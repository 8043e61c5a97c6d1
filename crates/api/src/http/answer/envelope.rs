//! Answers of the API in their envelope, `{"status":"success","data":..}`.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use duramen_promql::{Answer, AnswerMemory, InstantSeries, SampleValue, Value};
use serde_json::Value as Json;

use crate::http::answer::json::{put_histogram, put_labels, put_point, put_text};
use crate::http::answer::matrix::Matrix;
use crate::http::answer::number::{put_scalar, put_short_time};
use crate::http::answer::pieces::{Document, Elements, List, Progress};

/// The warning for an answer that was cut because of `limit`.
pub(crate) const TRUNCATED: &str = "results truncated due to limit";

/// The most annotations of one kind in an answer. The others are only counted.
const ANNOTATIONS_MAX: usize = 10;

/// Returns the answer `{"status":"success","data":..}` with `data` as it is.
pub(crate) fn success(data: &Json, warnings: &[String]) -> Response {
    partial(data, &[], warnings)
}

/// Returns the envelope of an answer that may be partial. `left_out` has a warning for each block
/// that the answer lacks. These warnings come first, and no limit cuts them.
pub(crate) fn partial(data: &Json, left_out: &[String], warnings: &[String]) -> Response {
    let mut body = Vec::from(&br#"{"status":"success","data":"#[..]);
    body.extend_from_slice(data.to_string().as_bytes());
    finish(body, left_out, warnings)
}

/// Returns the answer to a query, with at most `limit` series and with the query's statistics.
/// `left_out` are the warnings of a partial answer.
pub(crate) fn answer(
    mut answer: Answer,
    left_out: &[String],
    limit: Option<usize>,
    stats: Option<&Json>,
) -> Document<Found> {
    if let Some(limit) = limit {
        let cut = match &mut answer.value {
            Value::Vector(series) => truncate(series, limit),
            Value::Matrix(series) => truncate(series, limit),
            Value::Scalar { .. } | Value::String { .. } => false,
        };

        if cut {
            answer.warnings.push(TRUNCATED.to_owned());
        }
    }

    let mut opening = Vec::from(&br#"{"status":"success","data":{"resultType":""#[..]);
    let series = match answer.value {
        Value::Scalar { ts_ms, value } => {
            opening.extend_from_slice(br#"scalar","result":["#);
            put_short_time(&mut opening, ts_ms);
            opening.extend_from_slice(b",\"");
            put_scalar(&mut opening, value);
            opening.push(b'"');

            Series::None
        }
        Value::String { ts_ms, value } => {
            opening.extend_from_slice(br#"string","result":["#);
            put_short_time(&mut opening, ts_ms);
            opening.push(b',');
            put_text(&mut opening, &value);

            Series::None
        }
        Value::Vector(series) => {
            opening.extend_from_slice(br#"vector","result":["#);
            Series::Vector(List::new(series, 0, put_instant))
        }
        Value::Matrix(series) => {
            opening.extend_from_slice(br#"matrix","result":["#);
            Series::Matrix(Box::new(Matrix::new(series)))
        }
    };

    let mut closing = Vec::from(&b"]"[..]);
    if let Some(stats) = stats {
        closing.extend_from_slice(format!(",\"stats\":{stats}").as_bytes());
    }

    closing.push(b'}');
    put_annotations(&mut closing, left_out, &answer.warnings, &answer.infos);

    let elements = Found {
        series,
        _memory: answer.memory,
    };

    Document {
        opening,
        elements,
        closing,
    }
}

/// The series of an answer, if it has any, and the memory that the query drew for them.
#[derive(Debug)]
pub(crate) struct Found {
    series: Series,
    _memory: AnswerMemory,
}

#[derive(Debug)]
enum Series {
    None,
    Vector(List<InstantSeries>),
    Matrix(Box<Matrix>),
}

impl Elements for Found {
    fn put(&mut self, out: &mut Vec<u8>, until: usize) -> Progress {
        match &mut self.series {
            Series::None => Progress::Done,
            Series::Vector(series) => series.put(out, until),
            Series::Matrix(series) => series.put(out, until),
        }
    }

    fn bytes_min(&self) -> usize {
        match &self.series {
            Series::None => 0,
            Series::Vector(series) => series.bytes_min(),
            Series::Matrix(series) => series.bytes_min(),
        }
    }

    fn held_bytes(&self) -> usize {
        // The query's own memory counts them until the answer is sent.
        0
    }
}

/// Returns the answer `{"status":"success","data":[..]}` with a list. `left_out` are the warnings
/// of a partial answer.
pub(crate) fn list<T>(
    elements: List<T>,
    left_out: &[String],
    warnings: &[String],
) -> Document<List<T>> {
    let mut closing = Vec::from(&b"]"[..]);
    put_annotations(&mut closing, left_out, warnings, &[]);

    Document {
        opening: Vec::from(&br#"{"status":"success","data":["#[..]),
        elements,
        closing,
    }
}

/// Returns the answer `{"status":"success","data":{..}}`. Each element is a key with its value.
pub(crate) fn object<T>(elements: List<T>) -> Document<List<T>> {
    let opening = Vec::from(&br#"{"status":"success","data":{"#[..]);
    Document {
        opening,
        elements,
        closing: Vec::from(&b"}}"[..]),
    }
}

fn put_instant(out: &mut Vec<u8>, series: &InstantSeries) {
    out.extend_from_slice(br#"{"metric":"#);
    put_labels(out, &series.labels);

    match &series.value {
        SampleValue::Float(value) => {
            out.extend_from_slice(br#","value":"#);
            put_point(out, series.ts_ms, *value);
        }
        SampleValue::Histogram(histogram) => {
            out.extend_from_slice(br#","histogram":"#);
            put_histogram(out, series.ts_ms, histogram);
        }
    }

    out.push(b'}');
}

fn truncate<T>(list: &mut Vec<T>, limit: usize) -> bool {
    let cut = list.len() > limit;
    list.truncate(limit);
    cut
}

fn finish(mut body: Vec<u8>, left_out: &[String], warnings: &[String]) -> Response {
    put_annotations(&mut body, left_out, warnings, &[]);
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        body,
    )
        .into_response()
}

/// Appends the annotations and the end of an envelope. All warnings of a partial answer are shown,
/// before the others.
fn put_annotations(body: &mut Vec<u8>, left_out: &[String], warnings: &[String], infos: &[String]) {
    for (name, always, annotations) in [("warnings", left_out, warnings), ("infos", &[], infos)] {
        if always.is_empty() && annotations.is_empty() {
            continue;
        }

        let mut shown = always.to_vec();
        shown.extend(annotations.iter().take(ANNOTATIONS_MAX).cloned());

        if annotations.len() > ANNOTATIONS_MAX {
            let more = annotations.len() - ANNOTATIONS_MAX;
            shown.push(format!(
                "{more} more {} annotations omitted",
                name.trim_end_matches('s')
            ));
        }

        body.extend_from_slice(format!(",\"{name}\":{}", Json::from(shown)).as_bytes());
    }

    body.push(b'}');
}

#[cfg(test)]
mod tests {
    use duramen_model::histogram::BucketCount;
    use duramen_model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels};
    use duramen_promql::{QueryStats, RangeSeries};

    use super::*;

    fn text(value: Value) -> String {
        let written = |value| {
            let stats = QueryStats::default();
            let memory = AnswerMemory::default();

            answer(
                Answer {
                    value,
                    warnings: vec![],
                    infos: vec![],
                    stats,
                    resolutions_ms: vec![],
                    memory,
                },
                &[],
                None,
                None,
            )
        };

        let text = written(value.clone()).whole(usize::MAX);
        for piece_bytes in [1, 10, 100] {
            assert_eq!(
                written(value.clone()).whole(piece_bytes),
                text,
                "in pieces of {piece_bytes} bytes"
            );
        }

        let inside = text.strip_prefix(r#"{"status":"success","data":{"resultType":"#);
        inside
            .and_then(|inside| inside.strip_suffix("}}"))
            .unwrap()
            .to_owned()
    }

    fn labels(n: &str) -> Labels {
        Labels::from_pairs([("__name__", "h"), ("n", n)]).unwrap()
    }

    fn counts(counts: &[(i32, f64)]) -> Vec<BucketCount> {
        counts
            .iter()
            .map(|&(index, count)| BucketCount { index, count })
            .collect()
    }

    /// Buckets on both sides of zero, and an empty bucket between others.
    fn exponential() -> FloatHistogram {
        FloatHistogram {
            count: 10.5,
            sum: -1e-7,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive: counts(&[(0, 1.0), (1, 0.0), (2, 4.5)]),
            negative: counts(&[(1, 3.0)]),
            ..FloatHistogram::empty(0, Vec::new())
        }
    }

    fn custom() -> FloatHistogram {
        FloatHistogram {
            count: 6.0,
            sum: f64::NAN,
            positive: counts(&[(0, 1.0), (1, 2.0), (2, 3.0)]),
            ..FloatHistogram::empty(CUSTOM_BUCKETS_SCHEMA, vec![0.5, 1e21])
        }
    }

    /// Empty buckets are left out, and an empty list too. Rules: 0 is `(]`, 1 is `[)`, 3 is `[]`.
    const EXPONENTIAL: &str = r#"{"count":"10.5","sum":"-1e-07","buckets":[[1,"-2","-1","3"],[3,"-0.001","0.001","2"],[0,"0.5","1","1"],[0,"2","4","4.5"]]}"#;
    const CUSTOM: &str = r#"{"count":"6","sum":"NaN","buckets":[[3,"-Inf","0.5","1"],[0,"0.5","1e+21","2"],[0,"1e+21","+Inf","3"]]}"#;
    const EMPTY: &str = r#"{"count":"0","sum":"0"}"#;

    #[test]
    fn a_vector_has_a_value_or_a_histogram_of_each_series() {
        let series = |n, ts_ms, value| InstantSeries {
            labels: labels(n),
            ts_ms,
            value,
        };

        let value = Value::Vector(vec![
            series("1", 1100, SampleValue::Histogram(Box::new(exponential()))),
            series("2", 2000, SampleValue::Histogram(Box::new(custom()))),
            series(
                "3",
                -1,
                SampleValue::Histogram(Box::new(FloatHistogram::empty(3, Vec::new()))),
            ),
            series("4", 2000, SampleValue::Float(-0.0)),
        ]);

        let expected = format!(
            r#""vector","result":[{{"metric":{{"__name__":"h","n":"1"}},"histogram":[1.100,{EXPONENTIAL}]}},{{"metric":{{"__name__":"h","n":"2"}},"histogram":[2,{CUSTOM}]}},{{"metric":{{"__name__":"h","n":"3"}},"histogram":[-0.001,{EMPTY}]}},{{"metric":{{"__name__":"h","n":"4"}},"value":[2,"-0"]}}]"#
        );
        assert_eq!(text(value), expected);
    }

    #[test]
    fn a_matrix_has_values_and_histograms_of_each_series_beside_each_other() {
        let series = |n, points: &[(i64, f64)], histograms| RangeSeries {
            labels: labels(n),
            points: points.to_vec(),
            histograms,
        };

        let value = Value::Matrix(vec![
            series("1", &[], vec![(1000, exponential()), (2500, custom())]),
            series(
                "2",
                &[(1000, 1.0), (3000, f64::INFINITY)],
                vec![(2000, custom())],
            ),
            series("3", &[(1000, 1.0)], vec![]),
        ]);

        let expected = format!(
            r#""matrix","result":[{{"metric":{{"__name__":"h","n":"1"}},"histograms":[[1,{EXPONENTIAL}],[2.500,{CUSTOM}]]}},{{"metric":{{"__name__":"h","n":"2"}},"values":[[1,"1"],[3,"+Inf"]],"histograms":[[2,{CUSTOM}]]}},{{"metric":{{"__name__":"h","n":"3"}},"values":[[1,"1"]]}}]"#
        );
        assert_eq!(text(value), expected);
    }

    #[test]
    fn each_block_that_is_left_out_is_named_and_of_other_warnings_ten() {
        let texts = |of: &str| (0..12).map(|n| format!("{of}{n}")).collect::<Vec<_>>();
        let mut body = b"{".to_vec();
        put_annotations(
            &mut body,
            &texts("block"),
            &texts("warning"),
            &texts("info"),
        );

        let text = String::from_utf8(body).unwrap().replacen("{,", "{", 1);
        let json: Json = serde_json::from_str(&text).unwrap();
        let warnings = json["warnings"].as_array().unwrap();

        assert_eq!(warnings.len(), 12 + 10 + 1);
        assert_eq!(warnings[11], "block11");
        assert_eq!(warnings[22], "2 more warning annotations omitted");
        assert_eq!(json["infos"].as_array().unwrap().len(), 10 + 1);
    }
}
