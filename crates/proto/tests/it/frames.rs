//! The frames of a streamed answer.

#![expect(
    clippy::unwrap_used,
    reason = "a frame that cannot be read fails its test"
)]

use duramen_model::Labels;
use duramen_proto::chunk::{Chunk, Encoding};
use duramen_proto::remote_read::answer::read_frames;
use duramen_proto::remote_read::{FRAME_BYTES, SeriesFrames};
use proptest::prelude::*;

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("Zone", "zürich"), ("le", "+Inf")]).unwrap()
}

/// All frames of one series.
fn frames(query: usize, name: &str, chunks: &[Chunk]) -> Vec<Vec<u8>> {
    let mut series = SeriesFrames::begin(query, labels(name).encoded());
    let mut frames: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| series.push(chunk))
        .collect();

    frames.extend(series.finish());
    frames
}

fn chunk(bytes: usize) -> Chunk {
    Chunk {
        encoding: Encoding::FloatHistogram,
        first_ms: -5,
        last_ms: 0,
        data: vec![7; bytes],
    }
}

#[test]
fn a_series_without_chunks_has_no_frame() {
    assert_eq!(frames(0, "a", &[]), Vec::<Vec<u8>>::new());
}

#[test]
fn a_long_series_stands_in_several_frames_of_about_a_mebibyte() {
    let chunks = vec![chunk(1000); 5000];
    let frames = frames(0, "a", &chunks);
    let sizes: Vec<_> = frames.iter().map(Vec::len).collect();

    assert_eq!(sizes.len(), 5, "{sizes:?}");
    assert!(
        sizes[..4]
            .iter()
            .all(|size| (FRAME_BYTES..FRAME_BYTES + 2000).contains(size)),
        "{sizes:?}"
    );

    let read = read_frames(&frames.concat()).unwrap();
    assert!(read.iter().all(|frame| frame.labels == read[0].labels));

    assert_eq!(
        read.into_iter()
            .flat_map(|frame| frame.chunks)
            .collect::<Vec<_>>(),
        chunks
    );
}

#[test]
fn a_damaged_frame_is_not_read() {
    let whole = frames(1, "a", &[chunk(10)]).concat();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;

        assert!(read_frames(&damaged).is_err(), "byte {at}");
        assert!(at == 0 || read_frames(&whole[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn frames_are_read_as_they_were_made(series in prop::collection::vec((0..9usize, "[a-z]{1,9}", prop::collection::vec(0..300usize, 1..9)), 0..5)) {
        let mut bytes = Vec::new();
        for (query, name, sizes) in &series {
            let chunks: Vec<_> = sizes.iter().map(|size| chunk(*size)).collect();
            bytes.extend(frames(*query, name, &chunks).concat());
        }

        let read = read_frames(&bytes).unwrap();
        prop_assert_eq!(read.len(), series.len());

        for (frame, (query, name, sizes)) in read.into_iter().zip(series) {
            prop_assert_eq!(frame.query, query as u64);

            let expected = labels(&name);
            let pairs: Vec<_> = frame.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

            prop_assert_eq!(pairs, expected.iter().collect::<Vec<_>>());
            prop_assert_eq!(frame.chunks, sizes.into_iter().map(chunk).collect::<Vec<_>>());
        }
    }

    #[test]
    fn any_bytes_are_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read_frames(&bytes);
    }
}
