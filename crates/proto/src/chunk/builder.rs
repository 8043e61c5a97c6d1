//! One series cut into chunks.

use duramen_model::{Histogram, ResetHint};

use super::floats::FloatChunk;
use super::histograms::{HistogramChunk, Reset};
use super::{Chunk, Misfit};

/// Takes the samples of one series in the order of time and gives chunks.
///
/// A chunk ends when it is full, and before a sample of another kind. One of histograms also ends
/// before a counter reset, before another layout of buckets, and behind a stale marker. (Prometheus
/// widens a chunk to a layout with more buckets instead of ending it; its readers take either.)
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
    /// Adds a float. Gives the chunk that ends before it.
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

    /// Adds a histogram. Gives the chunk that ends before it.
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

    /// Gives the last chunk; the builder is ready for the next series.
    pub fn finish(&mut self) -> Option<Chunk> {
        match std::mem::take(&mut self.open) {
            Open::Nothing => None,
            Open::Floats(chunk) => Some(chunk.finish()),
            Open::Histograms(chunk) => Some(chunk.finish()),
        }
    }
}
