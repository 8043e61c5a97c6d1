//! Cuts a series into chunks.

use duramen_model::{Histogram, ResetHint};

use super::floats::FloatChunk;
use super::histograms::{HistogramChunk, Reset};
use super::{Chunk, Misfit};

/// Takes the samples of one series in time order and returns chunks.
///
/// A chunk ends when it is full, and before a sample of another kind. A chunk of histograms also
/// ends before a counter reset, before a different layout of buckets, and after a stale marker.
/// (Prometheus does not end a chunk when buckets are added, but widens its layout. Its readers
/// accept both.)
#[derive(Clone, Debug, Default)]
pub struct ChunkBuilder {
    open: Open,
}

#[derive(Clone, Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Floats(FloatChunk),
    Histograms(Box<HistogramChunk>),
}

impl ChunkBuilder {
    /// Adds a float. Returns the previous chunk if it ends before the float.
    pub fn push_float(&mut self, ts_ms: i64, value: f64) -> Option<Chunk> {
        if let Open::Floats(chunk) = &mut self.open
            && !chunk.is_full()
        {
            chunk.push(ts_ms, value);
            return None;
        }

        let ended = self.finish();
        self.open = Open::Floats(FloatChunk::begin(ts_ms, value));
        ended
    }

    /// Adds a histogram. Returns the previous chunk if it ends before the histogram.
    pub fn push_histogram(
        &mut self,
        ts_ms: i64,
        histogram: &Histogram,
    ) -> Result<Option<Chunk>, Misfit> {
        let reset = match &mut self.open {
            Open::Histograms(chunk) => match chunk.takes(histogram) {
                Ok(()) if !chunk.is_full() => {
                    chunk.push(ts_ms, histogram);
                    return Ok(None);
                }
                Ok(()) if histogram.hint == ResetHint::Gauge => Reset::Gauge,
                Ok(()) => Reset::No,
                Err(reset) => reset,
            },
            Open::Nothing | Open::Floats(_) => match histogram.hint {
                ResetHint::Gauge => Reset::Gauge,
                ResetHint::Reset => Reset::Yes,
                ResetHint::Unknown | ResetHint::NotReset => Reset::Unknown,
            },
        };

        let next = HistogramChunk::begin(ts_ms, histogram, reset)?;
        let ended = self.finish();
        self.open = Open::Histograms(Box::new(next));

        Ok(ended)
    }

    /// Returns the last chunk. The builder is then ready for the next series.
    pub fn finish(&mut self) -> Option<Chunk> {
        match std::mem::take(&mut self.open) {
            Open::Nothing => None,
            Open::Floats(chunk) => Some(chunk.finish()),
            Open::Histograms(chunk) => Some(chunk.finish()),
        }
    }
}
