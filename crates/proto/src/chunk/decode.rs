//! Decodes chunks.

use duramen_model::Histogram;

use super::histograms::Kind;
use super::{Encoding, floats, histograms};

/// The samples of a chunk.
#[derive(Clone, Debug)]
pub enum Decoded {
    Floats(Vec<(i64, f64)>),
    /// A chunk determines the reset hints: unknown for the first histogram, and "no reset" for the
    /// following ones, unless they are gauges. A stale marker has only its sum.
    Histograms(Vec<(i64, Histogram)>),
}

/// Decodes a chunk. Returns `None` when the bytes are not a chunk; it never panics. Use it only
/// with trusted servers, because a few bytes can repeat one large histogram 65,535 times.
pub fn decode(encoding: Encoding, data: &[u8]) -> Option<Decoded> {
    let (samples, data) = data.split_first_chunk()?;
    let samples = u16::from_be_bytes(*samples);

    match encoding {
        Encoding::Xor => floats::decode(samples, data).map(Decoded::Floats),
        Encoding::Histogram => {
            histograms::decode(samples, Kind::Integer, data).map(Decoded::Histograms)
        }
        Encoding::FloatHistogram => {
            histograms::decode(samples, Kind::Float, data).map(Decoded::Histograms)
        }
    }
}
