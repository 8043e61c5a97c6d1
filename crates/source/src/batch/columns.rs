//! The flat columns that make a batch.

use arrow::array::{BinaryArray, BinaryBuilder};
use arrow::buffer::ScalarBuffer;
use duramen_model::Life;

/// The floats of all series of a batch, one after the other. Series `i` has `[offsets[i], offsets[i +
/// 1])`.
#[derive(Debug)]
pub struct Floats {
    pub offsets: Vec<i32>,
    pub ts: ScalarBuffer<i64>,
    pub values: ScalarBuffer<f64>,
    pub lives: Lives,
}

/// The histograms of all series of a batch, in the same form as [`Floats`].
#[derive(Debug)]
pub struct Histograms {
    pub offsets: Vec<i32>,
    pub ts: Vec<i64>,
    pub bytes: BinaryArray,
    pub lives: Lives,
}

impl Default for Histograms {
    fn default() -> Self {
        let bytes = BinaryBuilder::new().finish();
        Self {
            offsets: Vec::new(),
            ts: Vec::new(),
            bytes,
            lives: Lives::default(),
        }
    }
}

/// The [`Life`] of all floats or of all histograms: one element for each, or `None` when none of
/// them has a value.
#[derive(Debug, Default)]
pub struct Lives {
    pub starts: Option<Vec<i64>>,
    pub ttls: Option<Vec<i64>>,
}

impl Lives {
    /// Sets the life of the sample at position `at`. Earlier samples that were not set have none.
    pub(super) fn put(&mut self, at: usize, life: Life) {
        for (column, value) in [
            (&mut self.starts, life.start_ms),
            (&mut self.ttls, life.ttl_ms),
        ] {
            if value != 0 {
                let column = column.get_or_insert_default();
                column.resize(at, 0);
                column.push(value);
            }
        }
    }

    /// Extends both columns to the number of samples.
    pub(super) fn padded(mut self, samples: usize) -> Self {
        for column in [&mut self.starts, &mut self.ttls].into_iter().flatten() {
            column.resize(samples, 0);
        }

        self
    }
}
