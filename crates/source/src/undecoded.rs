//! Batches whose samples their receiver decodes, piece by piece.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::answer::SeriesStream;
use crate::batch::SeriesBatch;
use crate::error::Error;

/// How many samples are decoded together: half a megabyte, which fits into the cache of a core.
pub const PIECE_SAMPLES: u64 = 32 << 10;
/// How many samples a receiver takes at a time of series that came together. A few shares of a
/// selection of one metric keep all cores busy, and all are equally large.
const SHARE_SAMPLES: u64 = 256 << 10;
/// A histogram counts as this many floats, which are 256 bytes.
const HISTOGRAM_SAMPLES: usize = 16;

/// A stream of batches that are not decoded, in the order of [`SeriesStream`].
pub type UndecodedStream = Pin<Box<dyn Stream<Item = Result<UndecodedBatch, Error>> + Send>>;

/// The series of a batch. Their labels and the bytes of their samples are in memory, but their
/// samples are not decoded.
pub trait UndecodedSeries: fmt::Debug + Send + Sync {
    /// The encoded labels of all series, in order.
    fn labels(&self) -> &BinaryArray;

    /// The number of series.
    fn count(&self) -> usize {
        self.labels().len()
    }

    /// How many samples the series at `row` has at most. A histogram counts as several.
    fn weight(&self, row: usize) -> u64;

    /// How many bytes are in memory that the source has not taken from an account.
    fn untaken_bytes(&self) -> usize;

    /// Returns a decoder of these series. Several may decode at the same time.
    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder>;
}

/// Decodes series. It keeps what the next series need.
pub trait SeriesDecoder: Send {
    /// Decodes the series at `rows`. `goes_on` says whether those behind them come next.
    fn decode(&mut self, rows: Range<usize>, goes_on: bool) -> Result<SeriesBatch, Error>;
}

/// Returns the rows of the piece that begins at row `start`: about [`PIECE_SAMPLES`] samples, and
/// at least one series.
fn piece_at(series: &dyn UndecodedSeries, start: usize) -> Range<usize> {
    let end = series.count();
    start..rows_within(series, start..end, PIECE_SAMPLES)
}

/// Returns the end of the first of `rows` that have at most `samples_max` samples together. The
/// first row is always among them.
pub(crate) fn rows_within(
    series: &dyn UndecodedSeries,
    rows: Range<usize>,
    samples_max: u64,
) -> usize {
    let mut samples = 0u64;

    for row in rows.clone() {
        samples = samples.saturating_add(series.weight(row));

        if samples > samples_max && row > rows.start {
            return row;
        }
    }

    rows.end
}

/// Returns the rows of each piece of `series`. Without series there is none.
pub fn pieces(series: &dyn UndecodedSeries) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;

    std::iter::from_fn(move || {
        let piece = (start < series.count()).then(|| piece_at(series, start))?;
        start = piece.end;
        Some(piece)
    })
}

/// Returns the number of samples of the largest piece of `series`.
pub fn piece_weight_max(series: &dyn UndecodedSeries) -> u64 {
    let weight = |piece: Range<usize>| {
        let weights = piece.map(|row| series.weight(row));
        weights.fold(0, u64::saturating_add)
    };

    pieces(series).map(weight).max().unwrap_or(0)
}

/// Returns the rows of each share of `series`: about [`SHARE_SAMPLES`] samples, and at least one
/// series. Without series there is one.
pub fn shares(series: &dyn UndecodedSeries) -> Vec<Range<usize>> {
    let count = series.count();
    let mut shares = Vec::new();
    let mut start = 0;

    while start < count || shares.is_empty() {
        let end = rows_within(series, start..count, SHARE_SAMPLES);
        shares.push(start..end);
        start = end;
    }

    shares
}

/// A share of series that came together.
#[derive(Debug)]
struct Share {
    all: Arc<dyn UndecodedSeries>,
    labels: BinaryArray,
    rows: Range<usize>,
}

