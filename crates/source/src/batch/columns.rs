//! The flat columns of which a batch is made.

use arrow::array::{BinaryArray, BinaryBuilder};
use arrow::buffer::ScalarBuffer;
use duramen_model::Life;

/// The floats of all series of a batch, one after the other: series `i` owns `[offsets[i],
/// offsets[i + 1])`.
#[derive(Debug)]
pub struct Floats {
    pub offsets: Vec<i32>,
    pub ts: ScalarBuffer<i64>,
    pub values: ScalarBuffer<f64>,
    pub lives: Lives,
}

/// The histograms of all series of a batch, as [`Floats`] are.
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

/// The life spans of floats or of histograms: as many as those, or `None` when none of them says
/// anything.
#[derive(Debug, Default)]
pub struct Lives {
    pub starts: Option<Vec<i64>>,
    pub ttls: Option<Vec<i64>>,
}

impl Lives {
    /// Says `life` of the sample at place `at`; those before it that were not told have none.
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

    /// Both columns as long as the samples are.
    pub(super) fn padded(mut self, samples: usize) -> Self {
        for column in [&mut self.starts, &mut self.ttls].into_iter().flatten() {
            column.resize(samples, 0);
        }

        self
    }
}
