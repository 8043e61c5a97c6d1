//! The labels `__type__` and `__unit__` of a series of remote write 2.0: as sent, or from its
//! metadata.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use duramen_proto::TypeAndUnitLabels::{AsSent, FromMetadata};
use duramen_proto::{SeriesFault, TypeAndUnitLabels, WriteRequest};
use duramen_testkit::prompb::{Message, Symbols, v2};

use crate::sent::limits;

type Labels<'l> = &'l [(&'l str, &'l str)];

const UNKNOWN: i32 = 0;
const COUNTER: i32 = 1;
const GAUGE_HISTOGRAM: i32 = 4;
/// A type that only later senders know.
const NEW: i32 = 8;

fn series(symbols: &mut Symbols, labels: Labels<'_>, kind: i32, unit: &str) -> v2::TimeSeries {
    let metadata = v2::Metadata {
        r#type: kind,
        unit_ref: symbols.reference(unit),
        ..v2::Metadata::default()
    };

    v2::TimeSeries {
        labels_refs: symbols.labels(labels.iter().copied()),
        samples: vec![v2::Sample::default()],
        metadata: Some(metadata),
        ..v2::TimeSeries::default()
    }
}

fn body(symbols: Symbols, series: Vec<v2::TimeSeries>) -> Vec<u8> {
    v2::Request {
        symbols: symbols.0,
        timeseries: series,
    }
    .encode_to_vec()
}

fn decode(body: &[u8], types: TypeAndUnitLabels) -> WriteRequest<'_> {
    WriteRequest::decode_v2(body, &limits(body), types).unwrap()
}

/// Checks the labels of a series that is sent with labels, a type and a unit.
fn check(sent: Labels<'_>, kind: i32, unit: &str, expected: Labels<'_>) {
    let mut symbols = Symbols::default();
    let series = series(&mut symbols, sent, kind, unit);
    let body = body(symbols, vec![series]);

    for (types, expected) in [(AsSent, sent), (FromMetadata, expected)] {
        let request = decode(&body, types);
        let labels = request.labels(0).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect();

        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();

        assert_eq!(labels, expected, "{types:?}: {sent:?} {kind} {unit}");
        assert_eq!(
            request.labels_count(0),
            expected.len(),
            "{types:?}: {sent:?} {kind} {unit}"
        );
    }
}

#[test]
fn what_the_metadata_knows_stands_in_the_place_of_both_labels() {
    let named = &[("__name__", "m"), ("a", "b")];
    check(named, UNKNOWN, "", named);
    check(named, NEW, "", named);

    check(
        named,
        COUNTER,
        "",
        &[("__name__", "m"), ("a", "b"), ("__type__", "counter")],
    );

    check(
        named,
        UNKNOWN,
        "s",
        &[("__name__", "m"), ("a", "b"), ("__unit__", "s")],
    );

    let both = &[
        ("__name__", "m"),
        ("a", "b"),
        ("__type__", "gaugehistogram"),
        ("__unit__", "s"),
    ];

    check(named, GAUGE_HISTOGRAM, "s", both);

    let typed = &[
        ("__unit__", "x"),
        ("__type__", "y"),
        ("__name__", "m"),
        ("__type__", "z"),
        ("a", "b"),
    ];

    check(typed, UNKNOWN, "", typed);
    check(
        typed,
        COUNTER,
        "",
        &[("__name__", "m"), ("a", "b"), ("__type__", "counter")],
    );

    check(
        typed,
        UNKNOWN,
        "s",
        &[("__name__", "m"), ("a", "b"), ("__unit__", "s")],
    );

    check(typed, GAUGE_HISTOGRAM, "s", both);
}

#[test]
fn a_key_knows_type_and_unit_where_they_become_labels() {
    let named = &[("__name__", "m")];
    let all = [
        (UNKNOWN, ""),
        (COUNTER, ""),
        (GAUGE_HISTOGRAM, ""),
        (UNKNOWN, "s"),
        (COUNTER, "s"),
        (COUNTER, "bytes"),
    ];

    let body_after = |before: &[&str]| {
        let mut symbols = Symbols::default();
        symbols
            .0
            .extend(before.iter().map(|&symbol| symbol.to_owned()));

        let series = all
            .iter()
            .map(|(kind, unit)| series(&mut symbols, named, *kind, unit))
            .collect();

        body(symbols, series)
    };

    let body = body_after(&[]);
    let renumbered = body_after(&["x", "bytes", "y"]);

    let keys = |body: &[u8], types| {
        let request = decode(body, types);
        let mut keys = request.keys(7);
        (0..all.len()).map(|at| keys.of(at)).collect::<Vec<_>>()
    };

    let as_sent = keys(&body, AsSent);
    assert!(as_sent.iter().all(|key| *key == as_sent[0]));

    let from_metadata = keys(&body, FromMetadata);

    for at in 0..all.len() {
        for before in 0..at {
            assert_ne!(
                from_metadata[at], from_metadata[before],
                "{:?} {:?}",
                all[at], all[before]
            );
        }
    }

    assert_eq!(
        from_metadata[0], as_sent[0],
        "nothing is known, so nothing is added"
    );

    assert_eq!(keys(&renumbered, FromMetadata), from_metadata);
}

#[test]
fn series_of_which_nothing_is_kept_do_not_shift_the_types_of_others() {
    let mut symbols = Symbols::default();
    let mut nothing = series(&mut symbols, &[("__name__", "nothing")], COUNTER, "");
    nothing.samples.clear();

    let beyond = u32::MAX;
    let exemplar = v2::Exemplar {
        labels_refs: vec![beyond, beyond],
        ..v2::Exemplar::default()
    };

    let refused_exemplar = v2::TimeSeries {
        exemplars: vec![exemplar],
        ..nothing.clone()
    };

    let last = series(&mut symbols, &[("__name__", "m")], UNKNOWN, "s");
    let body = body(symbols, vec![nothing, refused_exemplar, last]);
    let request = decode(&body, FromMetadata);

    assert_eq!((request.series.len(), request.refused.len()), (1, 2));
    assert_eq!(request.labels(0).unwrap()[1], (&b"__unit__"[..], &b"s"[..]));
}

#[test]
fn a_series_whose_metadata_cannot_be_read_is_refused_where_it_says_which_series_it_is() {
    let mut symbols = Symbols::default();
    let mut series = series(&mut symbols, &[("__name__", "m")], COUNTER, "");
    series.metadata.as_mut().unwrap().unit_ref = 9;

    let body = body(symbols, vec![series]);
    let fault = SeriesFault::NoSuchMetadataSymbol {
        reference: 9,
        symbols: 3,
    };

    for (types, kept, lost) in [(AsSent, 1, 0), (FromMetadata, 0, 1)] {
        let request = decode(&body, types);
        assert_eq!(request.series.len(), kept, "{types:?}");

        let [refused] = &request.refused[..] else {
            unreachable!("one is refused")
        };
        assert_eq!((refused.fault, refused.samples), (fault, lost), "{types:?}");
    }
}
