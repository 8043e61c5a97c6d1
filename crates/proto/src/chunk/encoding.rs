//! What a chunk is.

/// The most samples of a chunk.
pub const SAMPLES_MAX: u16 = 120;

/// How the samples of a chunk are packed. The numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Native histograms of integer counts.
    Histogram = 2,
    /// Native histograms of float counts.
    FloatHistogram = 3,
}

impl Encoding {
    /// The encoding of a number of the wire.
    pub const fn of(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Xor),
            2 => Some(Self::Histogram),
            3 => Some(Self::FloatHistogram),
            _ => None,
        }
    }
}

/// A chunk that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub encoding: Encoding,
    /// The times of the first and the last sample.
    pub first_ms: i64,
    pub last_ms: i64,
    pub data: Vec<u8>,
}

/// A histogram whose spans do not name as many buckets as it has counts. No chunk can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a histogram's spans and its counts do not fit together")]
pub struct Misfit;