impl UndecodedSeries for Share {
    fn labels(&self) -> &BinaryArray {
        &self.labels
    }

    fn weight(&self, row: usize) -> u64 {
        self.all.weight(self.rows.start + row)
    }

    /// The first share has all of it: the bytes stay until the last share is gone.
    fn untaken_bytes(&self) -> usize {
        match self.rows.start {
            0 => self.all.untaken_bytes(),
            _ => 0,
        }
    }

    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder> {
        Box::new(ShareDecoder {
            decoder: Arc::clone(&self.all).decoder(),
            start: self.rows.start,
        })
    }
}

struct ShareDecoder {
    decoder: Box<dyn SeriesDecoder>,
    /// The row of the first series of the share.
    start: usize,
}

impl SeriesDecoder for ShareDecoder {
    fn decode(&mut self, rows: Range<usize>, goes_on: bool) -> Result<SeriesBatch, Error> {
        let start = self.start;
        self.decoder
            .decode(start + rows.start..start + rows.end, goes_on)
    }
}

/// A batch of series that are not decoded.
///
/// The receiver decodes it on its own thread. A piece fits into the cache of a core, so samples are
/// used before they leave it.
pub struct UndecodedBatch {
    series: Arc<dyn UndecodedSeries>,
    /// The first series of the next piece. `None` behind the last piece.
    next: Option<usize>,
    decoder: Option<Box<dyn SeriesDecoder>>,
}

impl fmt::Debug for UndecodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndecodedBatch")
            .field("series", &self.series.count())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl UndecodedBatch {
    pub const fn new(series: Arc<dyn UndecodedSeries>) -> Self {
        Self {
            series,
            next: Some(0),
            decoder: None,
        }
    }

    /// Returns `series`, which came together, as batches that several receivers can decode at the
    /// same time.
    pub fn shared(series: Arc<dyn UndecodedSeries>) -> Vec<Self> {
        let shares = shares(&*series);
        if shares.len() == 1 {
            return vec![Self::new(series)];
        }

        let batch = |rows: Range<usize>| {
            Self::new(Arc::new(Share {
                all: Arc::clone(&series),
                labels: series.labels().slice(rows.start, rows.len()),
                rows,
            }))
        };

        shares.into_iter().map(batch).collect()
    }

    /// The number of series in all pieces.
    pub fn series(&self) -> usize {
        self.series.count()
    }

    /// Returns the series, of which no piece was taken yet.
    pub(crate) fn into_series(self) -> Arc<dyn UndecodedSeries> {
        self.series
    }

    /// Decodes the next piece. All but the last say that the batch goes on
    /// ([`SeriesBatch::goes_on`]). A batch without series has one piece. `None` behind the last
    /// piece.
    pub fn next_piece(&mut self) -> Option<Result<SeriesBatch, Error>> {
        let rows = piece_at(&*self.series, self.next?);
        let goes_on = rows.end < self.series();
        self.next = goes_on.then_some(rows.end);

        let series = &self.series;
        let decoder = self
            .decoder
            .get_or_insert_with(|| Arc::clone(series).decoder());

        let piece = decoder.decode(rows, goes_on);
        Some(piece.map(|piece| piece.going_on(goes_on)))
    }
}

/// A batch that is decoded.
impl UndecodedSeries for SeriesBatch {
    fn labels(&self) -> &BinaryArray {
        Self::labels(self)
    }

    fn weight(&self, row: usize) -> u64 {
        let histograms = self.histograms_at(row).len() * HISTOGRAM_SAMPLES;
        (self.samples_at(row).0.len() + histograms) as u64
    }

    fn untaken_bytes(&self) -> usize {
        self.record_batch().get_array_memory_size()
    }

    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder> {
        Box::new(Decoded(self))
    }
}

struct Decoded(Arc<SeriesBatch>);

impl SeriesDecoder for Decoded {
    fn decode(&mut self, rows: Range<usize>, _: bool) -> Result<SeriesBatch, Error> {
        Ok(self.0.slice(rows))
    }
}

