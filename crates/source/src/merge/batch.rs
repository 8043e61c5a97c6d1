//! A batch of merged series. Its receiver decodes the samples of the parts, and merges them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BinaryArray, BinaryBuilder};
use duramen_metrics::Counter;
use duramen_model::TimeRange;
use duramen_qos::Reservation;

use crate::merge::samples;
use crate::undecoded::{PIECE_SAMPLES, SeriesDecoder, UndecodedSeries, rows_within};
use crate::{Error, SeriesBatch, SeriesBatchBuilder};

/// The size of a time and a value.
pub(super) const SAMPLE_BYTES: u64 = 16;
/// How many samples of all parts are decoded together.
const DECODED_SAMPLES: u64 = 256 << 10;
/// At least so many samples of a part are decoded together, so that a page is not read for each few
/// of them.
const DECODED_SAMPLES_MIN: u64 = 8 << 10;

/// The size at which a merged batch ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSize {
    pub(super) series_max: usize,
    pub(super) samples_max: u64,
}

/// A batch of an input, with its memory. Merged batches keep it as long as they need it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) series: Arc<dyn UndecodedSeries>,
    _memory: Reservation,
}

impl Held {
    pub(super) fn new(series: Arc<dyn UndecodedSeries>, memory: Reservation) -> Self {
        Self {
            series,
            _memory: memory,
        }
    }
}

/// Series, each with the rows of the parts that have it.
#[derive(Debug)]
pub(super) struct MergedBatch {
    labels: BinaryArray,
    weights: Vec<u64>,
    inputs: Vec<MergedInput>,
    /// Series `i` has `rows[offsets[i]..offsets[i + 1]]`.
    offsets: Vec<usize>,
    rows: Vec<InputRow>,
    /// Samples outside are left out. A part may return them.
    range: TimeRange,
    /// How many samples of an input are decoded together, or one series if it has more.
    decoded_samples_max: u64,
    _memory: Reservation,
}

/// A part of a batch of a part.
#[derive(Debug)]
struct MergedInput {
    held: Arc<Held>,
    /// Each of these rows is one of a merged series.
    rows: Range<usize>,
    conflicts: Counter,
}

/// A series of an input. The rows of a merged series ascend by the order of their parts.
#[derive(Clone, Copy, Debug)]
struct InputRow {
    input: usize,
    row: usize,
}

/// Collects series.
pub(super) struct MergedBatchBuilder {
    labels: BinaryBuilder,
    weights: Vec<u64>,
    inputs: Vec<MergedInput>,
    offsets: Vec<usize>,
    rows: Vec<InputRow>,
    /// The place in `inputs` of the current batch of each part.
    places: Vec<Option<usize>>,
    decoded_samples_max: u64,
    /// The weight of the series that is not ended.
    weight: u64,
    samples: u64,
}

