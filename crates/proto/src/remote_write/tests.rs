use super::*;
use crate::Error;
use crate::wire::put_bytes;

const LIMITS: WriteLimits = WriteLimits {
    memory_bytes_max: 1 << 20,
};

fn request() -> Vec<u8> {
    let mut encoder = WriteRequestEncoder::default();
    encoder.push(
        [("__name__", "up"), ("job", "node")],
        [(1_000, 1.0), (-2, f64::from_bits(0x7ff0_0000_0000_0002))],
    );

    encoder.push([("__name__", "down")], [(5, -0.0)]);
    encoder.finish()
}

#[test]
fn a_request_comes_back_bit_for_bit() {
    let body = request();
    let decoded = WriteRequest::decode_v1(&body, &LIMITS).unwrap();

    assert_eq!(decoded.ts_ms, [1_000, -2, 5]);

    let bits: Vec<u64> = decoded.values.iter().map(|v| v.to_bits()).collect();
    assert_eq!(
        bits,
        [1.0f64.to_bits(), 0x7ff0_0000_0000_0002, (-0.0f64).to_bits()]
    );

    let labels = decoded.labels(0).unwrap();
    assert_eq!(labels, [(&b"__name__"[..], &b"up"[..]), (b"job", b"node")]);
    assert_eq!(decoded.series[1].samples(), 2..3);
}

#[test]
fn labels_behind_the_samples_are_found() {
    let mut series = Vec::new();
    put_bytes(&mut series, 2, &[]);
    put_bytes(&mut series, 1, &[0x0a, 1, b'a', 0x12, 1, b'b']);

    let mut body = Vec::new();
    put_bytes(&mut body, 1, &series);

    let decoded = WriteRequest::decode_v1(&body, &LIMITS).unwrap();
    assert_eq!(decoded.labels(0).unwrap(), [(&b"a"[..], &b"b"[..])]);
}

#[test]
fn labels_with_samples_between_them_differ_by_those_samples_only_in_their_identity() {
    let mut series = Vec::new();
    put_bytes(&mut series, 1, &[0x0a, 1, b'a', 0x12, 1, b'b']);
    put_bytes(&mut series, 2, &[]);
    put_bytes(&mut series, 1, &[0x0a, 1, b'c', 0x12, 1, b'd']);

    let mut body = Vec::new();
    put_bytes(&mut body, 1, &series);

    let decoded = WriteRequest::decode_v1(&body, &LIMITS).unwrap();
    assert_eq!(
        decoded.labels(0).unwrap(),
        [(&b"a"[..], &b"b"[..]), (b"c", b"d")]
    );
}

#[test]
fn metadata_and_exemplars_alone_are_a_request() {
    let mut body = Vec::new();
    put_bytes(&mut body, 3, b"\x08\x01");

    let mut series = Vec::new();
    put_bytes(&mut series, 1, &[0x0a, 1, b'a', 0x12, 1, b'b']);
    put_bytes(&mut series, 3, &[]);
    put_bytes(&mut body, 1, &series);

    let decoded = WriteRequest::decode_v1(&body, &LIMITS).unwrap();
    assert_eq!(
        (
            decoded.series.len(),
            decoded.metadata.len(),
            decoded.exemplars.len()
        ),
        (1, 1, 1)
    );

    assert_eq!(
        (decoded.series[0].samples(), decoded.series[0].exemplars()),
        (0..0, 0..1)
    );
}

#[test]
fn every_cut_of_a_request_is_refused_or_shorter() {
    let body = request();
    let whole = WriteRequest::decode_v1(&body, &LIMITS).unwrap().ts_ms.len();

    for cut in 0..body.len() {
        if let Ok(decoded) = WriteRequest::decode_v1(&body[..cut], &LIMITS) {
            assert!(decoded.ts_ms.len() < whole, "{cut}");
        }
    }
}

#[test]
fn what_a_request_becomes_is_bounded_by_name() {
    let body = request();
    let limits = WriteLimits {
        memory_bytes_max: 3 * 16 + size_of::<Series<'_>>(),
    };
    let error = WriteRequest::decode_v1(&body, &limits).unwrap_err();

    assert_eq!(
        error,
        Error::TooMuchMemory {
            max: limits.memory_bytes_max
        }
    );

    let limits = WriteLimits {
        memory_bytes_max: 3 * 16 + 2 * size_of::<Series<'_>>(),
    };
    assert!(WriteRequest::decode_v1(&body, &limits).is_ok());
}

#[test]
fn hostile_bytes_are_refused_and_never_panic() {
    let hostile: [&[u8]; 7] = [
        &[0x0a],
        &[
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
        &[
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
        ],
        &[0x00],
        &[0x0b],
        &[0x08, 0x01],
        &[0x0a, 0x04, 0x12, 0x02, 0x0d, 0x00],
    ];

    for body in hostile {
        assert!(WriteRequest::decode_v1(body, &LIMITS).is_err(), "{body:?}");
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Ok(request) = WriteRequest::decode_v1(&body, &LIMITS) {
            for at in 0..request.series.len() {
                let _ = request.labels(at);
            }
        }
    }
}
