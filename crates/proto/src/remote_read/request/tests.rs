#![expect(
    clippy::indexing_slicing,
    reason = "the places are within what the test made"
)]

use proptest::prelude::*;

use super::*;
use crate::wire::{put_bytes, put_varint_field};

fn matcher(op: u64, name: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint_field(&mut out, 1, op);
    put_bytes(&mut out, 2, name.as_bytes());
    put_bytes(&mut out, 3, value.as_bytes());

    out
}

/// A query of the range from 1,000 to 2,000 ms.
fn query(matchers: &[Vec<u8>], hints: Option<(i64, i64, &str)>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint_field(&mut out, 1, 1000);
    put_varint_field(&mut out, 2, 2000);

    for matcher in matchers {
        put_bytes(&mut out, 3, matcher);
    }

    if let Some((start_ms, end_ms, function)) = hints {
        let mut message = Vec::new();
        put_bytes(&mut message, 2, function.as_bytes());
        put_varint_field(&mut message, 3, start_ms.cast_unsigned());
        put_varint_field(&mut message, 4, end_ms.cast_unsigned());
        put_bytes(&mut out, 4, &message);
    }

    out
}

fn request(queries: &[Vec<u8>], accepted: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for query in queries {
        put_bytes(&mut out, 1, query);
    }

    if !accepted.is_empty() {
        put_bytes(&mut out, 2, accepted);
    }

    out
}

fn decode(body: &[u8]) -> Result<ReadRequest, Error> {
    ReadRequest::decode(
        body,
        &ReadLimits {
            queries_max: 3,
            matchers_max: 4,
        },
        &Regexes::default(),
    )
}

fn one(hints: Option<(i64, i64, &str)>) -> ReadQuery {
    decode(&request(&[query(&[matcher(0, "a", "b")], hints)], &[]))
        .unwrap()
        .queries
        .remove(0)
}

#[test]
fn a_request_says_what_is_asked_for() {
    let matchers = [
        matcher(0, "a", "1"),
        matcher(1, "b", "2"),
        matcher(2, "c", "3|4"),
        matcher(3, "d", "5.*"),
    ];

    let read = decode(&request(&[query(&matchers, None)], &[1, 0])).unwrap();
    assert_eq!(read.response, ResponseType::StreamedXorChunks);

    let [query] = &*read.queries else {
        panic!("{read:?}")
    };
    assert_eq!(
        (query.range, query.wanted),
        (TimeRange::closed(1000, 2000), Wanted::Samples)
    );

    let texts: Vec<_> = query.matchers.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [r#"a="1""#, r#"b!="2""#, r#"c=~"3|4""#, r#"d!~"5.*""#]
    );
}

#[test]
fn hints_narrow_the_range_and_may_ask_for_series_only() {
    assert_eq!(
        one(Some((1500, 2500, "rate"))).range,
        TimeRange::closed(1500, 2000)
    );

    assert_eq!(one(Some((3000, 4000, "rate"))).range, None);
    assert_eq!(
        one(Some((0, 0, "rate"))).range,
        TimeRange::closed(1000, 2000)
    );

    assert_eq!(one(Some((1500, 1500, "series"))).wanted, Wanted::Series);
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let mut message = Vec::new();
    put_varint_field(&mut message, 1, 2000);
    put_varint_field(&mut message, 2, 1999);

    assert_eq!(
        decode(&request(&[message], &[]))
            .unwrap()
            .queries
            .remove(0)
            .range,
        None
    );
}

#[test]
fn the_first_accepted_form_that_exists_is_taken() {
    let response =
        |accepted: &[u8]| decode(&request(&[], accepted)).map(|request| request.response);
    assert_eq!(response(&[]), Ok(ResponseType::Samples));
    assert_eq!(response(&[7, 0, 1]), Ok(ResponseType::Samples));
    assert_eq!(
        response(&[7, 8]),
        Err(Error::NoResponseType { asked: vec![7, 8] })
    );

    let mut alone = Vec::new();
    put_varint_field(&mut alone, 2, 1);

    assert_eq!(
        decode(&alone).unwrap().response,
        ResponseType::StreamedXorChunks
    );
}

#[test]
fn more_queries_or_matchers_than_allowed_are_refused_by_the_limit_s_name() {
    let error = decode(&request(&vec![Vec::new(); 4], &[])).unwrap_err();
    assert!(
        error.to_string().contains("read_queries_max=`3`"),
        "{error}"
    );

    let matchers = |count| query(&vec![matcher(0, "a", "b"); count], None);
    assert!(decode(&request(&[matchers(2), matchers(2)], &[])).is_ok());

    let error = decode(&request(&[matchers(2), matchers(3)], &[])).unwrap_err();
    assert!(
        error.to_string().contains("read_matchers_max=`4`"),
        "{error}"
    );
}

#[test]
fn matchers_that_mean_nothing_are_refused() {
    for (bad, part) in [
        (matcher(4, "a", "b"), "invalid matcher type"),
        (matcher(2, "a", "("), "label=`a`"),
        (vec![0x12, 1, 0xff], "UTF-8"),
    ] {
        let error = decode(&request(&[query(&[bad], None)], &[])).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&body);
    }

    #[test]
    fn a_damaged_body_is_read_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
        let mut body = request(&[query(&[matcher(2, "a", "b|c")], Some((1, 2, "rate")))], &[1, 0]);
        let at = at.index(body.len());
        body[at] = byte;

        let _ = decode(&body);
        let _ = decode(&body[..at]);
    }
}
