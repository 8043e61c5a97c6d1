//! Series with their rows.

use std::ops::Range;
use std::sync::Arc;

use duramen_model::Labels;
use duramen_qos::Reservation;

use crate::rollup::row::RollupRow;

/// A batch ends at about so many rows.
pub const BATCH_ROWS: usize = 16 << 10;

/// Some series, in the order of a block, each with its rows in the order of time.
#[derive(Clone, Debug, Default)]
pub struct RollupBatch {
    labels: Vec<u8>,
    /// Where the encoded labels of each series end.
    label_ends: Vec<usize>,
    rows: Vec<RollupRow>,
    /// Where the rows of each series end.
    row_ends: Vec<usize>,
    /// The memory of the batch, where somebody counts it.
    _memory: Option<Arc<Reservation>>,
}

impl RollupBatch {
    /// How many series there are.
    pub const fn len(&self) -> usize {
        self.row_ends.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.row_ends.is_empty()
    }

    /// How many rows there are of all series.
    pub const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The encoded labels of a series.
    pub fn labels_at(&self, series: usize) -> &[u8] {
        &self.labels[span(&self.label_ends, series)]
    }

    pub fn rows_at(&self, series: usize) -> &[RollupRow] {
        &self.rows[span(&self.row_ends, series)]
    }

    /// Appends rows of the series that is not ended yet.
    pub fn rows_mut(&mut self) -> &mut Vec<RollupRow> {
        &mut self.rows
    }

    /// Ends a series with these encoded labels. It has the rows that were added since the one
    /// before. Without rows there is no series.
    pub fn end_series(&mut self, labels: &[u8]) {
        if self.row_ends.last().copied().unwrap_or(0) == self.rows.len() {
            return;
        }

        self.labels.extend_from_slice(labels);
        self.label_ends.push(self.labels.len());
        self.row_ends.push(self.rows.len());
    }

    /// Returns a batch of rows that are there already. `ends` says, for each series, its encoded
    /// labels and how many rows there are up to its last one.
    pub fn of_rows<'a>(
        rows: Vec<RollupRow>,
        ends: impl IntoIterator<Item = (&'a [u8], usize)>,
    ) -> Self {
        let mut batch = Self {
            rows,
            ..Self::default()
        };

        for (labels, end) in ends {
            batch.labels.extend_from_slice(labels);
            batch.label_ends.push(batch.labels.len());
            batch.row_ends.push(end.min(batch.rows.len()));
        }

        batch
    }

    /// The same batch, which keeps its memory reserved while it exists.
    #[must_use]
    pub fn holding(self, memory: Reservation) -> Self {
        Self {
            _memory: Some(Arc::new(memory)),
            ..self
        }
    }

    /// Whether the batch is as large as a batch gets.
    pub const fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.row_ends.len() >= BATCH_ROWS / 4
    }

    /// The memory of the batch.
    pub const fn bytes(&self) -> usize {
        self.labels.capacity()
            + self.rows.capacity() * size_of::<RollupRow>()
            + (self.label_ends.capacity() + self.row_ends.capacity()) * size_of::<usize>()
    }

    /// The labels and the rows of each series.
    pub fn series(&self) -> impl Iterator<Item = (Labels, &[RollupRow])> {
        (0..self.len()).map(|series| {
            let labels = Labels::from_encoded_trusted(self.labels_at(series));
            (labels, self.rows_at(series))
        })
    }
}

fn span(ends: &[usize], at: usize) -> Range<usize> {
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    start..ends[at]
}