/// Returns decoded batches as a stream of batches to decode.
pub fn as_undecoded(batches: SeriesStream) -> UndecodedStream {
    Box::pin(batches.map_ok(|batch| UndecodedBatch::new(Arc::new(batch))))
}

/// Decodes batches here. Each piece is a batch of its own.
pub fn decoded(batches: UndecodedStream) -> SeriesStream {
    let pieces = batches.map_ok(|mut batch| {
        let pieces = std::iter::from_fn(move || batch.next_piece());
        stream::iter(pieces.map(|piece| piece.map(|piece| piece.going_on(false))))
    });

    // The stream ends after its first error.
    let pieces = pieces.try_flatten().scan(false, |failed, piece| {
        let go_on = !*failed;
        *failed = piece.is_err();
        futures::future::ready(go_on.then_some(piece))
    });

    Box::pin(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeriesBatchBuilder;

    /// Returns a batch with a series of so many samples for each number.
    fn batch(samples: &[i64]) -> SeriesBatch {
        let mut builder = SeriesBatchBuilder::default();

        for (label, samples) in (0u8..).zip(samples) {
            builder.samples_mut(|ts, values| {
                ts.extend(0..*samples);
                values.resize(ts.len(), 0.5);
            });

            builder.end_series(&[label]);
        }

        builder.finish()
    }

    fn pieces(samples: &[i64]) -> Vec<(usize, usize, bool)> {
        let mut batch = UndecodedBatch::new(Arc::new(batch(samples)));
        let pieces = std::iter::from_fn(|| batch.next_piece());

        pieces
            .map(|piece| piece.expect("decodes"))
            .map(|piece| (piece.len(), piece.samples(), piece.goes_on()))
            .collect()
    }

    #[test]
    fn a_batch_goes_on_until_its_last_piece() {
        assert_eq!(
            pieces(&[10_000, 20_000, 10_000, 50_000, 1, 1]),
            [
                (2, 30_000, true),
                (1, 10_000, true),
                (1, 50_000, true),
                (2, 2, false)
            ]
        );

        assert_eq!(pieces(&[]), [(0, 0, false)]);
        assert_eq!(
            piece_weight_max(&batch(&[10_000, 20_000, 10_000, 40_000])),
            40_000
        );
    }

    #[test]
    fn shares_have_the_series_of_the_whole_in_order() {
        let samples = [100_000, 100_000, 100_000, 300_000, 7, 5];
        let whole = batch(&samples);

        let mut shared = UndecodedBatch::shared(Arc::new(whole.clone()));
        let series: Vec<usize> = shared.iter().map(UndecodedBatch::series).collect();
        assert_eq!(series, [2, 1, 1, 2]);

        let untaken: usize = shared
            .iter()
            .map(|share| share.series.untaken_bytes())
            .sum();
        assert_eq!(untaken, whole.untaken_bytes());

        let mut labels = Vec::new();
        let mut floats = Vec::new();
        for share in &mut shared {
            while let Some(piece) = share.next_piece() {
                let piece = piece.expect("decodes");
                labels.extend((0..piece.len()).map(|row| piece.labels().value(row).to_vec()));
                floats.extend((0..piece.len()).map(|row| piece.samples_at(row).0.len() as i64));
            }
        }

        assert_eq!(floats, samples);
        assert_eq!(
            labels,
            (0u8..6).map(|label| vec![label]).collect::<Vec<_>>()
        );

        let none = UndecodedBatch::shared(Arc::new(batch(&[])));
        assert_eq!(none.len(), 1);
    }

    #[test]
    fn a_piece_keeps_its_mark_as_a_record_batch() {
        for goes_on in [false, true] {
            let record = batch(&[1]).going_on(goes_on).into_record_batch();
            let piece = SeriesBatch::from_record_batch(record).expect("a batch of series");
            assert_eq!(piece.goes_on(), goes_on);
            assert!(!piece.going_on(false).goes_on());
        }
    }
}
