//! Answers of a real Prometheus are decoded, and encoded again byte for byte.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a recording that cannot be read fails its test"
)]

use duramen_model::{Labels, Regexes, TimeRange};
use duramen_proto::chunk::{Chunk, ChunkBuilder, Decoded, decode};
use duramen_proto::remote_read::answer::{LabelPairs, read_frames, read_response};
use duramen_proto::remote_read::{
    ReadLimits, ReadRequest, ReadResponseEncoder, ResponseType, SeriesFrames, TimeSeriesEncoder,
};
use duramen_proto::snappy;
use duramen_testkit::shared;

fn file(name: &str) -> Option<Vec<u8>> {
    let path = shared::path(&format!(
        "conformance/prometheus-2.42-answers/remote-read/{name}"
    ))?;
    Some(std::fs::read(path).unwrap())
}

fn encoded(labels: &LabelPairs) -> Labels {
    Labels::from_pairs(
        labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
    .unwrap()
}

/// Checks that the samples of a recorded chunk make the same chunk. (At the end of its two hours,
/// Prometheus writes some chunks with more samples than ours have. For those, only the beginning is
/// the same.)
fn assert_made_again(recorded: &Chunk) {
    let Some(Decoded::Floats(floats)) = decode(recorded.encoding, &recorded.data) else {
        panic!("{recorded:?}")
    };
    let mut builder = ChunkBuilder::default();
    let first = floats
        .iter()
        .find_map(|(ts_ms, value)| builder.push_float(*ts_ms, *value));

    match first {
        None => assert_eq!(builder.finish().as_ref(), Some(recorded)),
        Some(first) => {
            // The first two bytes are the count, and the last byte also has bits of the next
            // sample.
            let same = 2..first.data.len() - 1;
            assert_eq!(first.data[same.clone()], recorded.data[same]);
        }
    }
}

#[test]
fn streamed_answers_are_made_again_byte_for_byte() {
    for name in [
        "streamed_xor.response.bin",
        "streamed_then_samples_preference.response.bin",
    ] {
        let Some(recorded) = file(name) else { return };
        let frames = read_frames(&recorded).unwrap();
        assert!(frames.len() >= 3, "{name}: {} frames", frames.len());
        let mut made = Vec::new();
        for frame in frames {
            let mut series = SeriesFrames::begin(0, encoded(&frame.labels).encoded());
            for chunk in frame.chunks {
                assert_made_again(&chunk);
                made.extend(series.push(&chunk).into_iter().flatten());
            }

            made.extend(series.finish().into_iter().flatten());
        }
        assert_eq!(made, recorded, "{name}");
    }
}

#[test]
fn answers_of_samples_are_made_again_byte_for_byte() {
    for name in ["samples_default", "samples_two_queries", "empty_result"] {
        let Some(recorded) = file(&format!("{name}.response.decoded.pb")) else {
            return;
        };
        let mut response = ReadResponseEncoder::default();

        for result in read_response(&recorded).unwrap() {
            let messages: Vec<Vec<u8>> = result
                .iter()
                .map(|series| {
                    let mut message = Vec::new();
                    let mut encoder =
                        TimeSeriesEncoder::begin(&mut message, encoded(&series.labels).encoded());

                    for (ts_ms, value) in &series.floats {
                        encoder.push_float(*ts_ms, *value);
                    }

                    message
                })
                .collect();

            response.push_result(messages.iter().map(Vec::as_slice));
        }

        assert_eq!(response.finish(), recorded, "{name}");
    }
}

#[test]
fn recorded_requests_are_read() {
    let decode = |name: &str| {
        let body = file(&format!("{name}.request.snappy"))?;
        Some(ReadRequest::decode(
            &snappy::decompress(&body, 1 << 20).unwrap(),
            &ReadLimits::default(),
            &Regexes::default(),
        ))
    };

    let Some(one) = decode("samples_two_queries") else {
        return;
    };
    let one = one.unwrap();

    let queries: Vec<_> = one
        .queries
        .iter()
        .map(|query| (query.range, format!("{:?}", query.matchers.len())))
        .collect();

    assert_eq!(one.response, ResponseType::Samples);
    assert_eq!(
        queries[0],
        (
            TimeRange::closed(1_700_000_000_000, 1_700_000_030_000),
            "1".to_owned()
        )
    );

    assert_eq!(queries[1].1, "2");
    assert_eq!(
        decode("streamed_xor").unwrap().unwrap().response,
        ResponseType::StreamedXorChunks
    );

    let error = decode("unknown_response_type").unwrap().unwrap_err();
    let text = String::from_utf8(file("unknown_response_type.response.bin").unwrap()).unwrap();

    assert_eq!(format!("{error}\n"), text);
}
