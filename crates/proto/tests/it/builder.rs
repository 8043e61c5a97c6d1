//! Requests that are built instead of decoded.

use duramen_model::{Counts, Histogram, Life, MetricType, ResetHint, Span};
use duramen_proto::{
    Error, LabelPair, WriteLimits, WriteRequest, WriteRequestBuilder, WriteRequestEncoder,
};

const ROOMY: WriteLimits = WriteLimits {
    memory_bytes_max: 1 << 20,
};

fn histogram() -> Histogram {
    Histogram {
        counts: Counts::Integer {
            count: 3,
            zero_count: 0,
            positive: vec![1, 1],
            negative: vec![],
        },
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        negative_spans: vec![],
        schema: 0,
        hint: ResetHint::Unknown,
        sum: 4.5,
        zero_threshold: 0.0,
        custom_values: vec![],
    }
}

fn text<'a>(pairs: Vec<LabelPair<'a>>) -> Vec<(&'a str, &'a str)> {
    let text = |bytes| std::str::from_utf8(bytes).expect("it was pushed as text");
    pairs
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

#[test]
fn floats_are_those_of_the_same_request_decoded() {
    let series = [
        ([("__name__", "a"), ("x", "1")], vec![(1, 0.5), (2, -0.0)]),
        ([("__name__", "b"), ("x", "")], vec![(3, f64::NAN)]),
    ];

    let mut encoder = WriteRequestEncoder::default();
    let mut builder = WriteRequestBuilder::new(&ROOMY);

    for (labels, samples) in &series {
        encoder.push(labels.iter().copied(), samples.iter().copied());

        let mut built = builder.series(labels.iter().copied()).unwrap();
        for (ts_ms, value) in samples {
            built.float(*ts_ms, *value, Life::NONE).unwrap();
        }
    }

    let body = encoder.finish();
    let decoded = WriteRequest::decode_v1(&body, &ROOMY).unwrap();
    let built = builder.finish();

    let bits = |request: &WriteRequest<'_>| -> Vec<u64> {
        request.values.iter().map(|value| value.to_bits()).collect()
    };

    assert_eq!(built.ts_ms, decoded.ts_ms);
    assert_eq!(bits(&built), bits(&decoded));
    assert!(built.lives.is_empty() && built.refused.is_empty());
    assert_eq!(built.series.len(), decoded.series.len());

    for at in 0..2 {
        assert_eq!(built.labels(at), decoded.labels(at));
        assert_eq!(built.labels_count(at), decoded.labels_count(at));
        assert_eq!(built.show(at).to_string(), decoded.show(at).to_string());
        assert_eq!(built.series[at].samples(), decoded.series[at].samples());
    }
}

#[test]
fn a_series_may_bring_floats_histograms_and_exemplars_and_a_request_metadata() {
    let sent = histogram();
    let life = Life {
        start_ms: 1,
        ttl_ms: 2,
    };

    let mut builder = WriteRequestBuilder::new(&ROOMY);
    builder
        .series([("__name__", "a")])
        .unwrap()
        .float(1, 1.0, Life::NONE)
        .unwrap();

    builder
        .series([("__name__", "b")])
        .unwrap()
        .float(2, 2.0, life)
        .unwrap()
        .exemplar(5, 0.5, [("trace", "x"), ("span", "y")])
        .unwrap()
        .histogram(3, &sent, life)
        .unwrap();

    builder
        .series([("__name__", "c")])
        .unwrap()
        .float(4, 3.0, Life::NONE)
        .unwrap();

    builder
        .metadata("a", MetricType::Counter, "All.", "bytes")
        .unwrap();

    let request = builder.finish();
    assert_eq!(request.lives, [Life::NONE, life, Life::NONE]);

    let [of_b] = &request.histograms[request.series[1].histograms()] else {
        panic!("b has one histogram");
    };

    assert_eq!((of_b.ts_ms, of_b.life, of_b.buckets), (3, life, 2));
    assert_eq!(of_b.decode().unwrap(), sent);

    let [exemplar] = &request.exemplars[request.series[1].exemplars()] else {
        panic!("b has one exemplar");
    };

    let labels = text(request.exemplar_labels(exemplar).unwrap());
    assert_eq!(labels, [("trace", "x"), ("span", "y")]);
    assert_eq!(text(request.labels(2).unwrap()), [("__name__", "c")]);
    assert_eq!(request.metadata[0].help, b"All.");
}

#[test]
fn a_series_that_brings_nothing_is_left_out() {
    let mut builder = WriteRequestBuilder::new(&ROOMY);
    drop(builder.series([("__name__", "a")]).unwrap());
    builder
        .series([("__name__", "b")])
        .unwrap()
        .float(1, 1.0, Life::NONE)
        .unwrap();

    let request = builder.finish();
    assert_eq!(request.series.len(), 1);
    assert_eq!(text(request.labels(0).unwrap()), [("__name__", "b")]);
}

#[test]
fn a_series_has_the_same_key_in_each_request_and_no_other_series_has_it() {
    let request = |labels: &[&[(&'static str, &'static str)]]| {
        let mut builder = WriteRequestBuilder::new(&ROOMY);
        for labels in labels {
            builder
                .series(labels.iter().copied())
                .unwrap()
                .float(1, 1.0, Life::NONE)
                .unwrap();
        }

        builder.finish()
    };

    let both = request(&[&[("ab", "c")], &[("a", "bc")]]);
    let alone = request(&[&[("a", "bc")]]);

    let mut keys = both.keys(7);
    let first = keys.of(0);
    let second = keys.of(1);

    assert_ne!(first, second);
    assert_eq!(alone.keys(7).of(0), second);
    assert_ne!(alone.keys(8).of(0), second);
}

#[test]
fn a_built_request_is_bounded_as_a_decoded_one_is() {
    let limits = WriteLimits {
        memory_bytes_max: 1 << 10,
    };

    let full = Error::TooMuchMemory { max: 1 << 10 };
    let mut builder = WriteRequestBuilder::new(&limits);
    let mut series = builder.series([("__name__", "a")]).unwrap();
    let floats = (0..1000).try_for_each(|ts_ms| series.float(ts_ms, 0.0, Life::NONE).map(drop));
    assert_eq!(floats, Err(full.clone()));

    let mut builder = WriteRequestBuilder::new(&limits);
    let labels = (0..1000).map(|_| ("a", "b"));
    assert_eq!(builder.series(labels).err(), Some(full.clone()));

    let metadata = (0..1000).try_for_each(|_| builder.metadata("a", MetricType::Gauge, "", ""));
    assert_eq!(metadata, Err(full));
}
