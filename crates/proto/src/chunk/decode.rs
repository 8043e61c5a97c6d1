//! Chunks read back.

use duramen_model::Histogram;

use super::histograms::Kind;
use super::{Encoding, floats, histograms};

/// The samples of a chunk.
#[derive(Clone, Debug)]
pub enum Decoded {
    Floats(Vec<(i64, f64)>),
    /// The reset hint is what a chunk tells: of the first histogram nothing, of those behind it
    /// that there was no reset, unless they are gauges. Of stale markers, only the sum is there.
    Histograms(Vec<(i64, Histogram)>),
}

/// Reads a chunk. `None` when the bytes are not those of one; never panics. For servers that one
/// trusts: few bytes can say that one large histogram comes 65,535 times.
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
