//! The types that describe a chunk.

/// The maximum number of samples in a chunk.
pub const SAMPLES_MAX: u16 = 120;

/// How the samples of a chunk are packed. The values are the numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
}

impl Encoding {
    /// The encoding for a number on the wire.
    pub const fn of(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Xor),
            2 => Some(Self::Histogram),
            3 => Some(Self::FloatHistogram),
            _ => None,
        }
    }
}

/// A complete chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub encoding: Encoding,
    /// The times of the first and the last sample, both inclusive.
    pub first_ms: i64,
    pub last_ms: i64,
    pub data: Vec<u8>,
}

/// The error for a histogram whose spans and counts have different numbers of buckets. No chunk can
/// hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a histogram's spans and its counts do not fit together")]
pub struct Misfit;