impl MergedBatchBuilder {
    pub(super) fn new(parts: usize, decoded_samples_max: u64) -> Self {
        Self {
            decoded_samples_max,
            labels: BinaryBuilder::new(),
            weights: Vec::new(),
            inputs: Vec::new(),
            offsets: vec![0],
            rows: Vec::new(),
            places: vec![None; parts],
            weight: 0,
            samples: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    pub(super) fn is_full(&self, size: BatchSize) -> bool {
        self.weights.len() >= size.series_max || self.samples >= size.samples_max
    }

    /// Adds the next row of the batch `held` of a part to the series that the next
    /// [`MergedBatchBuilder::end_series`] ends. Parts are added in their order.
    pub(super) fn hold(&mut self, part: usize, held: &Arc<Held>, row: usize, conflicts: &Counter) {
        let known = self.places[part].filter(|at| Arc::ptr_eq(&self.inputs[*at].held, held));
        let input = known.unwrap_or_else(|| {
            self.inputs.push(MergedInput {
                held: Arc::clone(held),
                rows: row..row,
                conflicts: conflicts.clone(),
            });

            self.inputs.len() - 1
        });

        self.places[part] = Some(input);
        self.inputs[input].rows.end = row + 1;
        self.rows.push(InputRow { input, row });
        self.weight = self.weight.saturating_add(held.series.weight(row));
    }

    pub(super) fn end_series(&mut self, labels: &[u8]) {
        self.labels.append_value(labels);
        self.offsets.push(self.rows.len());
        self.samples = self.samples.saturating_add(self.weight);
        self.weights.push(std::mem::take(&mut self.weight));
    }

    /// Returns the memory of a decoder: what it decodes of each part, and a piece.
    pub(super) fn decoded_bytes(&self) -> usize {
        let of_input = |input: &MergedInput| input.weight_max(self.decoded_samples_max);
        let of_inputs: u64 = self
            .inputs
            .iter()
            .map(of_input)
            .fold(0, u64::saturating_add);

        let longest = self.weights.iter().copied().max().unwrap_or(0);
        let piece = self.samples.min(PIECE_SAMPLES.max(longest));

        let samples = of_inputs.saturating_add(piece);
        usize::try_from(samples.saturating_mul(SAMPLE_BYTES)).unwrap_or(usize::MAX)
    }

    /// Returns the batch. `memory` is that of its decoder.
    pub(super) fn finish(mut self, range: TimeRange, memory: Reservation) -> MergedBatch {
        MergedBatch {
            labels: self.labels.finish(),
            weights: self.weights,
            inputs: self.inputs,
            offsets: self.offsets,
            rows: self.rows,
            range,
            decoded_samples_max: self.decoded_samples_max,
            _memory: memory,
        }
    }
}

/// Returns how many samples of one of `inputs` parts are decoded together.
pub(super) fn decoded_samples_max(inputs: usize) -> u64 {
    let share = DECODED_SAMPLES / (inputs as u64).max(1);
    share.clamp(DECODED_SAMPLES_MIN, PIECE_SAMPLES)
}

impl MergedInput {
    /// Returns the most samples that are decoded together, if that is at most `samples_max` or one
    /// series.
    fn weight_max(&self, samples_max: u64) -> u64 {
        let weights = self.rows.clone().map(|row| self.held.series.weight(row));
        let (longest, all) = weights.fold((0, 0), |(longest, all): (u64, u64), weight| {
            (longest.max(weight), all.saturating_add(weight))
        });

        all.min(samples_max.max(longest))
    }
}

impl MergedBatch {
    /// Returns the rows of the parts of the series at `at`.
    fn rows_of(&self, at: usize) -> &[InputRow] {
        &self.rows[self.offsets[at]..self.offsets[at + 1]]
    }

    /// Returns the input and its rows, if all series at `at` are of one input alone.
    fn only_input(&self, at: &Range<usize>) -> Option<(usize, Range<usize>)> {
        let rows = &self.rows[self.offsets[at.start]..self.offsets[at.end]];
        let first = rows.first()?;
        let last = rows.last()?;

        let is_alone = rows.len() == at.len() && rows.iter().all(|row| row.input == first.input);
        let each_has_one = || at.clone().all(|at| self.rows_of(at).len() == 1);
        (is_alone && each_has_one()).then(|| (first.input, first.row..last.row + 1))
    }
}

impl UndecodedSeries for MergedBatch {
    fn labels(&self) -> &BinaryArray {
        &self.labels
    }

    fn weight(&self, row: usize) -> u64 {
        self.weights[row]
    }

    fn untaken_bytes(&self) -> usize {
        0
    }

    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder> {
        let input = |input: &MergedInput| DecodedInput {
            decoder: Arc::clone(&input.held.series).decoder(),
            batch: None,
            rows: input.rows.start..input.rows.start,
        };

        Box::new(MergedDecoder {
            inputs: self.inputs.iter().map(input).collect(),
            floats: 0,
            batch: self,
        })
    }
}

struct MergedDecoder {
    batch: Arc<MergedBatch>,
    /// One for each input of the batch.
    inputs: Vec<DecodedInput>,
    /// The number of floats of the last piece. The next has about as many.
    floats: usize,
}

/// The series of an input that are decoded.
struct DecodedInput {
    decoder: Box<dyn SeriesDecoder>,
    /// The series at `rows`. `None` if there are none.
    batch: Option<SeriesBatch>,
    rows: Range<usize>,
}

impl DecodedInput {
    /// Decodes `rows` of `input`, in place of those that are decoded.
    fn decode(&mut self, input: &MergedInput, rows: Range<usize>) -> Result<&SeriesBatch, Error> {
        self.batch = None;
        self.rows = rows.clone();

        let goes_on = rows.end < input.rows.end;
        let batch = self.decoder.decode(rows, goes_on)?;
        Ok(self.batch.insert(batch))
    }

    /// Decodes the series at `row` with some behind it, unless it is decoded.
    fn reach(&mut self, input: &MergedInput, row: usize, samples_max: u64) -> Result<(), Error> {
        if self.rows.contains(&row) {
            return Ok(());
        }

        let end = rows_within(&*input.held.series, row..input.rows.end, samples_max);
        self.decode(input, row..end).map(|_| ())
    }
}

impl MergedDecoder {
    /// Returns the series at `at` as their only input has them. `None` if they have several inputs
    /// or samples outside of the range.
    fn pass_on(&mut self, at: &Range<usize>) -> Result<Option<SeriesBatch>, Error> {
        let Some((input, rows)) = self.batch.only_input(at) else {
            return Ok(None);
        };

        let decoded = &mut self.inputs[input];
        let is_decoded = rows.end <= decoded.rows.end;

        if !is_decoded && rows.start < decoded.rows.end {
            return Ok(None);
        }

        if !is_decoded {
            decoded.decode(&self.batch.inputs[input], rows.clone())?;
        }

        let start = decoded.rows.start;
        let series = decoded.batch.as_ref();
        let series = series.map(|all| all.slice(rows.start - start..rows.end - start));
        Ok(series.filter(|series| samples::are_within(series, self.batch.range)))
    }

    /// Decodes and merges the series at `at`.
    fn merge(&mut self, at: Range<usize>) -> Result<SeriesBatch, Error> {
        let batch = &self.batch;
        let samples_max = batch.decoded_samples_max;
        let mut out = SeriesBatchBuilder::default();

        out.samples_mut(|ts, values| {
            ts.reserve_exact(self.floats);
            values.reserve_exact(self.floats);
        });

        for at in at {
            let rows = batch.rows_of(at);

            for row in rows {
                self.inputs[row.input].reach(&batch.inputs[row.input], row.row, samples_max)?;
            }

            let slice = |row: &InputRow| {
                let input = &self.inputs[row.input];
                Some((input.batch.as_ref()?, row.row - input.rows.start))
            };

            let slices: Vec<samples::Slice<'_>> = rows.iter().filter_map(slice).collect();
            let mut lost = vec![0; slices.len()];
            samples::merge(&slices, batch.range, &mut out, &mut lost);

            for (row, lost) in rows.iter().zip(lost) {
                if lost > 0 {
                    batch.inputs[row.input].conflicts.inc_by(lost);
                }
            }

            out.end_series(batch.labels.value(at));
        }

        let merged = out.finish();
        self.floats = merged.floats();
        Ok(merged)
    }
}

impl SeriesDecoder for MergedDecoder {
    fn decode(&mut self, at: Range<usize>, _: bool) -> Result<SeriesBatch, Error> {
        match self.pass_on(&at)? {
            Some(series) => Ok(series),
            None => self.merge(at),
        }
    }
}

#[cfg(test)]
mod tests;
