//! The histograms of rows: a sparse list beside the floats.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, LargeBinaryArray, LargeBinaryBuilder, ListArray, RecordBatch, UInt32Array,
};
use arrow::buffer::OffsetBuffer;

use super::schema::{downcast, histogram_item, step_item};

/// The histograms of rows, as the columns of a batch. Steps ascend within a row.
#[derive(Debug)]
pub(crate) struct HistogramColumns {
    offsets: Vec<i32>,
    steps: Vec<u32>,
    histograms: LargeBinaryBuilder,
}

impl Default for HistogramColumns {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            steps: Vec::new(),
            histograms: LargeBinaryBuilder::new(),
        }
    }
}

impl HistogramColumns {
    pub(crate) fn push(&mut self, step: usize, bytes: &[u8]) {
        self.steps
            .push(u32::try_from(step).expect("the planner bounds the steps"));
        self.histograms.append_value(bytes);
    }

    /// Returns the memory of the histograms.
    pub(super) fn bytes(&self) -> usize {
        self.histograms.values_slice().len() + self.steps.capacity() * size_of::<u32>()
    }

    pub(crate) fn end_row(&mut self) {
        self.offsets
            .push(i32::try_from(self.steps.len()).expect("a batch has fewer than 2^31 cells"));
    }

    /// Returns the number of histograms in all rows.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Returns the two columns and removes all rows.
    pub(crate) fn finish(&mut self) -> [ArrayRef; 2] {
        let Self {
            offsets,
            steps,
            mut histograms,
        } = std::mem::take(self);

        let offsets = OffsetBuffer::new(offsets.into());
        let steps = Arc::new(UInt32Array::new(steps.into(), None));
        let histograms = Arc::new(histograms.finish());

        [
            Arc::new(ListArray::new(step_item(), offsets.clone(), steps, None)),
            Arc::new(ListArray::new(histogram_item(), offsets, histograms, None)),
        ]
    }
}

/// The histograms of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistogramRow<'a> {
    steps: &'a [u32],
    histograms: &'a LargeBinaryArray,
    /// Where those of the row start in `histograms`.
    start: usize,
}

impl<'a> HistogramRow<'a> {
    /// Reads a row of the two columns at `first` and `first + 1`.
    pub(crate) fn of(batch: &'a RecordBatch, first: usize, row: usize) -> Self {
        let lists: [&ListArray; 2] = [
            downcast(batch.column(first)),
            downcast(batch.column(first + 1)),
        ];

        let at = |row: usize| {
            usize::try_from(lists[0].value_offsets()[row]).expect("list offsets are not negative")
        };
        let steps: &UInt32Array = downcast(lists[0].values());

        Self {
            steps: &steps.values()[at(row)..at(row + 1)],
            histograms: downcast(lists[1].values()),
            start: at(row),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.steps.is_empty()
    }

    /// Returns each histogram with its step.
    pub(crate) fn iter(self) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.steps
            .iter()
            .enumerate()
            .map(move |(at, &step)| (step as usize, self.histograms.value(self.start + at)))
    }

    #[inline]
    pub(super) fn get(self, step: usize) -> Option<&'a [u8]> {
        if self.steps.is_empty() {
            return None;
        }

        let at = self
            .steps
            .binary_search_by(|held| (*held as usize).cmp(&step))
            .ok()?;

        Some(self.histograms.value(self.start + at))
    }
}
