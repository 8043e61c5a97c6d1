//! A batch whose samples its receiver decodes, piece by piece.

use std::fmt;
use std::pin::Pin;

use futures::{Stream, StreamExt};

use crate::answer::SeriesStream;
use crate::batch::SeriesBatch;
use crate::error::Error;

/// Decodes the next piece. It is called once for each piece.
type Decode = Box<dyn FnMut() -> Result<SeriesBatch, Error> + Send>;

/// A stream of batches that are not decoded, in the order of [`SeriesStream`].
pub type UndecodedStream = Pin<Box<dyn Stream<Item = Result<UndecodedBatch, Error>> + Send>>;

/// A batch whose bytes are in memory, but not its samples.
///
/// The receiver decodes it on its own thread. A piece fits into the cache of a core, so samples are
/// used before they leave it.
pub struct UndecodedBatch {
    series: usize,
    /// How many pieces are left.
    left: usize,
    decode: Decode,
}

impl fmt::Debug for UndecodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndecodedBatch")
            .field("series", &self.series)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl UndecodedBatch {
    /// Makes a batch of `series` series, which `decode` returns in so many `pieces`.
    pub fn new(
        series: usize,
        pieces: usize,
        decode: impl FnMut() -> Result<SeriesBatch, Error> + Send + 'static,
    ) -> Self {
        Self {
            series,
            left: pieces,
            decode: Box::new(decode),
        }
    }

    /// Makes a batch of one piece that is decoded.
    pub fn decoded(batch: SeriesBatch) -> Self {
        Self::new(batch.len(), 1, move || Ok(batch.clone()))
    }

    /// The number of series in all pieces.
    pub const fn series(&self) -> usize {
        self.series
    }

    /// Decodes the next piece. All but the last say that the batch goes on
    /// ([`SeriesBatch::goes_on`]). `None` behind the last piece.
    pub fn next_piece(&mut self) -> Option<Result<SeriesBatch, Error>> {
        self.left = self.left.checked_sub(1)?;
        let goes_on = self.left > 0;
        Some((self.decode)().map(|piece| piece.going_on(goes_on)))
    }
}

/// Returns decoded batches as a stream of batches to decode.
pub fn as_undecoded(batches: SeriesStream) -> UndecodedStream {
    Box::pin(batches.map(|batch| batch.map(UndecodedBatch::decoded)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeriesBatchBuilder;

    fn batch(label: &[u8]) -> SeriesBatch {
        let mut builder = SeriesBatchBuilder::default();
        builder.end_series(label);
        builder.finish()
    }

    #[test]
    fn a_batch_goes_on_until_its_last_piece() {
        let mut at = 0;
        let mut batch = UndecodedBatch::new(3, 3, move || {
            at += 1;
            Ok(batch(&[at]))
        });

        let mut pieces = Vec::new();
        while let Some(piece) = batch.next_piece() {
            let piece = piece.expect("decodes");
            pieces.push((piece.labels_at(0)[0], piece.goes_on()));
        }

        assert_eq!(pieces, [(1, true), (2, true), (3, false)]);
    }

    #[test]
    fn a_piece_keeps_its_mark_as_a_record_batch() {
        for goes_on in [false, true] {
            let record = batch(b"a").going_on(goes_on).into_record_batch();
            let piece = SeriesBatch::from_record_batch(record).expect("a batch of series");
            assert_eq!(piece.goes_on(), goes_on);
            assert!(!piece.going_on(false).goes_on());
        }
    }
}
