//! Builds batches series by series.

use arrow::array::BinaryBuilder;
use duramen_model::{Labels, Life};

use super::{Floats, HistogramRef, Histograms, Lives, SeriesBatch};

/// Collects series in memory and makes a batch of them.
#[derive(Debug, Default)]
pub struct SeriesBatchBuilder {
    labels: BinaryBuilder,
    offsets: Vec<i32>,
    ts: Vec<i64>,
    values: Vec<f64>,
    lives: Lives,
    histogram_offsets: Vec<i32>,
    histogram_ts: Vec<i64>,
    histograms: BinaryBuilder,
    histogram_lives: Lives,
}

impl SeriesBatchBuilder {
    /// Appends a series of floats. The times must strictly ascend.
    pub fn push(&mut self, labels: &Labels, ts: &[i64], values: &[f64]) {
        self.samples_mut(|all_ts, all_values| {
            all_ts.extend_from_slice(ts);
            all_values.extend_from_slice(values);
        });

        self.end_series(labels.encoded());
    }

    /// Lets `append` add floats to the series that the next [`SeriesBatchBuilder::end_series`]
    /// ends. It must add as many times as values.
    pub fn samples_mut(&mut self, append: impl FnOnce(&mut Vec<i64>, &mut Vec<f64>)) {
        append(&mut self.ts, &mut self.values);
        debug_assert_eq!(self.ts.len(), self.values.len());
    }

    /// Appends a float to the series that the next [`SeriesBatchBuilder::end_series`] ends.
    pub fn push_sample(&mut self, ts_ms: i64, value: f64, life: Life) {
        self.lives.put(self.ts.len(), life);
        self.ts.push(ts_ms);
        self.values.push(value);
    }

    /// Appends a histogram to the series that the next [`SeriesBatchBuilder::end_series`] ends.
    pub fn push_histogram(&mut self, histogram: HistogramRef<'_>) {
        self.histogram_lives
            .put(self.histogram_ts.len(), histogram.life);
        self.histogram_ts.push(histogram.ts_ms);
        self.histograms.append_value(histogram.bytes);
    }

    /// Ends a series. Its samples are those that were added since the last call.
    pub fn end_series(&mut self, encoded_labels: &[u8]) {
        let offset =
            |samples| i32::try_from(samples).expect("a batch holds fewer than 2^31 samples");
        if self.offsets.is_empty() {
            self.offsets.push(0);
            self.histogram_offsets.push(0);
        }

        self.labels.append_value(encoded_labels);
        self.offsets.push(offset(self.ts.len()));
        self.histogram_offsets.push(offset(self.histogram_ts.len()));
    }

    /// The number of series that were ended.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of floats and histograms that were added.
    pub fn samples(&self) -> usize {
        self.ts.len() + self.histogram_ts.len()
    }

    /// Returns the batch. The builder is empty afterwards.
    pub fn finish(&mut self) -> SeriesBatch {
        let Self {
            mut labels,
            offsets,
            mut ts,
            mut values,
            lives,
            histogram_offsets,
            histogram_ts,
            mut histograms,
            histogram_lives,
        } = std::mem::take(self);

        if ts.len() < ts.capacity() / 2 {
            // A batch can live long, so unused capacity is released.
            ts.shrink_to_fit();
            values.shrink_to_fit();
        }

        let or_zero = |offsets: Vec<i32>| if offsets.is_empty() { vec![0] } else { offsets };
        let lives = lives.padded(ts.len());

        let floats = Floats {
            offsets: or_zero(offsets),
            ts: ts.into(),
            values: values.into(),
            lives,
        };

        let lives = histogram_lives.padded(histogram_ts.len());
        let histograms = Histograms {
            offsets: or_zero(histogram_offsets),
            ts: histogram_ts,
            bytes: histograms.finish(),
            lives,
        };

        SeriesBatch::from_columns(labels.finish(), floats, histograms)
    }
}
