//! The decoders of remote write agree with prost, which uses only the public definitions. Bytes
//! that are not a request do no harm.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use duramen_model::MetricType;
use duramen_proto::{SentMetadata, TypeAndUnitLabels, WriteRequest, wire};
use duramen_testkit::prompb::{Message, v1, v2};
use proptest::prelude::*;

use crate::sent::{Seen, Sending, all_seen, decode_v2, limits, request_v1, request_v2, sendings};

fn seen_v1(body: &[u8]) -> Vec<Seen> {
    all_seen(&WriteRequest::decode_v1(body, &limits(body)).unwrap())
}

fn seen_v2(body: &[u8]) -> Vec<Seen> {
    all_seen(&decode_v2(body).unwrap())
}

fn expected(sending: &[Sending]) -> impl Iterator<Item = Seen> {
    sending
        .iter()
        .filter(|series| !series.is_empty())
        .map(Sending::seen)
}

/// Fields of each wire type that no definition has.
fn unknown_fields(number: u32) -> Vec<u8> {
    let mut fields = Vec::new();
    wire::put_varint_field(&mut fields, number, u64::MAX);
    wire::put_fixed64(&mut fields, number + 1, 7);
    wire::put_bytes(&mut fields, number + 2, b"\xff\xff");

    fields
}

/// Checks that a request is not larger than its limit, and that every part of it can be read.
fn walk(request: &WriteRequest<'_>, memory_bytes_max: usize) {
    let columns =
        request.ts_ms.len() * 16 + request.lives.len() * 16 + size_of_val(&request.series[..]);
    let others = size_of_val(&request.histograms[..]) + size_of_val(&request.exemplars[..]);
    let rest = size_of_val(&request.metadata[..]) + size_of_val(&request.refused[..]);

    assert!(columns + others + rest <= memory_bytes_max);

    let mut keys = request.keys(1);
    for (at, series) in request.series.iter().enumerate() {
        keys.of(at);

        let labels = request.labels(at);
        assert!(labels.is_err() || labels.unwrap().len() == request.labels_count(at));
        assert!(series.samples().end <= request.ts_ms.len());
    }

    for histogram in &request.histograms {
        assert!(histogram.decode().unwrap().positive_spans.len() <= histogram.buckets);
    }

    for exemplar in &request.exemplars {
        let _ = request.exemplar_labels(exemplar);
    }

    for refused in &request.refused {
        assert!(request.show_refused(refused).to_string().len() < 4096);
    }
}

fn walk_all(body: &[u8]) {
    let limits = limits(body);
    let as_sent = WriteRequest::decode_v2(body, &limits, TypeAndUnitLabels::AsSent);
    let from_metadata = WriteRequest::decode_v2(body, &limits, TypeAndUnitLabels::FromMetadata);

    for request in [
        WriteRequest::decode_v1(body, &limits),
        as_sent,
        from_metadata,
    ]
    .into_iter()
    .flatten()
    {
        walk(&request, limits.memory_bytes_max);
    }
}

proptest! {
    #[test]
    fn every_message_of_remote_write_one_is_read_as_it_was_meant(sending in sendings()) {
        let seen: Vec<Seen> = expected(&sending).map(Seen::without_starts).collect();
        prop_assert_eq!(seen_v1(&request_v1(&sending).encode_to_vec()), seen);
    }

    #[test]
    fn every_message_of_remote_write_two_is_read_as_it_was_meant(sending in sendings()) {
        let sending: Vec<Sending> = sending.into_iter().filter(|series| !series.is_empty()).collect();
        let body = request_v2(&sending, &[]).encode_to_vec();
        let request = decode_v2(&body).unwrap();

        prop_assert!(request.refused.is_empty());
        prop_assert_eq!(all_seen(&request), expected(&sending).collect::<Vec<_>>());
    }

    #[test]
    fn both_versions_carry_the_same(sending in sendings()) {
        let one = seen_v1(&request_v1(&sending).encode_to_vec());
        let two: Vec<Seen> =
            seen_v2(&request_v2(&sending, &[]).encode_to_vec()).into_iter().map(Seen::without_starts).collect();

        prop_assert_eq!(one, two);
    }

    #[test]
    fn what_later_senders_add_is_skipped(sending in sendings()) {
        // A request that has only the unknown fields is refused.
        prop_assume!(sending.iter().any(|series| !series.is_empty()));

        let mut one = unknown_fields(8000);
        let mut two = unknown_fields(8000);

        for series in &sending {
            let series = [series.v1().encode_to_vec(), unknown_fields(8000)].concat();
            wire::put_bytes(&mut one, 1, &series);
        }

        prop_assert_eq!(seen_v1(&one), seen_v1(&request_v1(&sending).encode_to_vec()));

        let request = request_v2(&sending, &[]);

        // The symbols come after the series.
        for series in &request.timeseries {
            wire::put_bytes(&mut two, 5, &[series.encode_to_vec(), unknown_fields(8000)].concat());
        }

        two.extend(v2::Request { symbols: request.symbols.clone(), timeseries: Vec::new() }.encode_to_vec());
        prop_assert_eq!(seen_v2(&two), seen_v2(&request.encode_to_vec()));
    }

    #[test]
    fn a_series_keeps_its_key_when_the_symbols_are_numbered_anew(sending in sendings(), before in prop::collection::vec("[a-z]{1,4}", 0..9)) {
        let here = request_v2(&sending, &[]).encode_to_vec();
        let there = request_v2(&sending, &before).encode_to_vec();
        let here = decode_v2(&here).unwrap();
        let there = decode_v2(&there).unwrap();
        let mut keys = here.keys(7);
        let mut others = there.keys(7);

        for at in 0..here.series.len() {
            prop_assert_eq!(keys.of(at), others.of(at));

            for before in 0..at {
                prop_assert_eq!(keys.of(at) == keys.of(before), here.labels(at) == here.labels(before));
            }
        }
    }

    #[test]
    fn metadata_of_remote_write_one_is_read_as_it_was_meant(sent in prop::collection::vec((0..9i32, ".{0,9}", ".{0,9}", ".{0,5}"), 0..5)) {
        let message = |(kind, family, help, unit): &(i32, String, String, String)| v1::MetricMetadata {
            r#type: *kind,
            metric_family_name: family.clone(),
            help: help.clone(),
            unit: unit.clone(),
        };

        let body = v1::WriteRequest { timeseries: Vec::new(), metadata: sent.iter().map(message).collect() }.encode_to_vec();
        let request = WriteRequest::decode_v1(&body, &limits(&body)).unwrap();

        let expected: Vec<SentMetadata<'_>> = sent
            .iter()
            .map(|(kind, family, help, unit)| SentMetadata {
                family: family.as_bytes(),
                // Type 8 does not exist yet.
                kind: MetricType::numbered(u64::try_from(*kind).unwrap()),
                help: help.as_bytes(),
                unit: unit.as_bytes(),
            })
            .collect();

        prop_assert_eq!(request.metadata, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        walk_all(&body);
    }

    #[test]
    fn a_request_with_bytes_changed_or_cut_off_is_read_or_refused(
        sending in sendings(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for mut body in [request_v1(&sending).encode_to_vec(), request_v2(&sending, &[]).encode_to_vec()] {
            if body.is_empty() {
                continue;
            }

            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }

            walk_all(&body);
            body.truncate(cut.index(body.len()));
            walk_all(&body);
        }
    }
}
