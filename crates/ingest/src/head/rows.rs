//! The rows of one write to a head, with known series.

use duramen_model::{FamilyMetadata, Life};
use duramen_wal::{ExemplarRow, HistogramRow};

use super::registry::Slot;

/// Floats in columns, and everything else in rows. References to series are slots.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) slots: Vec<Slot>,
    pub(crate) ts_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// As many as there are samples, or none if no sample has a life.
    pub(crate) lives: Vec<Life>,
    pub(crate) histograms: Vec<HistogramRow>,
    pub(crate) exemplars: Vec<ExemplarRow>,
    pub(crate) metadata: Vec<FamilyMetadata>,
}

impl Rows {
    pub(crate) fn push(&mut self, slot: Slot, ts_ms: i64, value: f64, life: Life) {
        if life != Life::NONE || !self.lives.is_empty() {
            self.lives.resize(self.slots.len(), Life::NONE);
            self.lives.push(life);
        }

        self.slots.push(slot);
        self.ts_ms.push(ts_ms);
        self.values.push(value);
    }

    /// Reserves memory for so many floats.
    pub(crate) fn reserve(&mut self, samples: usize) {
        self.slots.reserve(samples);
        self.ts_ms.reserve(samples);
        self.values.reserve(samples);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.slots.is_empty()
            && self.histograms.is_empty()
            && self.exemplars.is_empty()
            && self.metadata.is_empty()
    }

    /// Returns the number of rows of all kinds.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() + self.histograms.len() + self.exemplars.len() + self.metadata.len()
    }

    /// Returns the series of the rows, some of them several times.
    pub(crate) fn all_slots(&self) -> impl Iterator<Item = Slot> {
        let of_histograms = self.histograms.iter().map(|row| row.series_ref);
        let of_exemplars = self.exemplars.iter().map(|row| row.series_ref);

        self.slots
            .iter()
            .copied()
            .chain(of_histograms)
            .chain(of_exemplars)
    }
}
