use super::*;

fn request() -> Vec<u8> {
    let mut encoder = WriteRequestEncoder::default();
    encoder.push([("__name__", "up"), ("job", "node")], [(1_000, 1.0), (-2, f64::from_bits(0x7ff0_0000_0000_0002))]);
    encoder.push([("__name__", "down")], [(5, -0.0)]);
    encoder.finish()
}

#[test]
fn a_request_comes_back_bit_for_bit() {
    let body = request();
    let decoded = WriteRequest::decode(&body, &WriteLimits::default()).unwrap();
    assert_eq!(decoded.ts_ms, [1_000, -2, 5]);
    let bits: Vec<u64> = decoded.values.iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [1.0f64.to_bits(), 0x7ff0_0000_0000_0002, (-0.0f64).to_bits()]);
    let labels = decoded.series[0].labels.decode().unwrap();
    assert_eq!(labels, [(&b"__name__"[..], &b"up"[..]), (b"job", b"node")]);
    assert_eq!((decoded.series[1].samples_start, decoded.series[1].samples_end), (2, 3));
}

#[test]
fn labels_behind_the_samples_are_found() {
    let mut series = Vec::new();
    put_bytes(&mut series, 2, &[]);
    put_bytes(&mut series, 1, &[0x0a, 1, b'a', 0x12, 1, b'b']);
    let mut body = Vec::new();
    put_bytes(&mut body, 1, &series);
    let decoded = WriteRequest::decode(&body, &WriteLimits::default()).unwrap();
    assert_eq!(decoded.series[0].labels.decode().unwrap(), [(&b"a"[..], &b"b"[..])]);
}

#[test]
fn labels_with_samples_between_them_differ_by_those_samples_only_in_their_identity() {
    let mut series = Vec::new();
    put_bytes(&mut series, 1, &[0x0a, 1, b'a', 0x12, 1, b'b']);
    put_bytes(&mut series, 2, &[]);
    put_bytes(&mut series, 1, &[0x0a, 1, b'c', 0x12, 1, b'd']);
    let mut body = Vec::new();
    put_bytes(&mut body, 1, &series);
    let decoded = WriteRequest::decode(&body, &WriteLimits::default()).unwrap();
    assert_eq!(decoded.series[0].labels.decode().unwrap(), [(&b"a"[..], &b"b"[..]), (b"c", b"d")]);
}

#[test]
fn metadata_and_exemplars_alone_are_a_request() {
    let mut body = Vec::new();
    put_bytes(&mut body, 3, b"\x08\x01");
    let mut series = Vec::new();
    put_bytes(&mut series, 1, &[0x0a, 1, b'a', 0x12, 1, b'b']);
    put_bytes(&mut series, 3, &[]);
    put_bytes(&mut body, 1, &series);
    let decoded = WriteRequest::decode(&body, &WriteLimits::default()).unwrap();
    assert_eq!((decoded.series.len(), decoded.metadata, decoded.exemplars), (0, 1, 1));
}

#[test]
fn every_cut_of_a_request_is_refused_or_shorter() {
    let body = request();
    let whole = WriteRequest::decode(&body, &WriteLimits::default()).unwrap().ts_ms.len();
    for cut in 0..body.len() {
        if let Ok(decoded) = WriteRequest::decode(&body[..cut], &WriteLimits::default()) {
            assert!(decoded.ts_ms.len() < whole, "{cut}");
        }
    }
}

#[test]
fn samples_and_series_are_bounded_by_name() {
    let limits = WriteLimits { series_max: 1, samples_max: 2 };
    let body = request();
    let error = WriteRequest::decode(&body, &limits).unwrap_err();
    assert_eq!(error, Error::TooManySamples { max: 2 });
    let limits = WriteLimits { series_max: 1, samples_max: 9 };
    assert_eq!(WriteRequest::decode(&body, &limits).unwrap_err(), Error::TooManySeries { max: 1 });
}

#[test]
fn hostile_bytes_are_refused_and_never_panic() {
    let hostile: [&[u8]; 7] = [
        &[0x0a],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        &[0x00],
        &[0x0b],
        &[0x08, 0x01],
        &[0x0a, 0x04, 0x12, 0x02, 0x0d, 0x00],
    ];
    for body in hostile {
        assert!(WriteRequest::decode(body, &WriteLimits::default()).is_err(), "{body:?}");
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Ok(request) = WriteRequest::decode(&body, &WriteLimits::default()) {
            for series in &request.series {
                let _ = series.labels.decode();
            }
        }
    }
}
