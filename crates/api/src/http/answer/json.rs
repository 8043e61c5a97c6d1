//! Values as JSON, written straight into bytes.

use duramen_model::histogram::Bucket;
use duramen_model::{FloatHistogram, Labels};
use serde_json::Value as Json;

use crate::http::answer::number::{put_time, put_value};

/// Appends a JSON value.
pub(crate) fn put_json(out: &mut Vec<u8>, value: &Json) {
    serde_json::to_writer(out, value).expect("a Vec takes every write");
}

/// Returns a label set as a JSON value.
pub(crate) fn labels_json(labels: &Labels) -> Json {
    labels
        .iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');

    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }

        put_text(out, name);
        out.push(b':');
        put_text(out, value);
    }

    out.push(b'}');
}

pub(crate) fn put_point(out: &mut Vec<u8>, ts_ms: i64, value: f64) {
    out.push(b'[');
    put_time(out, ts_ms);
    out.extend_from_slice(b",\"");
    put_value(out, value);
    out.extend_from_slice(b"\"]");
}

/// Appends `[time,{"count":"..","sum":"..","buckets":[[rule,"lower","upper","count"],..]}]` without
/// empty buckets.
pub(crate) fn put_histogram(out: &mut Vec<u8>, ts_ms: i64, histogram: &FloatHistogram) {
    out.push(b'[');
    put_time(out, ts_ms);
    out.extend_from_slice(br#",{"count":""#);
    put_value(out, histogram.count);
    out.extend_from_slice(br#"","sum":""#);
    put_value(out, histogram.sum);
    out.push(b'"');

    let buckets: Vec<Bucket> = histogram
        .buckets()
        .filter(|bucket| bucket.count != 0.0)
        .collect();

    if !buckets.is_empty() {
        out.extend_from_slice(br#","buckets":["#);
        put_list(out, &buckets, |out, bucket| {
            out.extend_from_slice(format!("[{}", bucket.bounds.rule()).as_bytes());
            for number in [bucket.lower, bucket.upper, bucket.count] {
                out.extend_from_slice(b",\"");
                put_value(out, number);
                out.push(b'"');
            }

            out.push(b']');
        });

        out.push(b']');
    }

    out.extend_from_slice(b"}]");
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is JSON and a Vec takes every write");
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    for (i, element) in list.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }

        put(out, element);
    }
}
