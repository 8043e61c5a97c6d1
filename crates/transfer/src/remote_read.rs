//! Remote read: the samples of a running server, as a run.
//!
//! [`request`] asks for a window of time, and [`run`] takes the answer: streamed chunks or, from an
//! old server, samples.

use duramen_model::{Histogram, METRIC_NAME, MatchOp, Matcher, TimeRange};
use duramen_proto::chunk::{Decoded, decode};
use duramen_proto::remote_read::answer::{LabelPairs, read_frames, read_response};
use duramen_proto::snappy;
use duramen_proto::wire::{put_bytes, put_varint_field};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;
use crate::labels;
use crate::run::{Run, RunBuilder};

/// The content type of a streamed answer.
const STREAMED: &str = "application/x-streamed-protobuf";
/// `STREAMED_XOR_CHUNKS` and `SAMPLES`, packed, the one that is wanted first.
const ACCEPTED: [u8; 2] = [1, 0];

/// Returns the compressed message that asks for the samples of a window.
pub fn request(matchers: &[Matcher], window: TimeRange) -> Vec<u8> {
    let mut query = Vec::new();
    let last_ms = window.end_ms().saturating_sub(1);
    put_varint_field(&mut query, 1, window.start_ms().cast_unsigned());
    put_varint_field(&mut query, 2, last_ms.cast_unsigned());

    for matcher in matchers {
        put_bytes(&mut query, 3, &message_of(matcher));
    }

    if matchers.is_empty() {
        // A query has at least one matcher. Each series has a name.
        let any = Matcher::not_equal(METRIC_NAME, "");
        put_bytes(&mut query, 3, &message_of(&any));
    }

    let mut message = Vec::new();
    put_bytes(&mut message, 1, &query);
    put_bytes(&mut message, 2, &ACCEPTED);
    snappy::compress(&message)
}

fn message_of(matcher: &Matcher) -> Vec<u8> {
    let (kind, value) = match &matcher.op {
        MatchOp::Equal(value) => (0, &**value),
        MatchOp::NotEqual(value) => (1, &**value),
        MatchOp::Regex(regex) => (2, regex.pattern()),
        MatchOp::NotRegex(regex) => (3, regex.pattern()),
    };

    let mut message = Vec::new();
    put_varint_field(&mut message, 1, kind);
    put_bytes(&mut message, 2, matcher.name.as_bytes());
    put_bytes(&mut message, 3, value.as_bytes());
    message
}

/// Takes an answer. `source` says where it is from: it and the window tell runs apart.
pub fn run(
    content_type: &str,
    body: &[u8],
    bytes_max: usize,
    source: &str,
    window: TimeRange,
) -> Result<Run, Error> {
    let refused = |what: String| Error::unfit(format!("the answer to a remote read: {what}"));
    let mut builder = RunBuilder::default();

    if content_type.starts_with(STREAMED) {
        let frames = read_frames(body).map_err(|error| refused(error.to_string()))?;

        for frame in frames {
            let series = series(&mut builder, &frame.labels).map_err(refused)?;

            for chunk in &frame.chunks {
                let decoded = decode(chunk.encoding, &chunk.data);
                let decoded = decoded.ok_or_else(|| refused("a chunk is damaged".to_owned()))?;
                take(&mut builder, series, decoded, window);
            }
        }
    } else {
        let message = snappy::decompress(body, bytes_max);
        let message = message.map_err(|error| refused(error.to_string()))?;
        let results = read_response(&message).map_err(|error| refused(error.to_string()))?;

        for answered in results.into_iter().flatten() {
            let series = series(&mut builder, &answered.labels).map_err(refused)?;
            take(
                &mut builder,
                series,
                Decoded::Floats(answered.floats),
                window,
            );
            take(
                &mut builder,
                series,
                Decoded::Histograms(answered.histograms),
                window,
            );
        }
    }

    let mut run = builder.run;
    let named = format!("{source} {} {}", window.start_ms(), window.end_ms());
    run.bytes = body.len() as u64;
    run.digest = xxh3_128(named.as_bytes());
    Ok(run)
}

fn series(builder: &mut RunBuilder, pairs: &LabelPairs) -> Result<u32, String> {
    let mut text = Vec::new();

    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }

    builder.series(&text, || {
        labels::checked(pairs.iter().map(|(name, value)| (&**name, &**value)))
    })
}

/// Takes the samples that are in the window. A chunk may have more.
fn take(builder: &mut RunBuilder, series: u32, decoded: Decoded, window: TimeRange) {
    match decoded {
        Decoded::Floats(samples) => {
            for (ts_ms, value) in samples {
                if window.contains(ts_ms) {
                    builder.float(series, ts_ms, value);
                }
            }
        }
        Decoded::Histograms(samples) => {
            for (ts_ms, histogram) in samples {
                let histogram: Histogram = histogram;

                if window.contains(ts_ms) {
                    builder.histogram(series, ts_ms, histogram.to_bytes());
                }
            }
        }
    }
}
